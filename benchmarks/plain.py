"""How files become rows of a Delta table without Andon: read, validate with pandera, drop what fails, append.

No digest, no claim, no dead letter, nothing against a second time: less work than Andon does, on purpose.
"""

from pathlib import Path
from typing import Any

import polars as pl


def each(files: list[Path], table: Path) -> dict[str, Any]:
    """One read, validation and append for each file."""
    return {"committed": sum(_append(_valid(pl.read_parquet(file)), table) for file in files)}


def together(files: list[Path], table: Path) -> dict[str, Any]:
    """All files as one frame: what a loop could be made into where no file has to answer for itself."""
    return {"committed": _append(_valid(pl.read_parquet(files)), table)}


def _valid(orders: pl.DataFrame) -> pl.DataFrame:
    from pandera.errors import SchemaErrors

    from benchmarks.orders_contract import Orders

    try:
        return Orders.validate(orders, lazy=True)
    except SchemaErrors as errors:
        bad = errors.failure_cases["index"].unique()
        return orders.with_row_index().filter(~pl.col("index").is_in(bad.cast(pl.UInt32).implode())).drop("index")


def _append(orders: pl.DataFrame, table: Path) -> int:
    orders.write_delta(table, mode="append")
    return orders.height
