"""The orders' 36 rules in pointblank, and the rows that broke one to a file.

Usage: with_pointblank.py OUT FILE...
"""

# mypy: ignore-errors

import sys
from pathlib import Path
from typing import Any

import pointblank as pb
import polars as pl
import terms
from stopwatch import timed


def plan(orders: pl.DataFrame) -> tuple[pb.Validate, list[str]]:
    """The validation, and our name for each of its steps; a null passes where a value is asked for."""
    asked = pb.Validate(data=orders)
    for name, (low, high) in terms.RANGES.items():
        asked = asked.col_vals_between(name, low, high, na_pass=True)
    for name, low in terms.AT_LEAST.items():
        asked = asked.col_vals_ge(name, low, na_pass=True)
    for name, high in terms.AT_MOST.items():
        asked = asked.col_vals_le(name, high, na_pass=True)
    for name, low in terms.ABOVE.items():
        asked = asked.col_vals_gt(name, low, na_pass=True)
    for name, allowed in terms.ONE_OF.items():
        asked = asked.col_vals_in_set(name, [*allowed, None])
    for name, form in terms.MATCHES.items():
        asked = asked.col_vals_regex(name, form, na_pass=True)
    for name, (low, high) in terms.LENGTHS.items():
        asked = asked.col_vals_expr(pl.col(name).str.len_chars().is_between(low, high).fill_null(value=True))
    for name in terms.REQUIRED:
        asked = asked.col_vals_not_null(name)
    asked = asked.col_vals_ge("shipped_at", pb.col("created_at"), na_pass=True)
    return asked, [*terms.RULES]


def judge(files: list[str], out: Path) -> dict[str, Any]:
    orders = pl.read_parquet(files)
    asked, names = plan(orders)
    done = asked.interrogate(collect_extracts=False)
    bad = done.get_sundered_data(type="fail")
    bad.write_parquet(out)
    failed = done.n_failed()
    counts = {names[step - 1]: int(count) for step, count in failed.items() if count}
    return {"rows": len(orders), "bad_rows": len(bad), "counts": counts}


if __name__ == "__main__":
    out, *files = sys.argv[1:]
    timed(lambda: judge(files, Path(out)))
