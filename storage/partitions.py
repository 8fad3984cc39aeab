"""How many rows are cut into partitions by time: ranges of moments, found by counting, never by sorting the rows."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec
import polars as pl

_BUCKETS = 4_096  # of each count
_MOMENT = pl.Datetime("us", "UTC")


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """The `rows` rows of the moments `first` to `last`, both in it. Of one moment with more rows than a partition
    holds it is the piece number `piece` of `pieces`, by a hash of the key.
    """

    first: datetime
    last: datetime
    rows: int
    piece: int = 0
    pieces: int = 1


def cut(rows: pl.LazyFrame, *, time: str, key: Sequence[str], at_most: int) -> tuple[Partition, ...]:
    """Partitions of at most `at_most` rows that together hold each row once, in order of time; none of no rows.

    Rows of one moment stay together, unless the moment has more of them than `at_most`: then its pieces have about as
    many. Reads the time alone, a few times; `time` is Datetime(us, UTC), without nulls.
    """
    return tuple(
        part
        for joined in _joined(_counted(rows, time, at_most), at_most)
        for part in (_pieces(rows, joined, time, key, at_most) if joined.rows > at_most else (joined,))
    )


def within(part: Partition, *, time: str, key: Sequence[str]) -> pl.Expr:
    """Is a row in the partition? In this form Parquet statistics can tell that a row group has none."""
    inside = (pl.col(time) >= pl.lit(part.first, _MOMENT)) & (pl.col(time) <= pl.lit(part.last, _MOMENT))
    return inside if part.pieces == 1 else inside & (_hash(key, part.pieces) == part.piece)


def _counted(rows: pl.LazyFrame, time: str, at_most: int) -> Iterator[Partition]:
    """Spans of moments that have rows, in order; one has more than `at_most` only if it is a single moment."""
    moment = pl.col(time).to_physical()
    first, last = (
        rows.select(moment.min().alias("first"), moment.max().alias("last")).collect(engine="streaming").row(0)
    )
    if first is None:
        return
    width = (last - first) // _BUCKETS + 1
    counts = rows.group_by(((moment - first) // width).alias("_bucket")).agg(
        pl.col(time).min().alias("first"), pl.col(time).max().alias("last"), pl.len().alias("rows")
    )
    for bucket in counts.sort("_bucket").drop("_bucket").collect(engine="streaming").iter_rows(named=True):
        span = Partition(**bucket)
        if span.rows > at_most and span.first < span.last:
            yield from _counted(rows.filter(within(span, time=time, key=())), time, at_most)
        else:
            yield span


def _joined(spans: Iterable[Partition], at_most: int) -> Iterator[Partition]:
    """Neighbours together, as long as they are no more than `at_most` rows."""
    held: Partition | None = None
    for span in spans:
        if held is None:
            held = span
        elif held.rows + span.rows <= at_most:
            held = Partition(first=held.first, last=span.last, rows=held.rows + span.rows)
        else:
            yield held
            held = span
    if held is not None:
        yield held


def _pieces(rows: pl.LazyFrame, moment: Partition, time: str, key: Sequence[str], at_most: int) -> Iterator[Partition]:
    """Hashes spread evenly, by chance: a piece may have a few rows more."""
    pieces = -(-moment.rows // at_most)
    mine = rows.filter(within(moment, time=time, key=key))
    counts = mine.group_by(_hash(key, pieces).alias("piece")).agg(pl.len().alias("rows")).sort("piece")
    for row in counts.collect(engine="streaming").iter_rows(named=True):
        yield Partition(first=moment.first, last=moment.last, pieces=pieces, **row)


def _hash(key: Sequence[str], pieces: int) -> pl.Expr:
    return pl.struct(key).hash(seed=0) % pieces
