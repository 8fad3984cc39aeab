"""How good was one monitoring window? First an estimate, then what came: realised as labels mature, again when they do.

What is judged are the answers that were given, whichever versions gave them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from validation.verdict import Verdict
from validation.watch.estimates import Estimate

MAX_SLICES = 40
MIN_SLICE_ROWS = 30  # a smaller slice's mean says little
PART = 0.25  # a window that fills up with labels is told again when so much more of its rows have one
Z = 1.96  # of a normal: 95 of 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLoss:
    """The rows of a window in which `column` has this value: mean loss, mean of label - prediction.

    `bias` is None for several classes.
    """

    column: str
    value: str
    rows: int
    loss: float
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowVerdict(Verdict):
    """outcome: "estimated" (no label yet), "partly labelled", "realised" (all rows are mature) or "corrected" (labels
    have changed since). `subject`: the window's start.

    `loss`: mean over the labelled rows; `standard_error` and the bounds of `bias` (mean of label - prediction, 95 of
    100) as if rows were independent. `coverage`: share of the answered rows with a mature label. `estimate` is what was
    said before the labels came, `estimate_error` = estimated - realised loss. `labels`: digest of the labels.
    """

    kind: ClassVar[str] = "window"

    champion_version: str
    rows: int
    labelled: int
    coverage: float
    loss: float | None = None
    standard_error: float | None = None
    bias: float | None = None
    bias_lower: float | None = None
    bias_upper: float | None = None
    estimate: Estimate | None = None
    estimate_error: float | None = None
    slices: tuple[SliceLoss, ...] = ()
    labels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """The labelled rows of a window: losses and labels (n,), predictions (n,) or (n, classes), values of the slices'
    columns (n,). `digest`: of the labels.
    """

    loss: npt.NDArray[np.float64]
    label: npt.NDArray[np.float64]
    prediction: npt.NDArray[np.float64]
    slices: Mapping[str, Sequence[Any]]
    digest: str


def estimated(
    *, pipeline: str, start: datetime, version: str, rows: int, estimate: Estimate, as_of: datetime
) -> WindowVerdict:
    """A window without labels: what its loss is thought to be."""
    return WindowVerdict(
        pipeline=pipeline,
        subject=start.isoformat(),
        outcome="estimated",
        reasons=(f"no label yet; {_in_words(estimate)}",),
        data_time=as_of,
        champion_version=version,
        rows=rows,
        labelled=0,
        coverage=0.0,
        estimate=estimate,
    )


def realised(
    found: Labelled,
    *,
    pipeline: str,
    start: datetime,
    version: str,
    rows: int,
    mature: bool,
    before: WindowVerdict | None,
    as_of: datetime,
) -> WindowVerdict | None:
    """A window whose labels have come, or have changed since the verdict `before`; None when there is nothing to tell.

    `rows`: answered in the window; `mature`: whether all of them are.
    """
    count = len(found.loss)
    if not count or (before and not _is_news(found, before, rows=rows, mature=mature)):
        return None
    again = before is not None and before.outcome in ("realised", "corrected")
    loss, error = _mean(found.loss)
    estimate = before.estimate if before else None
    return WindowVerdict(
        pipeline=pipeline,
        subject=start.isoformat(),
        outcome="corrected" if again else "realised" if mature else "partly labelled",
        reasons=tuple(_tell(found, rows=rows, estimate=estimate, again=again)),
        data_time=as_of,
        champion_version=version,
        rows=rows,
        labelled=count,
        coverage=count / rows,
        loss=loss,
        standard_error=error,
        **_leaning(found),
        estimate=estimate,
        estimate_error=None if estimate is None else estimate.loss - loss,
        slices=_slices(found),
        labels=found.digest,
    )


def _is_news(found: Labelled, before: WindowVerdict, *, rows: int, mature: bool) -> bool:
    if found.digest == before.labels:
        return mature and before.outcome == "partly labelled"
    return mature or len(found.loss) - before.labelled >= PART * rows


def _mean(values: npt.NDArray[np.float64]) -> tuple[float, float | None]:
    """The mean and its standard error; None with fewer than two."""
    count = len(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else None


def _tell(found: Labelled, *, rows: int, estimate: Estimate | None, again: bool) -> Iterator[str]:
    loss, bias = float(found.loss.mean()), _bias(found)[0]
    told = "labels have come late or were corrected: " if again else ""
    leaning = "" if bias is None else f", label - prediction is {bias:+.4f}"
    yield f"{told}the loss is {loss:.5f} on {len(found.loss):,} of {rows:,} rows{leaning}"
    if estimate is not None:
        within = "within" if estimate.lower <= loss <= estimate.upper else "outside"
        yield f"{_in_words(estimate)}: off by {estimate.loss - loss:+.5f}, {within} its interval"


def _leaning(found: Labelled) -> dict[str, float | None]:
    """The bias and its bounds, as fields."""
    bias, error = _bias(found)
    if bias is None or error is None:
        return {"bias": bias}
    return {"bias": bias, "bias_lower": bias - Z * error, "bias_upper": bias + Z * error}


def _bias(found: Labelled) -> tuple[float | None, float | None]:
    """Mean of label - prediction, and its standard error; None for several classes."""
    return _mean(found.label - found.prediction) if found.prediction.ndim == 1 else (None, None)


def _in_words(estimate: Estimate) -> str:
    return (
        f"the loss was estimated as {estimate.loss:.5f} ({estimate.lower:.5f} to {estimate.upper:.5f}, "
        f"{estimate.method})"
    )


def _slices(found: Labelled) -> tuple[SliceLoss, ...]:
    """The slices with enough rows, worst first."""
    told = [item for column in found.slices for item in _of_column(column, found)]
    return tuple(sorted(told, key=lambda item: (-item.loss, item.column, item.value))[:MAX_SLICES])


def _of_column(column: str, found: Labelled) -> Iterator[SliceLoss]:
    values = np.array(["null" if value is None else str(value) for value in found.slices[column]])
    names, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    away = found.label - found.prediction if found.prediction.ndim == 1 else None
    for number in np.flatnonzero(counts >= MIN_SLICE_ROWS):
        mine = index == number
        yield SliceLoss(
            column=column,
            value=str(names[number]),
            rows=int(counts[number]),
            loss=float(found.loss[mine].mean()),
            bias=None if away is None else float(away[mine].mean()),
        )
