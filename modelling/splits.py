"""Which rows train and which judge: always by time, the judges later, and a gap for labels that come late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import polars as pl

from validation.durations import duration

_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    moment = pl.col(time)
    trains = moment < before
    if train != "all":
        trains &= moment >= start - duration(train, field="train")
    rows = frame.filter(trains)
    return Split(
        train=rows,
        holdout=frame.filter(moment >= start),
        holdout_start=start,
        trained_until=just_after(rows, time=time) or before,
    )


def just_after(frame: pl.DataFrame, *, time: str) -> datetime | None:
    """The moment just after the newest row: no row is of this time or later. None without rows."""
    newest = cast("datetime | None", frame[time].max())
    return None if newest is None else newest + _TICK
