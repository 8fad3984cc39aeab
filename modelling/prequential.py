"""The recipe's record: its refits, each asked about the window of time after its data, as if it had served then.

Such evidence speaks for the recipe, not for one set of bytes. It must be paired with a champion that was trained before
`since`, and it is evidence only while the recipe was not searched on rows from `since` on: both the caller's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import Classes, label_values
from modelling.metrics import baseline_prediction, row_losses
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.splits import just_after
from modelling.training import Model, fit
from validation.durations import duration

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Rows in order of time, later than all that champion and refit of their window have seen, and how each fared.

    `prediction`: of the window's refit, (n,), or (n, k) in order of `classes`: all that any refit knows, 0 for those
    that this one does not. `labels` as `Model.labels`, by `classes`. `loss` of the refits and `baseline_loss` of the
    best constant of their training rows: (n,), as `row_losses`. `windows` hold rows, `fits` of them could be trained
    for, the others are left out. `since`: where the first of these begins. `newest`: the last window's refit.
    """

    rows: pl.DataFrame
    prediction: Array
    labels: Array
    loss: Array
    baseline_loss: Array
    classes: Classes
    windows: int
    fits: int
    since: datetime
    newest: Model | None


def prequential(  # noqa: PLR0913 - those of split and of fit, which it calls in turns
    spec: Spec,
    frame: pl.DataFrame,
    recipe: Recipe,
    *,
    since: datetime,
    window: timedelta,
    gap: timedelta,
    train: str | timedelta,
    max_windows: int = 8,
    seed: int,
    threads: int,
    progress: Progress | None = None,
) -> Scored:
    """Score `recipe` on the newest windows from `since`, the champion's `trained_until`, to the end of `frame`.

    `frame`: mature labelled rows in order of time. For each window (see `windows_between`) the recipe is fitted on the
    rows before its start - `gap` ("all", or those from its start - `train` on), then asked. Left out are windows before
    which nothing can be trained. `progress` is called with the windows done and their number. Never raises for want of
    rows: the result is then empty.
    """
    end = just_after(frame, time=spec.time) or since
    moment, found = pl.col(spec.time), []
    spans = windows_between(since, end, window=window, max_windows=max_windows)
    for number, (start, stop) in enumerate(spans, start=1):
        rows = frame.filter(moment >= start, moment < stop)
        before = moment < start - gap
        if train != "all":
            before &= moment >= start - duration(train, field="train")
        past = frame.filter(before)
        model = fit(spec, past, recipe, seed=seed, threads=threads) if rows.height and _teaches(spec, past) else None
        found.append(_Asked(rows=rows, past=past, model=model, start=start))
        if progress is not None:
            progress(number, len(spans))
    return _together(spec, frame, [item for item in found if item.rows.height], since=since)


def windows_between(since: datetime, end: datetime, *, window: timedelta, max_windows: int) -> tuple[Window, ...]:
    """The newest windows [start, stop) up to `end`, oldest first, none of which begins before `since`.

    All have the length `window`, except that the oldest begins at `since` where fewer than `max_windows` are needed: it
    has 0.5 to 1.5 times the length (less only when it is the only one), so that no row from `since` on is lost and none
    costs a fit for a sliver. None when `end` is not after `since`.
    """
    wanted = int((end - since) / window + 0.5)
    if end <= since:
        return ()
    count = max(1, min(wanted, max_windows))
    starts = [end - window * back for back in range(count, 0, -1)]
    if wanted <= max_windows:
        starts[0] = since
    return tuple(zip(starts, [*starts[1:], end], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A window's rows, those before it, and the model that was made of these, if one could be."""

    rows: pl.DataFrame
    past: pl.DataFrame
    model: Model | None
    start: datetime


def _teaches(spec: Spec, past: pl.DataFrame) -> bool:
    """A model needs rows, and one of classes at least two of these."""
    return past.height > 0 and (spec.task != "multiclass" or past[spec.target].n_unique() > 1)


def _together(spec: Spec, frame: pl.DataFrame, windows: list[_Asked], *, since: datetime) -> Scored:
    asked = [(item, item.model) for item in windows if item.model is not None]
    levels = {level for _, model in asked for level in model.classes}
    classes = tuple(pl.Series(list(levels)).sort()) if levels else ()
    shape = (0, len(classes)) if spec.task == "multiclass" else (0,)
    rows = pl.concat([item.rows for item, _ in asked]) if asked else frame.clear()
    labels = label_values(spec.task, rows[spec.target], classes)
    predicted = [_spread(model.predict(item.rows), model.classes, classes) for item, model in asked]
    prediction = np.concatenate([np.empty(shape), *predicted])
    return Scored(
        rows=rows,
        prediction=prediction,
        labels=labels,
        loss=row_losses(spec.task, spec.metric, labels, prediction),
        baseline_loss=np.concatenate([np.empty(0), *(_baseline(spec, item, model) for item, model in asked)]),
        classes=classes,
        windows=len(windows),
        fits=len(asked),
        since=asked[0][0].start if asked else since,
        newest=windows[-1].model if windows else None,
    )


def _spread(prediction: Array, known: Classes, classes: Classes) -> Array:
    """A model's probabilities in the columns of all classes."""
    if not classes:
        return prediction
    wide = np.zeros((len(prediction), len(classes)))
    wide[:, [classes.index(level) for level in known]] = prediction
    return wide


def _baseline(spec: Spec, item: _Asked, model: Model) -> Array:
    constant = baseline_prediction(spec.task, spec.metric, model.labels(item.past))
    return row_losses(spec.task, spec.metric, model.labels(item.rows), constant)
