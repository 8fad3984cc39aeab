"""One way to judge the orders, in this process: python -m benchmarks.contract_modes WAY DEAD_LETTER FILE..."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import hand
from benchmarks.peers.stopwatch import timed

Files = list[Path]
Judge = Callable[[Files, Path], dict[str, Any]]


def scan_only(files: Files, _: Path) -> dict[str, Any]:
    """Every column decoded, and thrown away."""
    heights: list[int] = []
    pl.scan_parquet(files).sink_batches(lambda batch: heights.append(batch.height))
    return {"rows": sum(heights)}


def pandera_eager(files: Files, _: Path) -> dict[str, Any]:
    """The whole frame in memory."""
    from pandera.errors import SchemaErrors

    from benchmarks.orders_contract import Orders

    orders = pl.read_parquet(files)
    try:
        Orders.validate(orders, lazy=True)
    except SchemaErrors as errors:
        return _told(errors, rows=orders.height)
    return {"rows": orders.height, "bad_rows": 0, "counts": {}}


def pandera_lazy(files: Files, _: Path) -> dict[str, Any]:
    """A LazyFrame; without the depth pandera would look at the types alone."""
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    from benchmarks.orders_contract import Orders

    scan = pl.scan_parquet(files)
    rows = scan.select(pl.len()).collect().item()
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            Orders.validate(scan, lazy=True)
    except SchemaErrors as errors:
        return _told(errors, rows=rows)
    return {"rows": rows, "bad_rows": 0, "counts": {}}


def _told(errors: Any, *, rows: int) -> dict[str, Any]:
    from benchmarks.orders_contract import our_name

    cases = errors.failure_cases
    told: Mapping[Any, int] = Counter(cases.select("column", "check").iter_rows())
    counts: Counter[str] = Counter()
    for (column, check), count in told.items():
        counts[our_name(column, check)] += count
    return {"rows": rows, "bad_rows": cases["index"].n_unique(), "counts": dict(counts)}


def ours(files: Files, dead_letter: Path) -> dict[str, Any]:
    """Andon's judge. Beside the 36 rules it always asks that keys differ and that moments are in reach."""
    from datetime import UTC, datetime

    from benchmarks.orders_contract import Orders, our_name
    from validation.contract import Quarantine, Terms, judge_batch

    terms = Terms(contract=Orders, policy=Quarantine(), key=("id",), time="created_at")
    judged = judge_batch(
        pl.scan_parquet(files), terms, pipeline="orders", batch="orders", as_of=datetime(2026, 1, 1, tzinfo=UTC),
        dead_letter=dead_letter,
    )  # fmt: skip
    verdict = judged.verdict
    told = {rule.name: rule.rows for rule in verdict.rules if rule.name not in ("id.unique", "created_at.in_reach")}
    counts = {our_name(*(name.split(".") if "." in name else ("", name))): rows for name, rows in told.items()}
    return {"rows": verdict.rows_in, "bad_rows": verdict.rows_quarantined, "counts": counts}


WAYS: dict[str, Judge] = {
    "scan": scan_only,
    "hand": hand.judge,
    "hand_keyed": hand.judge_keyed,
    "ours": ours,
    "pandera_eager": pandera_eager,
    "pandera_lazy": pandera_lazy,
}

if __name__ == "__main__":
    way, out, *paths = sys.argv[1:]
    if way.startswith(("pandera", "ours")):  # imports are no part of the work
        import pandera.backends.polars.builtin_checks  # noqa: F401

        import benchmarks.orders_contract  # noqa: F401
        import validation.contract  # noqa: F401
    timed(lambda: WAYS[way]([Path(path) for path in paths], Path(out)))
