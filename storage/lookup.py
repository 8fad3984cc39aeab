"""What a row is told from a reference table: of what Andon knew when the row came, the newest, as known at its moment.

One function for training and for scoring: what came in after a row is never looked up for it, whenever it was observed,
so a model learns from exactly what it will be given. Which batches of the table count, the caller decides.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from andon.places import Lookup
from andon.schemas import looked_up_schema
from validation.durations import span

_BATCH = "_batch"
_KNOWN_AT = "_known_at"
# While it is looked up, a row has: its place, the moment at which it asks, the moment at which it came in (its epoch),
# how many gates are open for it, and the observation that it found. No column of a contract begins with "_".
_ROW, _ASKED, _EPOCH, _OPEN, _FOUND = "_row", "_asked", "_epoch", "_open", "_found"
# An observation has: its moment, that from which on it was both observed and known, its rank (the higher is preferred)
# and the gate behind which it lies, if it is late.
_TIME, _AVAILABLE, _RANK, _GATE = "_time", "_available", "_rank", "_gate"
_BLOCK = "_block"


def look_up(rows: pl.LazyFrame, table: pl.LazyFrame | None, lookup: Lookup, *, as_known_at: datetime) -> pl.LazyFrame:
    """The rows, in their number and order, with the looked-up columns; null where nothing was known.

    A row asks at `row[as_of] - before`. An observation counts for it when it was observed and known (its column
    `known_at`, or `delay` after it was observed) by then, is not older than `max_age` then, and came in (`_known_at`)
    no later than the row itself and than `as_known_at`. Of those the one observed last holds; of several versions of it
    that with the highest `_batch`, then the one known last. A key or a moment that is null finds nothing.

    For `rows` without `_known_at` only `as_known_at` says what had come in. `table`: the reference table's
    accepted rows, None while there are none; key and time (and `known_at`) are unique within a batch. What can matter
    of it is read at once, and so are the moments of the rows; the rest is lazy.
    """
    columns, names = looked_up_schema(lookup), rows.collect_schema().names()
    limit = pl.lit(as_known_at, pl.Datetime("us", "UTC"))
    came_in = pl.min_horizontal(_KNOWN_AT, limit) if _KNOWN_AT in names else limit
    moment = pl.col(lookup.as_of) - span(lookup.before)
    asked = rows.with_row_index(_ROW).with_columns(moment.alias(_ASKED), came_in.alias(_EPOCH))
    epochs = _epochs(asked)
    if table is None or epochs.is_empty():
        return rows.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in columns.items())
    known = _known(table, lookup, list(columns), epochs)
    found = _find(asked, *_gated(known, epochs), on=lookup.on)
    return _told(found, known, lookup, list(columns)).sort(_ROW).select(*names, *columns)


def _epochs(asked: pl.LazyFrame) -> pl.DataFrame:
    """When rows came in, in order, and between which moments those ask; a table has as many as it has batches."""
    moment = pl.col(_ASKED)
    spans = asked.filter(moment.is_not_null()).group_by(_EPOCH).agg(first=moment.min(), last=moment.max())
    return spans.sort(_EPOCH).collect(engine="streaming")


def _known(table: pl.LazyFrame, lookup: Lookup, columns: Sequence[str], epochs: pl.DataFrame) -> pl.DataFrame:
    """The observations that any row could find, from the least to the most preferred."""
    source, time = lookup.table, pl.col(lookup.table.time)
    known_at = pl.col(source.known_at) if source.known_at else time + span(source.delay)
    first, last, newest = epochs.select(pl.min("first"), pl.max("last"), pl.max(_EPOCH)).row(0)
    in_reach = [time <= last, known_at <= last, pl.col(_KNOWN_AT) <= newest]
    if lookup.max_age is not None:
        in_reach.append(time >= first - span(lookup.max_age))
    kept = [*lookup.on, *columns, _BATCH, _KNOWN_AT]
    return (
        table.filter(in_reach)
        .sort(time, _BATCH, known_at)
        .select(*kept, time.alias(_TIME), pl.max_horizontal(time, known_at).alias(_AVAILABLE))
        .with_row_index(_RANK)
        .collect(engine="streaming")
    )


def _gated(known: pl.DataFrame, epochs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Mark the late observations: available at a moment of which a row asks that had come in before them.

    All others need no look at when rows came in: earlier ones ask about earlier moments. The late ones lie behind a
    gate for each epoch that is the first to see some; `_open` counts the gates that are open for an epoch.
    """
    first_to_see = epochs[_EPOCH].search_sorted(known[_KNOWN_AT], side="left")
    asked_before = epochs["last"].cum_max().shift(1)
    late = (known[_AVAILABLE] <= asked_before.gather(first_to_see)).fill_null(value=False)
    gates = first_to_see.filter(late).unique().sort()
    gate = pl.Series(_GATE, gates.search_sorted(first_to_see, side="left"), pl.Int64)
    is_open = gates.search_sorted(pl.int_range(epochs.height, eager=True), side="right")
    known = known.with_columns(pl.when(late).then(gate).alias(_GATE))
    return known, epochs.with_columns(pl.Series(_OPEN, is_open, pl.Int64))


