"""Ten million rows scored: Andon's own path from its table to files and to PostgreSQL, beside pandas by hand.

    python -m benchmarks.batch [--rows 10_000_000] [--small 2_000_000] [--trees 500] [--threads 4] [--folder SCRATCH]

Every run is a fresh process. `ours`: curated table -> partitions -> features -> engine -> prediction log -> outbox -> a
Parquet file, by the functions of the task; Prefect, the lease and the ledger's verdict are not in it. `pandas`:
read_parquet -> category codes -> Booster.predict -> to_parquet, without a log. Both with the same threads.
`ours_postgres`: the outbox into a table with indexes by the product's channel; `executemany`: psycopg into one without,
a sample of rows, scaled by row, the middle of three runs; their CPU is the client's and the server's together.
`lightgbm`: Booster.predict alone, and our engine alone, on one matrix. --quick: a few thousand rows, to see it run.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import stock
from benchmarks.batch_world import installation, landed
from benchmarks.measure import Run, run
from benchmarks.show import CONSOLE

_SECONDS = 7_200.0
_OF_DATABASE = ("ours_postgres", "executemany")


def main() -> None:
    """Make what is missing, measure, and tell."""
    options = _options()
    runs: dict[str, Run] = {}
    with _database(options) as env:
        for rows, ways in (
            (options.rows, ("ours", "ours_postgres", "executemany", "pandas", "lightgbm")),
            (options.small, ("ours",)),
        ):
            _make(options, rows)
            for way in ways:
                name = way if rows == options.rows else f"{way}_small"
                if (options.only and name not in options.only) or (env is None and way in _OF_DATABASE):
                    continue
                runs[name] = _run(options, way, rows, env or os.environ)
                if way == "executemany":  # it is short, and the machine may be busy
                    others = [runs[name], *(_run(options, way, rows, env or os.environ) for _ in range(2))]
                    runs[name] = sorted(others, key=lambda one: one.wall_s)[1]
                _show(name, runs[name])
    told = answer(runs, rows=options.rows, small=options.small)
    _table(runs)
    print(json.dumps({**told, "raw": _raw(runs), "load_average": os.getloadavg(), "cpus": os.cpu_count()}))


def answer(runs: Mapping[str, Run], *, rows: int, small: int) -> dict[str, object]:
    """The figures that are asked for; None for what was not run, or failed."""
    done = {name: one for name, one in runs.items() if not one.failed}
    ours, pandas, control = done.get("ours"), done.get("pandas"), done.get("lightgbm")
    copied, by_hand, few = done.get("ours_postgres"), done.get("executemany"), done.get("ours_small")
    both = ours is not None and pandas is not None
    return {
        "benchmark": "batch",
        "rows": rows,
        "cpu_vs_pandas": round(ours.cpu_s / pandas.cpu_s, 3) if ours and pandas else None,
        "peak_mb": round(ours.peak_mb) if ours else None,
        "small_rows": small,
        "peak_mb_small": round(few.peak_mb) if few else None,
        "pandas_peak_mb": round(pandas.peak_mb) if pandas else None,
        "cpu_us_per_row": round(ours.cpu_s / rows * 1e6, 1) if ours else None,
        "pandas_cpu_us_per_row": round(pandas.cpu_s / rows * 1e6, 1) if pandas else None,
        "postgres_rows_per_s_vs_executemany": _times(copied, by_hand, "wall_s"),
        "postgres_cpu_vs_executemany": _times(_with_server(copied), _with_server(by_hand), "cpu_s"),
        "booster_us_per_row": round(control.found["booster_us"], 1) if control else None,
        "engine_us_per_row": round(control.found["engine_us"], 1) if control else None,
        "agree": both and _agree(ours, pandas),
        "failed": {name: one.failed for name, one in runs.items() if one.failed},
    }


def _times(ours: Run | None, theirs: Run | None, cost: str) -> float | None:
    """How much more a row costs them."""
    if ours is None or theirs is None:
        return None
    return round((getattr(theirs, cost) / theirs.found["rows"]) / (getattr(ours, cost) / ours.found["rows"]), 2)


def _with_server(one: Run | None) -> Run | None:
    """With the database server's CPU seconds added to the client's."""
    return None if one is None else replace(one, cpu_s=one.cpu_s + one.found.get("server_cpu_s", 0.0))


def _agree(ours: Run | None, pandas: Run | None) -> bool:
    """As many rows, and the same sum of predictions to nine digits."""
    assert ours is not None  # noqa: S101 - for mypy: the caller has looked
    assert pandas is not None  # noqa: S101
    mine, other = ours.found["total"], pandas.found["total"]
    return bool(ours.found["rows"] == pandas.found["rows"] and abs(mine - other) <= 1e-9 * abs(other))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=2_000_000, help="rows of the run that shows memory")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both sides")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="these modes; the outbox is kept")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "andon-benchmarks")
    parser.add_argument("--quick", action="store_true", help="a few thousand rows, without PostgreSQL")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.small, options.trees = 4_000, 1_000, 5
    return options


@contextmanager
def _database(options: argparse.Namespace) -> Iterator[dict[str, str] | None]:
    """The environment with a fresh PostgreSQL server; None with --quick."""
    if options.quick:
        yield None
        return
    from tests.postgres import create_database, postgres_server

    with postgres_server() as server:
        yield {**os.environ, "ANDON_DELIVERY_DATABASE": create_database(server)}


def _make(options: argparse.Namespace, rows: int) -> None:
    command = [sys.executable, "-m", "benchmarks.batch_world", options.folder, rows, options.trees]
    subprocess.run([str(part) for part in command], check=True)


def _run(options: argparse.Namespace, way: str, rows: int, env: Mapping[str, str]) -> Run:
    """NOTE: a process keeps to as many processors as it has threads, or the product would take all."""
    out, home = options.folder / "batch" / "out", installation(options.folder, rows, options.trees)
    path = landed(options.folder, rows)
    shutil.rmtree(out, ignore_errors=True)
    stock.warm([path])
    processors = ",".join(map(str, sorted(os.sched_getaffinity(0))[: options.threads]))
    command = ["taskset", "-c", processors, sys.executable, "-m", "benchmarks.batch_modes"]
    before = _server_cpu_s()
    done = run([*command, way, home, path, out, str(options.threads)], seconds=_SECONDS, env=env)
    if way not in _OF_DATABASE or done.failed:
        return done
    time.sleep(1.0)  # the server reaps its session's process
    return replace(done, found={**done.found, "server_cpu_s": round(_server_cpu_s() - before, 2)})


def _server_cpu_s() -> float:
    """Of the database server that this process has started, and its processes that have ended."""
    spent = 0.0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = entry.read_text(encoding="utf-8").rpartition(")")
            numbers = rest.split()
            if name.endswith("(postgres") and int(numbers[1]) == os.getpid():
                spent += sum(map(int, numbers[11:15])) / os.sysconf("SC_CLK_TCK")
    return spent


def _show(name: str, one: Run) -> None:
    CONSOLE.print(f"{name}: {one.failed.strip() or f'{one.cpu_s:,.1f} CPU s, {one.wall_s:,.1f} s'}")


def _table(runs: Mapping[str, Run]) -> None:
    shown = Table("", "CPU s", "wall s", "peak MB", "max RSS MB", "found", title="a batch")
    for name, one in runs.items():
        cells = (f"{one.cpu_s:,.1f}", f"{one.wall_s:,.1f}", f"{one.peak_mb:,.0f}", f"{one.max_rss_mb:,.0f}")
        shown.add_row(name, *cells, "failed" if one.failed else str(dict(one.found)))
    CONSOLE.print(shown)


def _raw(runs: Mapping[str, Run]) -> dict[str, dict[str, Any]]:
    costs = ("cpu_s", "wall_s", "process_cpu_s", "peak_mb", "max_rss_mb")
    return {
        name: {cost: round(getattr(one, cost), 2) for cost in costs} | dict(one.found) for name, one in runs.items()
    }


if __name__ == "__main__":
    main()
