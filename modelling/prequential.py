"""The recipe's record: its refits, each asked about the window of time after its data, as if it had served then.

Such evidence speaks for the recipe, not for one set of bytes. It must be paired with a champion that was trained before
`since`, and it is evidence only while the recipe was not searched on rows from `since` on: both the caller's business.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl

from modelling.recipes import Recipe
from modelling.rungs.evidence import Asked, Scored, together
from modelling.spec import Spec
from modelling.splits import just_after, windows_between
from modelling.training import fit
from validation.durations import duration

__all__ = ["Scored", "prequential", "windows_between"]

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
        rows = frame.filter(moment >= start, moment < stop)
        before = moment < start - gap
        if train != "all":
            before &= moment >= start - duration(train, field="train")
        past = frame.filter(before)
        model = (
            fit(spec, past, recipe.alone, seed=seed, threads=threads) if rows.height and _teaches(spec, past) else None
        )
        found.append(Asked(rows=rows, past=past, model=model, start=start))
        if progress is not None:
            progress(number, len(spans))
    return together(spec, [item for item in found if item.rows.height], nothing=frame, since=since)


def _teaches(spec: Spec, past: pl.DataFrame) -> bool:
    """A model needs rows, and one of classes at least two of these."""
    return past.height > 0 and (spec.task != "multiclass" or past[spec.target].n_unique() > 1)
