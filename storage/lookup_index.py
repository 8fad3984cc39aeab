"""The observations of one lookup, kept so that a single row is told in microseconds what `look_up` would tell it.

For rows of now, which may be told all that came in (tests/unit/test_lookup_index.py proves the two equal). Reads
nothing.
"""

from array import array
from bisect import bisect_right
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import polars as pl

from andon.places import Lookup
from andon.schemas import looked_up_schema
from validation.durations import span

# More observations than that are not held: of the older ones only the last of each key, and who asks about a moment
# before them is told nothing. About 60 bytes each besides the values, and 200 for each key.
MAX_OBSERVATIONS = 2_000_000

_BATCH, _KNOWN_AT = "_batch", "_known_at"
_TIME, _KNOWN, _AVAILABLE, _RANK = "_time", "_known", "_available", "_rank"
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a lookup asks of its table, as plain values: two definitions that ask the same are equal.

    Microseconds; `columns`: the looked-up ones with their types' names.
    """

    table: str
    time: str
    known_at: str | None
    delay: int
    on: tuple[str, ...]
    as_of: str
    before: int
    max_age: int | None
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def by(cls, lookup: Lookup) -> Self:
        """What this lookup asks."""
        table = lookup.table
        return cls(
            table=table.name,
            time=table.time,
            known_at=table.known_at,
            delay=span(table.delay) // _MICROSECOND,
            on=tuple(lookup.on),
            as_of=lookup.as_of,
            before=span(lookup.before) // _MICROSECOND,
            max_age=None if lookup.max_age is None else span(lookup.max_age) // _MICROSECOND,
            columns=tuple((name, str(dtype)) for name, dtype in looked_up_schema(lookup).items()),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The looked-up columns."""
        return tuple(name for name, _ in self.columns)

    def needed(self, table: pl.LazyFrame) -> pl.LazyFrame:
        """Of the table's rows what an index holds: those that any row could ever be told."""
        time = pl.col(self.time)
        known = pl.col(self.known_at) if self.known_at else time + pl.duration(microseconds=self.delay)
        schema = table.collect_schema()
        plain = [_plain(name, schema[name]) for name in (*self.on, *self.names)]
        available = pl.max_horizontal(time, known).alias(_AVAILABLE)
        return (
            table.filter(pl.col(_KNOWN_AT).is_not_null())
            .select(*plain, _BATCH, time.alias(_TIME), known.alias(_KNOWN), available)
            .drop_nulls([*self.on, _TIME, _KNOWN])
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LookupIndex:
    """By key, and within it by the moment from which on it could be told, the observation that holds from then on.

    Made by `empty` and `joined`, never changed. `since`: who asks about an earlier moment (microseconds) is told
    nothing, as not all of it is held.
    """

    asked: Asked
    rows: pl.DataFrame | None
    since: int
    spans: Mapping[Hashable, tuple[int, int]]
    available: "array[int]"
    times: "array[int]"

    @classmethod
    def empty(cls, asked: Asked) -> Self:
        """Without any observation."""
        return cls(asked=asked, rows=None, since=-(2**63), spans={}, available=array("q"), times=array("q"))

    def joined(self, needed: pl.DataFrame, *, most: int = MAX_OBSERVATIONS) -> "LookupIndex":
        """With these rows as well, which are `Asked.needed` of batches that are not in it yet."""
        on = self.asked.on
        ranked = (needed if self.rows is None else pl.concat([self.rows, needed])).sort(_TIME, _BATCH, _KNOWN)
        holding = _holding(ranked.with_row_index(_RANK).sort(*on, _AVAILABLE, _RANK), on)
        kept, since = _newest(holding, on, most, self.since)
        return LookupIndex(
            asked=self.asked,
            rows=kept,
            since=since,
            spans=_spans(kept, on),
            available=_moments(kept[_AVAILABLE]),
            times=_moments(kept[_TIME]),
        )

    def find(self, key: Hashable, moment: datetime | None) -> tuple[Any, ...] | None:
        """The looked-up values, in the order of `Asked.columns`; None when nothing was known.

        `key`: the value of `on`, a tuple when there are several columns or none; `moment`: the row's `as_of`, aware.
        """
        found = self.spans.get(key)
        if found is None or moment is None or self.rows is None:
            return None
        at = (moment - _EPOCH) // _MICROSECOND - self.asked.before
        start, end = found
        place = bisect_right(self.available, at, start, end) - 1
        if place < start or at < self.since:
            return None
        if self.asked.max_age is not None and self.times[place] < at - self.asked.max_age:
            return None
        return self.rows.row(place)[len(self.asked.on) : len(self.asked.on) + len(self.asked.columns)]


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    """As the values of a request are: moments aware, in UTC."""
    if not isinstance(dtype, pl.Datetime):
        return pl.col(name)
    moment = pl.col(name).dt
    return moment.convert_time_zone("UTC") if dtype.time_zone else moment.replace_time_zone("UTC")


def _holding(ranked: pl.DataFrame, on: tuple[str, ...]) -> pl.DataFrame:
    """An observation that comes after a higher one of its key is never the answer."""
    highest = pl.col(_RANK).cum_max()
    return ranked.filter(pl.col(_RANK) == (highest.over(on) if on else highest)).drop(_RANK)


def _newest(holding: pl.DataFrame, on: tuple[str, ...], most: int, since: int) -> tuple[pl.DataFrame, int]:
    """The newest `most` observations and of each key the last before them; and from which moment on these are all."""
    if holding.height <= most:
        return holding, since
    moments = holding[_AVAILABLE].to_physical()
    first = int(moments.sort()[-most])
    later = pl.col(_AVAILABLE).to_physical() > first
    following = pl.col(_AVAILABLE).to_physical().shift(-1)
    next_one = following.over(on) if on else following
    return holding.filter(later | next_one.is_null() | (next_one > first)), max(since, first)


def _spans(rows: pl.DataFrame, on: tuple[str, ...]) -> dict[Hashable, tuple[int, int]]:
    """Where the observations of each key begin and end."""
    if not on:
        return {(): (0, rows.height)}
    counted = rows.group_by(on, maintain_order=True).agg(pl.len().alias(_RANK))
    spans: dict[Hashable, tuple[int, int]] = {}
    start = 0
    for *key, count in counted.iter_rows():
        spans[key[0] if len(on) == 1 else tuple(key)] = (start, start + count)
        start += count
    return spans


def _moments(series: pl.Series) -> "array[int]":
    made: array[int] = array("q")
    made.frombytes(series.to_physical().to_numpy().tobytes())
    return made
