"""The orders' 36 rules in dataframely: FILES into good and broken rows, the broken ones with their reasons to a file.

Usage: with_dataframely.py eager|lazy OUT FILE...
"""

# mypy: ignore-errors

import sys
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import terms
from stopwatch import timed

ANY_FLOAT = {"allow_inf": True, "allow_nan": True}  # the others ask for no such rule


def one_of(name: str) -> dict[str, Any]:
    return {"check": lambda column: column.is_in(terms.ONE_OF[name])}


def within(name: str) -> dict[str, Any]:
    low, high = terms.RANGES[name]
    return {"min": low, "max": high}


class Orders(dy.Schema):
    """One order."""

    id = dy.Int64(min=terms.AT_LEAST["id"])
    customer = dy.Int64(**within("customer"))
    quantity = dy.Int32(**within("quantity"))
    price = dy.Float64(min_exclusive=terms.ABOVE["price"], **ANY_FLOAT)
    discount = dy.Float64(nullable=True, **within("discount"), **ANY_FLOAT)
    temperature = dy.Float64(nullable=True, **within("temperature"), **ANY_FLOAT)
    score = dy.Float32(max=terms.AT_MOST["score"], **ANY_FLOAT)
    amount = dy.Float64(min=terms.AT_LEAST["amount"], **ANY_FLOAT)
    country = dy.String(**one_of("country"))
    status = dy.String(**one_of("status"))
    device = dy.String(regex=terms.MATCHES["device"])
    email = dy.String(regex=terms.MATCHES["email"])
    sku = dy.String(regex=terms.MATCHES["sku"])
    note = dy.String(min_length=terms.LENGTHS["note"][0], max_length=terms.LENGTHS["note"][1])
    created_at = dy.Datetime(time_zone="UTC", min=terms.EPOCH)
    shipped_at = dy.Datetime(time_zone="UTC")
    gift = dy.Bool()
    priority = dy.Int8(**one_of("priority"))
    warehouse = dy.Int16(**within("warehouse"))
    weight = dy.Float64(**ANY_FLOAT)

    @dy.rule()
    def shipped_after_created(cls) -> pl.Expr:  # noqa: N805  # the library's form
        """Nothing is shipped before it was ordered."""
        return pl.col("shipped_at") >= pl.col("created_at")


def our_name(rule: str) -> str:
    column, _, asks = rule.partition("|")
    if not asks:
        return rule
    return f"{column}.not_null" if asks == "nullability" else f"{column}.value"


def eager(files: list[str], out: Path) -> dict[str, Any]:
    orders = pl.read_parquet(files)
    _, failure = Orders.filter(orders)
    failure.write_parquet(out)
    return {"rows": len(orders), "bad_rows": len(failure), "counts": _named(failure.counts())}


def lazy(files: list[str], out: Path) -> dict[str, Any]:
    """The leanest use: only the broken rows are ever collected, and counted from their file."""
    scan = pl.scan_parquet(files)
    _, failure = Orders.filter(scan)
    failure.sink_parquet(out, row_group_size=2_000)
    kept = dy.FailureInfo.read_parquet(out)
    rows = scan.select(pl.len()).collect().item()
    return {"rows": rows, "bad_rows": len(kept), "counts": _named(kept.counts())}


def _named(counts: dict[str, int]) -> dict[str, int]:
    named: dict[str, int] = {}
    for rule, count in counts.items():
        named[our_name(rule)] = named.get(our_name(rule), 0) + count
    return named


if __name__ == "__main__":
    way, out, *files = sys.argv[1:]
    timed(lambda: {"eager": eager, "lazy": lazy}[way](files, Path(out)))
