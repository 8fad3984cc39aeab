"""Which rows train and which judge: always by time, the judges later, and a gap for labels that come late.

`split` divides off the gate's holdout. `inner_split` and `rolling` divide what is left: for early stopping, for a
search, for the choice among recipes. None of them ever sees a row of the holdout: they are given the train part only.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.mapped import at, kept
from validation.durations import duration, span

Positions = NDArray[np.int64]

_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`train` lies before `trained_until`, `holdout` from `holdout_start` on. Either may be empty: see `shortfall`."""

    train: pl.DataFrame
    holdout: pl.DataFrame
    holdout_start: datetime
    trained_until: datetime

    @property
    def shortfall(self) -> str | None:
        """Why nothing can be trained or judged yet, as a sentence for a "need evidence" verdict; None when it can."""
        if self.holdout.is_empty():
            return f"no mature row is from {self.holdout_start:%Y-%m-%d %H:%M} or later: wait for labels"
        if self.train.is_empty():
            return f"no mature row is left to train on before {self.trained_until:%Y-%m-%d %H:%M}: wait for more data"
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """A window [start, stop) of time whose rows judge, and the rows that may be learned from for it.

    `train` and `validation` are positions in the frame that was divided, ascending: so that one frame, encoded and
    binned once, serves all folds. `train` lies before `start` - gap. Either may be empty: see `teaches`.
    """

    start: datetime
    stop: datetime
    train: Positions
    validation: Positions

    @property
    def teaches(self) -> bool:
        """Whether there are rows to learn from, and rows to judge by."""
        return bool(self.train.size and self.validation.size)

    def train_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows to learn from, in their order; `frame` is the one that was divided."""
        return at(frame, self.train)

    def validation_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows to judge by, in their order; `frame` is the one that was divided."""
        return at(frame, self.validation)


def split(
    frame: pl.DataFrame,
    *,
    time: str,
    holdout: str | timedelta,
    gap: str | timedelta,
    train: str | timedelta,
    holdout_from: datetime | None = None,
) -> Split:
    """Divide mature rows in time.

    holdout: the newest span [max(holdout_from, end - holdout), end), end being just after the newest row;
    `holdout_from` is the champion's `trained_until`, so that no row judges a model that has seen it.
    train: rows before holdout_start - gap ("all", or the newest span of them, from holdout_start - train).
    Keeps the order of rows. Never raises for want of rows: the parts are then empty.
    """
    end = just_after(frame, time=time) or holdout_from or _EPOCH
    start = max(end - duration(holdout, field="holdout"), holdout_from or _EPOCH)
    before = start - (gap if isinstance(gap, timedelta) else duration(gap, field="gap"))
    moment = frame[time]
    trains = moment < before
    if train != "all":
        trains &= moment >= start - duration(train, field="train")
    rows = kept(frame, trains)
    return Split(
        train=rows,
        holdout=kept(frame, moment >= start),
        holdout_start=start,
        trained_until=just_after(rows, time=time) or before,
    )


def just_after(frame: pl.DataFrame, *, time: str) -> datetime | None:
    """The moment just after the newest row: no row is of this time or later. None without rows."""
    newest = cast("datetime | None", frame[time].max())
    return None if newest is None else newest + _TICK


def inner_split(frame: pl.DataFrame, *, time: str, gap: str | timedelta, share: float = 0.2) -> Fold:
    """The newest `share` (in (0, 1)) of the rows judges, those before it train; rows of one moment are never divided.

    `frame`: the rows that a search may see. Never raises for want of rows: `teaches` is then False.
    """
    end = just_after(frame, time=time) or _EPOCH
    first = cast("datetime | None", frame[time].quantile(1 - share, interpolation="nearest"))
    return _fold(frame[time], start=first or end, stop=end, gap=span(gap), train="all")


def rolling(
    frame: pl.DataFrame,
    *,
    time: str,
    window: str | timedelta,
    gap: str | timedelta,
    windows: int,
    since: datetime | None = None,
    train: str | timedelta = "all",
) -> tuple[Fold, ...]:
    """The newest `windows` windows of time up to the newest row, oldest first, each with the rows before it: rolling
    origin. Folds that do not teach are left out.

    With `since` (a champion's `trained_until`) none begins before it, as `windows_between` says. `train`: "all", or the
    newest span of the rows before the window.
    """
    end, every = just_after(frame, time=time), span(window)
    if end is None or windows < 1:
        return ()
    if since is None:
        spans = tuple((end - every * back, end - every * (back - 1)) for back in range(windows, 0, -1))
    else:
        spans = windows_between(since, end, window=every, max_windows=windows)
    folds = (_fold(frame[time], start=start, stop=stop, gap=span(gap), train=train) for start, stop in spans)
    return tuple(fold for fold in folds if fold.teaches)


def windows_between(
    since: datetime, end: datetime, *, window: timedelta, max_windows: int
) -> tuple[tuple[datetime, datetime], ...]:
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


def newest(frame: pl.DataFrame, *, time: str, days: float | None, until: datetime | None = None) -> pl.DataFrame:
    """The rows of the newest span, so many days back from `until`, or from the newest row; None: all."""
    last = until or cast("datetime | None", frame[time].max())
    return frame if days is None or last is None else kept(frame, frame[time] >= last - timedelta(days=days))


def days(moments: pl.Series) -> Positions:
    """How many whole days each moment lies before the newest: the blocks in which losses are summed."""
    seconds: Positions = moments.dt.epoch("s").to_numpy()
    before: Positions = (seconds.max(initial=0) - seconds) // _DAY_SECONDS
    return before


def _fold(moments: pl.Series, *, start: datetime, stop: datetime, gap: timedelta, train: str | timedelta) -> Fold:
    trains = moments < start - gap
    if train != "all":
        trains &= moments >= start - span(train)
    judges = (moments >= start) & (moments < stop)
    return Fold(start=start, stop=stop, train=_positions(trains), validation=_positions(judges))


def _positions(chosen: pl.Series) -> Positions:
    return np.flatnonzero(chosen.to_numpy()).astype(np.int64, copy=False)
