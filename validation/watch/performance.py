"""How good is the champion on rows whose labels have come, and what would a retrain gain? (paired regret)

A champion's loss says how hard the days were, not how stale it is; so it is reported, and a retrain is asked for by
what a probe, the same recipe refitted on newer rows, does better on the same rows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types
from validation.intervals import MIN_BLOCKS, Interval, paired_interval, plain
from validation.labels import Task
from validation.refit import label_scale
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """What is watched, and when it asks for a retrain.

    `every`: length of a monitoring window. `reference_windows`: how many windows before the champion's cut-off make
    its profile. `evidence`: span of mature rows on which champion and probe are compared. A retrain is asked for when
    the probe is better by at least `min_regret` (share of the champion's loss) and its one-sided bound at `alpha` is
    above zero; or when it is so much better without that proof, and the champion is provably biased: the mean of label
    - prediction is at least `max_bias` (of a probability, or of the label's standard deviation) away from 0, and its
    two-sided interval at `alpha` does not hold 0.
    """

    every: str | timedelta = "1d"
    reference_windows: int = 60
    evidence: str | timedelta = "7d"
    min_regret: float = 0.005
    alpha: float = 0.2
    max_bias: float = 0.02

    def __post_init__(self) -> None:
        check_types(self, part="monitor")
        object.__setattr__(self, "every", duration(self.every, field="monitor.every"))
        object.__setattr__(self, "evidence", duration(self.evidence, field="monitor.evidence"))
        if self.reference_windows < 1:
            raise DefinitionError(f"monitor.reference_windows must be at least 1, got {self.reference_windows}")
        if not 0 <= self.min_regret < 1:
            raise DefinitionError(f"monitor.min_regret must be a share in [0, 1), got {self.min_regret}")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"monitor.alpha must be in (0, 0.5), got {self.alpha}")
        if not self.max_bias > 0:
            raise DefinitionError(f"monitor.max_bias must be above 0, got {self.max_bias}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceVerdict(Verdict):
    """outcome: "fine", "regret" (the probe is provably better), "biased" (the champion provably predicts too much or
    too little, and the probe is probably better) or "need evidence".

    `regret` = champion's loss - probe's loss, the mean per row, with its bounds at `alpha`; `regret_share` of the
    champion's loss. `calibration_bias` = mean of label - prediction, with two-sided bounds at `alpha`; above 0 the
    champion predicts too little. None: not known (no rows, no probe, fewer than two blocks, a multiclass task).
    """

    kind: ClassVar[str] = "performance"

    rows: int
    blocks: int
    coverage: float
    champion_loss: float | None
    probe_loss: float | None
    regret: float | None
    regret_share: float | None
    standard_error: float | None
    lower: float | None
    upper: float | None
    calibration_bias: float | None
    bias_lower: float | None
    bias_upper: float | None
    snapshot: str = ""
    champion_version: str = ""


def judge(  # noqa: PLR0913  # the agreed interface: arrays of one length, one per role
    *,
    pipeline: str,
    window_start: datetime,
    champion_loss: npt.ArrayLike,
    probe_loss: npt.ArrayLike | None,
    blocks: npt.ArrayLike,
    label: npt.ArrayLike,
    prediction: npt.ArrayLike,
    task: Task,
    coverage: float,
    policy: Monitor,
    min_coverage: float,
    as_of: datetime,
) -> PerformanceVerdict:
    """Judge labelled, mature rows. `coverage`: share of the mature rows that have a label; below `min_coverage` the
    labelled rows may be a biased part of all, so nothing is concluded. `probe_loss` None: no probe could be trained.
    """
    champion = np.asarray(champion_loss, dtype=np.float64)
    difference = np.zeros(0) if probe_loss is None else champion - np.asarray(probe_loss, dtype=np.float64)
    regret = paired_interval(difference, blocks, alpha=policy.alpha) if len(difference) else None
    bias = _calibration(label, prediction, blocks, alpha=policy.alpha / 2)
    leaning = _leaning(bias, limit=policy.max_bias * label_scale(np.asarray(label, dtype=np.float64), task=task))
    loss = float(champion.mean()) if len(champion) else None
    share = regret.mean / loss if regret and loss else None
    outcome, reason = _decide(regret, share, rows=len(champion), leaning=leaning, policy=policy)
    if coverage < min_coverage:
        lacking = f"only {coverage:.1%} of the mature rows have a label, {min_coverage:.1%} are needed"
        outcome, reason = "need evidence", lacking
    return PerformanceVerdict(
        pipeline=pipeline,
        subject=window_start.isoformat(),
        outcome=outcome,
        reasons=(reason, *_tell_bias(bias, leaning, outcome)),
        data_time=as_of,
        rows=len(champion),
        blocks=len(np.unique(np.asarray(blocks))),
        coverage=coverage,
        champion_loss=loss,
        probe_loss=loss - regret.mean if regret and loss is not None else None,
        regret_share=share,
        **_numbers(regret, bias),
    )


def _numbers(regret: Interval | None, bias: Interval | None) -> dict[str, Any]:
    """The intervals as fields of the verdict."""
    return {
        "regret": regret.mean if regret else None,
        "standard_error": plain(regret.standard_error) if regret else None,
        "lower": plain(regret.lower) if regret else None,
        "upper": plain(regret.upper) if regret else None,
        "calibration_bias": bias.mean if bias else None,
        "bias_lower": plain(bias.lower) if bias else None,
        "bias_upper": plain(bias.upper) if bias else None,
    }


def _decide(
    regret: Interval | None, share: float | None, *, rows: int, leaning: str, policy: Monitor
) -> tuple[str, str]:
    """NOTE: a proven bias alone asks for nothing. A hard week makes one, too, and what the probe would not do better
    on these rows, a challenger would not either.
    """
    if rows == 0:
        return "need evidence", "no mature row has a label yet"
    if regret is None:
        return "need evidence", f"there is no probe to compare the champion with on {rows:,} mature rows"
    if regret.blocks < MIN_BLOCKS:
        return "need evidence", f"{rows:,} mature rows lie in {regret.blocks} block; two are needed for an interval"
    numbers = (
        f"retraining would gain {share or 0.0:+.2%} of the loss on {rows:,} rows in {regret.blocks} blocks "
        f"(bounds {regret.lower:+.5f} to {regret.upper:+.5f} at alpha {policy.alpha:g}; "
        f"{policy.min_regret:.2%} and a lower bound above 0 ask for it)"
    )
    gains = share is not None and share > 0 and share >= policy.min_regret
    if gains and regret.lower > 0:
        return "regret", numbers
    return ("biased" if gains and leaning else "fine"), numbers


def _calibration(
    label: npt.ArrayLike, prediction: npt.ArrayLike, blocks: npt.ArrayLike, *, alpha: float
) -> Interval | None:
    predicted = np.asarray(prediction, dtype=np.float64)
    if predicted.ndim != 1 or not len(predicted):
        return None
    return paired_interval(np.asarray(label, dtype=np.float64) - predicted, blocks, alpha=alpha)


def _leaning(bias: Interval | None, *, limit: float) -> str:
    """Which way the champion provably leans by at least `limit`; empty when it does not."""
    if bias is None or abs(bias.mean) < limit or bias.lower <= 0 <= bias.upper:
        return ""
    return "too low" if bias.mean > 0 else "too high"


def _tell_bias(bias: Interval | None, leaning: str, outcome: str) -> tuple[str, ...]:
    if bias is None or not np.isfinite(bias.lower):
        return ()
    numbers = f"label - prediction is {bias.mean:+.4f} on average ({bias.lower:+.4f} to {bias.upper:+.4f})"
    if not leaning:
        return (f"{numbers}: not provably biased",)
    cure = "" if outcome in ("regret", "biased") else "; that a retrain would mend it is not shown"
    return (f"{numbers}: the predictions are {leaning}{cure}",)