def _find(asked: pl.LazyFrame, known: pl.DataFrame, epochs: pl.DataFrame, *, on: Sequence[str]) -> pl.LazyFrame:
    """The rows, and in `_found` the rank of the observation that each may see and prefers.

    A row sees those without a gate, and those behind its first n gates. The latter it asks in blocks of 1, 2, 4, ...
    gates, one for each binary digit of n: so that a thousand late batches take ten joins and not a thousand.
    """
    asked = asked.join(epochs.lazy().select(_EPOCH, _OPEN), on=_EPOCH, how="left").sort(_ASKED)
    found = [_FOUND]
    asked = _newest(asked, known.filter(pl.col(_GATE).is_null()), by=on, into=_FOUND)
    for digit in range(int(epochs[_OPEN][-1]).bit_length()):
        found.append(f"{_FOUND}{digit}")
        blocks = pl.col(_OPEN) // 2**digit
        block = pl.when(blocks % 2 == 1).then(blocks - 1).alias(_BLOCK)
        late = known.filter(pl.col(_GATE).is_not_null()).with_columns((pl.col(_GATE) // 2**digit).alias(_BLOCK))
        asked = _newest(asked.with_columns(block), late, by=(*on, _BLOCK), into=found[-1])
    return asked.with_columns(pl.max_horizontal(found).alias(_FOUND))


def _newest(asked: pl.LazyFrame, known: pl.DataFrame, *, by: Sequence[str], into: str) -> pl.LazyFrame:
    """The rows (by `_asked`), and the highest rank that was available to each then: an observation that comes after a
    higher one of its kind is never the answer, so the last of the others is.
    """
    highest = pl.col(_RANK).cum_max()
    setting = known.sort(_AVAILABLE, _RANK).filter(pl.col(_RANK) == (highest.over(by) if by else highest))
    ranks = setting.lazy().select(*by, _AVAILABLE, pl.col(_RANK).alias(into))
    # Sorted by both of us just now; with `by` Polars cannot check it, and warns.
    return asked.join_asof(
        ranks, left_on=_ASKED, right_on=_AVAILABLE, by=list(by) or None, check_sortedness=False
    ).drop(_AVAILABLE)


def _told(found: pl.LazyFrame, known: pl.DataFrame, lookup: Lookup, columns: Sequence[str]) -> pl.LazyFrame:
    values = known.lazy().select(pl.col(_RANK).alias(_FOUND), _TIME, *columns)
    told = found.join(values, on=_FOUND, how="left")
    if lookup.max_age is None:
        return told
    fresh = pl.col(_TIME) >= pl.col(_ASKED) - span(lookup.max_age)
    return told.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in columns)
