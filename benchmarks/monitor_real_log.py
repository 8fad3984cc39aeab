"""One day out of a long prediction log: `python -m benchmarks.monitor_real_log`.

Three ways to read a day's predictions, in turns, each in a process of its own: the product's, which keeps the promise
that the first logged prediction of a key counts; all files whole, as it was before; and the mere filter on Parquet,
which promises nothing, as the limit. With keys at random, in order of time, and with the time as key.
"""

import argparse
import json
import tempfile
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl
from rich.table import Table

from benchmarks.show import CONSOLE
from storage.prediction_log import ROTATE_ROWS, read_predictions

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COLUMNS = 20  # numbers beside key and time
KEYS = {"keys at random": ("random",), "keys in order": ("ordered",), "the time is the key": ("at",)}
SCHEMA: dict[str, pl.DataType] = {
    "random": pl.String(),
    "ordered": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    **{f"x{number}": pl.Float64() for number in range(COLUMNS)},
}
Read = Callable[[Path, tuple[str, ...], datetime], pl.DataFrame]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run it; a table on stderr, and the same as a dictionary."""
    args = _arguments(arguments)
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        folder = Path(scratch)
        write_log(folder, files=args.files, rows=args.rows)
        day = START + (args.files // 2) * DAY / 2
        found = {
            (name, mode): _medians([_apart(mode, folder, key, day) for _ in range(args.repeat)])
            for name, key in KEYS.items()
            for mode in READERS
        }
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    show(found, title=f"one day of {args.files * args.rows:,} predictions in {args.files} files ({size:,.0f} MB)")
    cpu = {pair: row["cpu_s"] for pair, row in found.items()}
    return {
        **{f"cpu_vs_whole, {name}": round(cpu[name, "ours"] / cpu[name, "whole"], 3) for name in KEYS},
        **{f"cpu_vs_filter, {name}": round(cpu[name, "ours"] / cpu[name, "filter"], 3) for name in KEYS},
        "same_rows": all(len({found[name, mode]["rows"] for mode in READERS}) == 1 for name in KEYS),
        "raw": {f"{name}, {mode}": row for (name, mode), row in found.items()},
    }


def write_log(folder: Path, *, files: int, rows: int) -> None:
    """Half a day in each file, as a segment leaves it; names say nothing of the time."""
    random = np.random.default_rng(5)
    for number in range(files):
        since = START + number * DAY / 2
        at = [since + DAY / 2 * row / rows for row in range(rows)]
        frame = pl.DataFrame(
            {
                "prediction_id": [f"{number}-{row}" for row in range(rows)],
                "version": "7",
                "logged_at": at,
                "prediction": random.random(rows),
                "random": [uuid.UUID(bytes=random.bytes(16)).hex for _ in range(rows)],
                "ordered": [f"{moment:%Y%m%dT%H%M%S%f}" for moment in at],
                "at": at,
                **{f"x{column}": random.normal(size=rows) for column in range(COLUMNS)},
            },
            schema_overrides={"logged_at": SCHEMA["at"], "at": SCHEMA["at"]},
        )
        frame.write_parquet(folder / f"{uuid.UUID(bytes=random.bytes(16)).hex}.parquet", compression="zstd")


def read_ours(folder: Path, key: tuple[str, ...], day: datetime) -> pl.DataFrame:
    """The product's."""
    return read_predictions(folder, SCHEMA, key=key, time="at", since=day, until=day + DAY)


def read_whole(folder: Path, key: tuple[str, ...], day: datetime) -> pl.DataFrame:
    """Every file, every column; then the first of each key; then the day."""
    rows = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    few = rows.lazy().select(pl.row_index("_row"), "logged_at", *dict.fromkeys(("at", *key)))
    first = few.sort("logged_at", maintain_order=True).unique(subset=key, keep="first", maintain_order=True)
    return rows[first.filter(pl.col("at").is_between(day, day + DAY, closed="left")).collect()["_row"]]


def read_filter(folder: Path, key: tuple[str, ...], day: datetime) -> pl.DataFrame:  # noqa: ARG001 - for all keys
    """The day, and nothing promised."""
    rows = pl.scan_parquet(folder / "*.parquet")
    return rows.filter(pl.col("at").is_between(day, day + DAY, closed="left")).collect(engine="streaming")


READERS: dict[str, Read] = {"ours": read_ours, "whole": read_whole, "filter": read_filter}


def measure(mode: str, folder: Path, key: tuple[str, ...], day: datetime) -> dict[str, float]:
    """One reading, in this process."""
    for path in folder.iterdir():  # none waits for the disk
        path.read_bytes()
    wall, cpu = perf_counter(), process_time()
    rows = READERS[mode](folder, key, day).height
    cpu, wall = process_time() - cpu, perf_counter() - wall
    return {"rows": rows, "cpu_s": cpu, "wall_s": wall, "max_rss_mb": getrusage(RUSAGE_SELF).ru_maxrss / 1024}


def show(found: dict[tuple[str, str], dict[str, float]], *, title: str) -> None:
    """All ways, beside each other."""
    table = Table("", "", "rows", "CPU s", "wall s", "max RSS MB", title=title)
    for (name, mode), row in found.items():
        figures = (f"{row['rows']:,.0f}", f"{row['cpu_s']:.2f}", f"{row['wall_s']:.2f}", f"{row['max_rss_mb']:,.0f}")
        table.add_row(name, mode, *figures)
    CONSOLE.print(table)


def _apart(mode: str, folder: Path, key: tuple[str, ...], day: datetime) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, mode, folder, key, day).result()


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(run[name] for run in runs), 3) for name in runs[0]}


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rows", type=int, default=ROTATE_ROWS, help="in a file")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the log is written meanwhile")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print(json.dumps(main()))
