"""What it costs a scorer to keep a request before it answers: ours, and other ways to have it survive a SIGKILL.

One row of 24 numbers and 6 strings a request, CPU of the writing thread; ways in turns, the median of the rounds.
Then what becomes of the rows later, off the request path: read from a segment, turned into Parquet.

    python -m benchmarks.prediction_log [--quick]
"""

import argparse
import json
import os
import random
import sqlite3
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import polars as pl

from storage.compaction import compact
from storage.masking import LogPolicy
from storage.prediction_log import PredictionLog
from storage.segment import read_segment

SCHEMA: dict[str, pl.DataType] = {
    **{f"x{number}": pl.Float64() for number in range(24)},
    **{f"s{number}": pl.String() for number in range(6)},
}
MASK = LogPolicy(left_out=("x0", "s0"), hashed=("s1", "s2"), key=b"the benchmark's own key")
DISTINCT = 1_000  # rows: of one row the caches would make all ways look better than they are

Row = list[list[Any]]
Keep = Callable[[Row, str, int], object]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    arguments.add_argument("--quick", action="store_true", help="a trial: the figures mean nothing")
    quick = arguments.parse_args().quick
    print(json.dumps(measure(requests=500 if quick else 18_000, rounds=2 if quick else 7)))


def measure(*, requests: int, rounds: int) -> dict[str, Any]:
    """Microseconds of CPU a request by way, and a row for what comes later."""
    rows, names = _rows(), [f"{number:032x}" for number in range(requests)]
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as folder, way(Path(folder)) as keep:
                began = time.thread_time()
                for number, one in enumerate(names):
                    keep(rows[number % DISTINCT], one, number)
                spent[name].append((time.thread_time() - began) / requests * 1e6)
    cost = {name: median(each) for name, each in spent.items()}
    spread = {name: (max(each) - min(each)) / median(each) for name, each in spent.items()}
    _tell(cost, spread)
    return {
        "requests": requests,
        "append_cpu_us": round(cost["ours"], 2),
        "append_vs_write": round(cost["ours"] / cost["a write() a request"], 3),
        "cpu_us": {name: round(each, 2) for name, each in cost.items()},
        "cpu_spread": {name: round(each, 2) for name, each in spread.items()},
        **_later(rows, names),
    }


@contextmanager
def _ours(folder: Path, policy: LogPolicy = LogPolicy()) -> Iterator[Keep]:  # noqa: B008 - it is frozen
    with PredictionLog(folder, SCHEMA, keep=policy, compacting=False) as log:
        yield lambda row, name, at: log.append("7", row, [0.5], prediction_id=name, at_us=at)
    if log.dropped:
        raise SystemExit(f"{log.dropped} rows were dropped: what is not kept costs nothing")


@contextmanager
def _masked(folder: Path) -> Iterator[Keep]:
    with _ours(folder, MASK) as keep:
        yield keep


@contextmanager
def _written(folder: Path) -> Iterator[Keep]:
    """The same records, each by a system call, as the log did before; here without its lock, counters and rotation."""
    file, encode = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND), msgspec.msgpack.Encoder().encode

    def keep(row: Row, name: str, at: int) -> None:
        payload = encode((name, "7", at, [0.5], row))
        os.write(file, struct.pack("<II", len(payload), zlib.crc32(payload)) + payload)

    yield keep
    os.close(file)


@contextmanager
def _json_lines(folder: Path) -> Iterator[Keep]:
    """What most people write: a line of JSON, flushed; by msgspec, the fastest encoder there is for Python."""
    encode, names = msgspec.json.Encoder().encode, list(SCHEMA)
    with (folder / "log").open("wb") as file:

        def keep(row: Row, name: str, at: int) -> None:
            values = {column: values[0] for column, values in zip(names, row, strict=True)}
            file.write(encode({"id": name, "version": "7", "at": at, "prediction": 0.5, "row": values}) + b"\n")
            file.flush()

        yield keep


@contextmanager
def _sqlite(folder: Path) -> Iterator[Keep]:
    """An insert and a commit a request, in the mode in which SQLite does not wait for the disk."""
    with ExitStack() as stack:
        database = sqlite3.connect(folder / "log.db", isolation_level=None)
        stack.callback(database.close)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        database.execute(f"create table log (id, version, at, prediction, {', '.join(SCHEMA)})")
        insert = f"insert into log values ({', '.join('?' * (4 + len(SCHEMA)))})"  # noqa: S608 - question marks
        yield lambda row, name, at: database.execute(insert, (name, "7", at, 0.5, *(values[0] for values in row)))


WAYS: dict[str, Any] = {
    "ours": _ours,
    "ours, 2 columns left out, 2 hashed": _masked,
    "a write() a request": _written,
    "JSON lines, flushed": _json_lines,
    "SQLite, a commit a request": _sqlite,
}


def _rows() -> list[Row]:
    draw = random.Random(7)
    words = [f"N{draw.randrange(10**5):05}" for _ in range(300)]
    return [
        [
            *([draw.random() if draw.random() > 0.05 else None] for _ in range(24)),
            *([draw.choice(words)] for _ in range(6)),
        ]
        for _ in range(DISTINCT)
    ]


def _later(rows: list[Row], names: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        with _ours(Path(folder)) as keep:
            for number, one in enumerate(names):
                keep(rows[number % DISTINCT], one, number)
        (segment,) = Path(folder).glob("*.segment")
        size = segment.stat().st_size
        began = time.process_time()
        found = read_segment(segment)
        read = time.process_time() - began
        if found is None or found.height != len(names):
            raise SystemExit("not all rows were read back")
        began = time.process_time()
        compact(Path(folder))
        compacted = time.process_time() - began
        (parquet,) = Path(folder).glob("*.parquet")
        count = len(names)
        return {
            "read_cpu_us_a_row": round(read / count * 1e6, 2),
            "parquet_cpu_us_a_row": round(compacted / count * 1e6, 2),
            "segment_bytes_a_row": round(size / count, 1),
            "parquet_bytes_a_row": round(parquet.stat().st_size / count, 1),
        }


def _tell(cost: dict[str, float], spread: dict[str, float]) -> None:
    for name, each in sorted(cost.items(), key=lambda item: -item[1]):
        print(f"{name:36} {each:8.2f} us of CPU a request, spread {spread[name]:.0%}", file=sys.stderr)


if __name__ == "__main__":
    main()
