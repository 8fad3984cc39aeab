"""The 36 rules as an expert writes them by hand for this one table: one filter, counts from what it lets through.

A row that keeps all rules is in no count, so only the broken rows need be counted, and there are few of them.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers import terms

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
_SMALL_ROW_GROUPS = 2_000  # NOTE: filtered rows keep their pages' buffers alive until their row group is written


def rules() -> dict[str, pl.Expr]:
    """Per rule: is it broken? Null where the value is null, except for the rules that ask for a value."""
    broken: dict[str, pl.Expr] = {}
    for name, (low, high) in terms.RANGES.items():
        broken[f"{name}.value"] = (pl.col(name) < low) | (pl.col(name) > high)
    broken |= {f"{name}.value": pl.col(name) < least for name, least in terms.AT_LEAST.items()}
    broken |= {f"{name}.value": pl.col(name) > high for name, high in terms.AT_MOST.items()}
    broken |= {f"{name}.value": pl.col(name) <= low for name, low in terms.ABOVE.items()}
    broken |= {f"{name}.value": ~pl.col(name).is_in(allowed) for name, allowed in terms.ONE_OF.items()}
    broken |= {f"{name}.value": ~pl.col(name).str.contains(form) for name, form in terms.MATCHES.items()}
    for name, (low, high) in terms.LENGTHS.items():
        length = pl.col(name).str.len_chars()
        broken[f"{name}.value"] = (length < low) | (length > high)
    broken |= {f"{name}.not_null": pl.col(name).is_null() for name in terms.REQUIRED}
    broken[terms.CROSS] = pl.col("shipped_at") < pl.col("created_at")
    return broken


def judge(files: list[Path], dead_letter: Path) -> dict[str, Any]:
    """Rows, bad rows and counts by the 36 rules; the bad rows with their positions go to `dead_letter`."""
    return _judge(files, dead_letter, rules())


def judge_keyed(files: list[Path], dead_letter: Path) -> dict[str, Any]:
    """The same, and what Andon asks of every batch beside its contract: keys differ, moments are in reach."""
    broken = rules()
    moment = pl.col("created_at")
    broken["id.unique"] = pl.col("_row").is_in(_repeated(files).implode())
    broken["created_at.in_reach"] = (moment < _EARLIEST) | (moment > _LATEST)
    return _judge(files, dead_letter, broken)


def _judge(files: list[Path], dead_letter: Path, broken: dict[str, pl.Expr]) -> dict[str, Any]:
    scan = pl.scan_parquet(files, row_index_name="_row")
    bad = scan.filter(pl.any_horizontal(*broken.values()))
    bad.sink_parquet(dead_letter, row_group_size=_SMALL_ROW_GROUPS)
    counted = pl.scan_parquet(dead_letter).select(
        pl.len().alias("bad_rows"), *(broken[name].sum().alias(name) for name in terms.RULES)
    )
    counts = counted.collect().row(0, named=True)
    rows = pl.scan_parquet(files).select(pl.len()).collect().item()
    return {"rows": rows, "bad_rows": counts.pop("bad_rows"), "counts": {k: n for k, n in counts.items() if n}}


def _repeated(files: list[Path]) -> pl.Series:
    """Positions of the rows whose id an earlier row has: sorted, equal ids are neighbours."""
    ids = pl.scan_parquet(files).select("id").collect(engine="streaming").to_series()
    in_order = ids.sort()
    twice = in_order.filter(in_order.eq_missing(in_order.shift(1))).unique()
    places = ids.is_in(twice.implode(), nulls_equal=True).arg_true()
    return places.filter(~ids.gather(places).is_first_distinct())
