"""One pass over a batch: what must be exact (rows, nulls, span, digest), and a sample for all the rest.

The sample is every row whose hash lies below a limit, and the limit is halved whenever there are too many: the same
rows come out in whatever order the batch is read, and memory does not grow with it.
"""

import io
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

MAX_ROWS = 10_000  # of the sample: a share of 50 % is then known to half a percent
MIN_ROWS = 1_000
MAX_CELLS = 4_000_000  # the sample of a very wide batch has fewer rows
_HASH = "_hash"
_RANGE = 2**64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """What one pass over a batch brings. `rows`, `nulls`, `since` and `until` (first and last moment) are exact.

    `digest`: the same for the same rows in any order and in any file format; it changes with the version of Polars.
    `frame`: at most 10,000 rows, ordered by their hash.
    """

    rows: int
    nulls: dict[str, int]
    since: datetime | None
    until: datetime | None
    digest: str
    frame: pl.DataFrame


def take_sample(rows: pl.LazyFrame, schema: pl.Schema, *, time: str) -> Sample:
    """Read the columns of `schema` once. NaN counts as null; categories are compared as text."""
    kept = _Kept(_plain(pl.LazyFrame(schema=schema)).collect())
    nulls, height, total, moments = np.zeros(len(schema), dtype=np.int64), 0, 0, []
    for part in _plain(rows.select(schema.names())).collect_batches(maintain_order=False):
        hashes = part.hash_rows()
        height += part.height
        total += int(hashes.to_numpy().sum(dtype=np.uint64))
        nulls += np.array(part.null_count().row(0), dtype=np.int64)
        moments += part.select(pl.col(time).min().alias("min"), pl.col(time).max().alias("max")).row(0)
        kept.add(part.with_columns(hashes.alias(_HASH)))
    known = [moment for moment in moments if moment is not None]
    return Sample(
        rows=height,
        nulls=dict(zip(schema.names(), nulls.tolist(), strict=True)),
        since=min(known, default=None),
        until=max(known, default=None),
        digest=f"{pl.__version__}:{height}:{total % _RANGE:016x}",
        frame=kept.frame(),
    )


class _Kept:
    """The rows of the sample so far."""

    def __init__(self, empty: pl.DataFrame) -> None:
        self._most = int(np.clip(MAX_CELLS // max(1, empty.width), MIN_ROWS, MAX_ROWS))
        self._limit, self._every = _RANGE - 1, 1
        self._frame = empty.with_columns(pl.lit(0, pl.UInt64).alias(_HASH)).clear()

    def add(self, part: pl.DataFrame) -> None:
        """Take the rows of `part` that belong to the sample."""
        chosen = part.filter(pl.col(_HASH) <= self._limit).gather_every(self._every)
        # NOTE: a few rows of a part keep the buffers of all its strings alive; written and read again they do not.
        own = pl.DataFrame.deserialize(io.BytesIO(self._thinned(chosen).serialize()))
        self._frame = self._thinned(self._frame.vstack(own).filter(pl.col(_HASH) <= self._limit))

    def frame(self) -> pl.DataFrame:
        """The sample, in an order that does not depend on the order of reading."""
        return self._frame.sort(_HASH).drop(_HASH)

    def _thinned(self, frame: pl.DataFrame) -> pl.DataFrame:
        while frame.height > self._most:
            if frame[_HASH].n_unique() > self._most // 2:
                self._limit //= 2
                frame = frame.filter(pl.col(_HASH) <= self._limit)
            else:  # the same rows again and again: then any of them will do
                self._every *= 2
                frame = frame.gather_every(2)
        return frame


def _plain(rows: pl.LazyFrame) -> pl.LazyFrame:
    """NaN as null, and categories as text: their codes differ from file to file."""
    return rows.with_columns(
        pl.col(pl.Float32, pl.Float64).fill_nan(None), pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    )
