"""Rows that lie in no order of time, brought into a file for each partition in one pass.

A filtered scan for each partition reads little of rows that lie almost in order, and all of them otherwise: with a
hundred partitions a hundred times. Then one pass that writes all rows once costs less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl

from storage.partitions import Partition, within

_CHUNK = 100_000  # rows, about those of a row group
_PASSES = 4  # as many reads of all rows cost about as much as writing and reading them once


def is_scattered(rows: pl.LazyFrame, parts: Sequence[Partition], *, time: str) -> bool:
    """Would scans by partition read the rows more than a few times? Reads the time alone, once."""
    if len(parts) <= _PASSES:
        return False
    spans = (
        rows.select(time)
        .with_row_index("_row")
        .group_by(pl.col("_row") // _CHUNK)
        .agg(pl.col(time).min().alias("first"), pl.col(time).max().alias("last"))
        .select("first", "last")
        .collect(engine="streaming")
    )
    read = sum(spans.filter(pl.col("first") <= part.last, pl.col("last") >= part.first).height for part in parts)
    return read > _PASSES * max(1, spans.height)


@contextmanager
def scattered(
    rows: pl.LazyFrame, parts: Mapping[int, Partition], *, time: str, key: Sequence[str], folder: Path
) -> Iterator[Callable[[int], pl.DataFrame]]:
    """A function that reads the rows of a partition by its number, from files below `folder`, while inside.

    All rows are read once, and those of `parts` written once, in memory that a chunk bounds. `folder` is new, and gone
    afterwards, unless the process is killed.
    """
    import pyarrow as pa

    folder.mkdir(parents=True)
    schema = rows.collect_schema().to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    try:
        with ExitStack() as files:
            writers = {
                number: files.enter_context(pa.ipc.new_stream(_path(folder, number), schema)) for number in parts
            }
            for chunk in rows.collect_batches(chunk_size=_CHUNK, maintain_order=False):
                for number, mine in _by_partition(chunk, parts, time=time, key=key):
                    writers[number].write_table(mine.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))
        yield lambda number: _read(_path(folder, number), rows.collect_schema())
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _by_partition(
    chunk: pl.DataFrame, parts: Mapping[int, Partition], *, time: str, key: Sequence[str]
) -> Iterator[tuple[int, pl.DataFrame]]:
    """NOTE: sorted by time first, so that of a hundred partitions each looks at its own rows alone."""
    ordered = chunk.sort(time)
    moments = ordered[time]
    for number, part in parts.items():
        first, last = moments.search_sorted(part.first, side="left"), moments.search_sorted(part.last, side="right")
        if last > first:
            mine = ordered.slice(first, last - first)
            found = mine if part.pieces == 1 else mine.filter(within(part, time=time, key=key))
            if found.height:
                yield number, found


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number}.arrows"


def _read(path: Path, schema: pl.Schema) -> pl.DataFrame:
    return pl.read_ipc_stream(path).cast(schema)
