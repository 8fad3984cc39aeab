"""One way to look at a window, in this process: python -m benchmarks.drift_modes WAY WINDOW PROFILE|REFERENCE [TIMES].

Each work is done once cold, as a monitor's run would, and is what `cpu_s` and `wall_s` tell; then TIMES times more,
whose medians are `warm_cpu_s` and `warm_wall_s`. Reading a file is part of the work of the `parquet` ways alone.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from benchmarks.drift_data import DAYS, TIME, UNTIL
from benchmarks.peers.stopwatch import cpu_seconds
from validation.watch.counting import count_window
from validation.watch.drift import judge
from validation.watch.policy import Drift
from validation.watch.profile import Profile, build_profile

Rows = pl.DataFrame | pl.LazyFrame
Work = Callable[[], dict[str, Any]]


def judged(rows: Rows, profile: Profile) -> dict[str, Any]:
    """Andon's counts and its whole verdict."""
    counts = count_window(rows, profile)
    verdict = judge(
        profile, counts, pipeline="drift", window_start=UNTIL, policy=Drift(), previous=(), as_of=UNTIL
    )  # fmt: skip
    return {
        "rows": counts.rows,
        "judged": verdict.judged,
        "drifted": sorted(feature.name for feature in verdict.features if feature.drifted),
    }


def limit(rows: Rows) -> dict[str, Any]:
    """Least and largest value and nulls of every column: what Polars alone needs to look at each value once."""
    asked = [pl.len().alias("rows")]
    for name in rows.lazy().collect_schema().names():
        column = pl.col(name)
        asked += [column.min().alias(f"{name} least"), column.max().alias(f"{name} most")]
        asked += [column.null_count().alias(f"{name} nulls")]
    return {"rows": int(rows.lazy().select(asked).collect(engine="streaming")["rows"][0])}


def profiled(rows: pl.DataFrame, to: Path) -> dict[str, Any]:
    """The profile of the reference, and how large it is."""
    made = build_profile(rows, time=TIME, every=timedelta(days=1), windows=DAYS, until=UNTIL)
    text = made.to_json()
    to.write_text(text, encoding="utf-8")
    return {"rows": rows.height, "profile_kb": len(text.encode()) / 1000}


def work_of(way: str, window: Path, other: Path) -> Work:
    """What is to be timed; all that it needs before is read already, and scipy is imported."""
    import scipy.special  # noqa: F401  # judge imports it when it is first needed

    what, _, source = way.partition(" ")
    if what == "profile":
        rows = pl.read_parquet(window)
        return lambda: profiled(rows, other)
    read: Rows = pl.scan_parquet(window) if source == "parquet" else pl.read_parquet(window)
    if what == "limit":
        return lambda: limit(read)
    profile = Profile.from_json(other.read_text(encoding="utf-8"))
    return lambda: judged(read, profile)


def measured(work: Work, times: int) -> dict[str, Any]:
    """What the work found, with its seconds when cold and when warm."""
    found, spent = {}, []
    for _ in range(1 + times):
        cpu, started = cpu_seconds(), time.perf_counter()
        found = work()
        spent.append((cpu_seconds() - cpu, time.perf_counter() - started))
    cold, warm = spent[0], spent[1:] or spent
    warm_cpu, warm_wall = (median(values) for values in zip(*warm, strict=True))
    return {"cpu_s": cold[0], "wall_s": cold[1], "warm_cpu_s": warm_cpu, "warm_wall_s": warm_wall, **found}


if __name__ == "__main__":
    mode, first, second, *repeats = sys.argv[1:]
    print(json.dumps(measured(work_of(mode, Path(first), Path(second)), int(*repeats or ["0"]))))
