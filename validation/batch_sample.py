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
FEW = 100  # distinct rows, of which none may be left out: there is no sample of them by their hash
MAX_CELLS = 4_000_000  # the sample of a very wide batch has fewer rows
_HASH, _PLACE = "_hash", "_place"
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
    kept = _Kept(_plain(pl.DataFrame(schema=schema)))
    nulls, height, total = np.zeros(len(schema), dtype=np.int64), 0, 0
    moments: list[datetime | None] = []
    for raw in rows.select(schema.names()).collect_batches(maintain_order=False):
        part = _plain(raw)  # NOTE: as a part of the query it doubled the memory (Polars 2.1)
        hashes = part.hash_rows()
        kept.add(part, hashes, first=height)
        height += part.height
        total += int(hashes.to_numpy().sum(dtype=np.uint64))
        nulls += np.array(part.null_count().row(0), dtype=np.int64)
        moments += part.select(pl.col(time).min().alias("min"), pl.col(time).max().alias("max")).row(0)
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
        self._limits = {_HASH: _RANGE - 1, _PLACE: _RANGE - 1}
        self._frame = empty.clear().with_columns(pl.lit(0, pl.UInt64).alias(name) for name in self._limits)

    def add(self, part: pl.DataFrame, hashes: pl.Series, *, first: int) -> None:
        """Take the rows of `part` that belong to the sample; `first`: the number of its first row in the batch."""
        places = pl.int_range(first, first + part.height, dtype=pl.UInt64, eager=True).hash()
        chosen = self._thinned(part.with_columns(hashes.alias(_HASH), places.alias(_PLACE)))
        # NOTE: a few rows of a part keep the buffers of all its strings alive; written and read again they do not.
        own = pl.DataFrame.deserialize(io.BytesIO(chosen.serialize()))
        self._frame = self._thinned(self._frame.vstack(own))

    def frame(self) -> pl.DataFrame:
        """The sample, in an order that does not depend on the order of reading."""
        return self._frame.sort(_HASH, _PLACE).drop(_HASH, _PLACE)

    def _thinned(self, frame: pl.DataFrame) -> pl.DataFrame:
        frame = frame.filter(pl.col(name) <= limit for name, limit in self._limits.items())
        while frame.height > self._most:
            # The same rows again and again have one hash: then any of them will do, by their place.
            by = _HASH if frame[_HASH].n_unique() > FEW else _PLACE
            self._limits[by] //= 2
            frame = frame.filter(pl.col(by) <= self._limits[by])
        return frame


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    """NaN as null, and categories as text: their codes differ from file to file."""
    return rows.with_columns(
        pl.col(pl.Float32, pl.Float64).fill_nan(None), pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    )
