"""One Parquet file of a table: how rows get into it, and what the table's log will say about it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

# NOTE: Polars cuts longer texts in a footer (at 64 bytes), and a cut maximum need not be one.
_LONGEST_TEXT = 48
_RANGED_TYPES = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.String, pl.Date, pl.Datetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file as it lies there. `stats`: its counts and ranges in Delta's words, by which readers leave it out."""

    path: Path
    schema: pl.Schema
    rows: int
    stats: str


def sink(rows: pl.LazyFrame, path: Path) -> None:
    """Write `rows` into one file, in their order, in memory that does not grow with them."""
    # Level 1 takes a fourth of the time less than the default, for 5 % more bytes.
    rows.sink_parquet(path, compression="zstd", compression_level=1, engine="streaming")


def data_file(path: Path) -> DataFile:
    """What the footer says."""
    import pyarrow.parquet as pq

    footer, schema = pq.read_metadata(path), pl.Schema(pl.read_parquet_schema(path))
    stats = json.dumps({"numRecords": footer.num_rows, **_statistics(footer, schema)})
    return DataFile(path=path, schema=schema, rows=footer.num_rows, stats=stats)


def _statistics(footer: Any, schema: pl.Schema) -> dict[str, dict[str, Any]]:
    leaves = {footer.schema.column(leaf).path: leaf for leaf in range(len(footer.schema))}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    found: dict[str, dict[str, Any]] = {"nullCount": {}, "minValues": {}, "maxValues": {}}
    for name, dtype in schema.items():
        if name in leaves and not dtype.is_nested():
            chunks = [group.column(leaves[name]) for group in groups]
            for kind, value in _column_statistics(chunks, dtype):
                found[kind][name] = value
    return found


def _column_statistics(chunks: list[Any], dtype: pl.DataType) -> Iterator[tuple[str, Any]]:
    """NOTE: no range for floats, since a footer's leaves out NaN, which Polars takes for greater than all."""
    stats = [chunk.statistics for chunk in chunks]
    if any(item is None or not item.has_null_count for item in stats):
        return
    yield "nullCount", sum(item.null_count for item in stats)
    # Unlike a chunk's, the number of a statistic's values leaves nulls out.
    filled = [item for item in stats if item.num_values]
    if not filled or not isinstance(dtype, _RANGED_TYPES) or not all(item.has_min_max for item in filled):
        return
    try:
        low, high = min(item.min for item in filled), max(item.max for item in filled)
    except (ValueError, OverflowError):  # a moment beyond the years that Python knows
        return
    if not (isinstance(low, str) and max(len(low.encode()), len(high.encode())) > _LONGEST_TEXT):
        yield "minValues", _as_json(low)
        yield "maxValues", _as_json(high)


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        return text if value.tzinfo is None else f"{text}Z"
    return value.isoformat() if isinstance(value, date) else value
