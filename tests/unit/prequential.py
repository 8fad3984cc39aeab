"""One recipe's record, made the plain way: its refits, each asked about the window of time after its data. The product
makes it of all that a ladder chooses (modelling/rungs); by this one its parts and a benchmark's are checked.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.recipes import Recipe
from modelling.rungs.evidence import Scored, asked, together
from modelling.spec import Spec
from modelling.splits import Fold, just_after, windows_between
from modelling.training import fit
from validation.durations import duration

Progress = Callable[[int, int], None]


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
        before = moment < start - gap
        if train != "all":
            before &= moment >= start - duration(train, field="train")
        judges, trains = (_positions(frame, some) for some in ((moment >= start) & (moment < stop), before))
        fold = Fold(start=start, stop=stop, train=trains, validation=judges)
        past, model = fold.train_rows(frame), None
        if judges.size and _teaches(spec, past):
            model = fit(spec, past, recipe.alone, seed=seed, threads=threads)
        found.append(asked(spec, frame, fold, model))
        if progress is not None:
            progress(number, len(spans))
    return together(spec, [item for item in found if item.positions.size], frame=frame, since=since)


def _positions(frame: pl.DataFrame, chosen: pl.Expr) -> NDArray[np.int64]:
    return np.flatnonzero(frame.select(chosen).to_series().to_numpy()).astype(np.int64)


def _teaches(spec: Spec, past: pl.DataFrame) -> bool:
    """A model needs rows, and one of classes at least two of these."""
    return past.height > 0 and (spec.task != "multiclass" or past[spec.target].n_unique() > 1)
