"""How many rows are cut into partitions by time: ranges of moments, found by counting, never by sorting the rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

_BUCKETS = 4_096  # of each count
_MICROSECOND = timedelta(microseconds=1)


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
    """Partitions of at most `at_most` rows that together hold each row once, in order of time; of no rows one, empty.

    Rows of one moment stay together, unless the moment has more of them than `at_most`: then its pieces have about as
    many. Reads the time alone, a few times; `time` is Datetime(us, UTC), without nulls.
    """
    raise NotImplementedError


def within(part: Partition, *, time: str, key: Sequence[str]) -> pl.Expr:
    """Is a row in the partition? In this form Parquet statistics can tell that a row group has none."""
    raise NotImplementedError
