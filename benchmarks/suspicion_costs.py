"""What a profile and a judgement cost, in CPU seconds (user and system) of this process."""

import resource
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.suspicion_histories import START, made_up
from validation.batch_profile import profile_batch
from validation.suspicion import Suspicion, suspect

ROWS = 1_000_000
REPEATS = 3


def costs() -> dict[str, Any]:
    """A profile of 1M rows x 20 columns in Parquet, and the scan alone; of 5,000 rows x 1,000 columns; a judgement."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batch.parquet"
        _orders(np.random.default_rng(1)).write_parquet(path, row_group_size=250_000)
        scan = pl.scan_parquet(path)
        schema = scan.collect_schema()
        profiled = _cpu(lambda: profile_batch(scan, schema=schema, key="id", time="at"))
        scanned = _cpu(lambda: [part.height for part in scan.collect_batches()])
        size = len(profile_batch(scan, schema=schema, key="id", time="at").to_json())
    wide = made_up(count=1, columns=1_000, rows=5_000, seed=3)[0].batches[:21]
    profiles = [profile_batch(batch.lazy(), schema=batch.schema, key="id", time="at") for batch in wide]
    return {
        "profile_1m_x_20_cpu_s": profiled,
        "scan_1m_x_20_cpu_s": scanned,
        "profile_1m_x_20_json_kb": round(size / 1e3, 1),
        "profile_5k_x_1000_cpu_s": _cpu(
            lambda: profile_batch(wide[0].lazy(), schema=wide[0].schema, key="id", time="at")
        ),
        "suspect_1000_columns_cpu_s": _cpu(lambda: suspect(profiles[-1], profiles[:-1], policy=Suspicion())),
        "profile_1000_columns_json_kb": round(len(profiles[0].to_json()) / 1e3, 1),
    }


def _cpu(work: Callable[[], object]) -> float:
    """The least of a few runs."""
    return round(min(_once(work) for _ in range(REPEATS)), 3)


def _once(work: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _orders(rng: np.random.Generator) -> pl.DataFrame:
    """20 columns: numbers with nulls, whole numbers, texts of few and of many values, a flag, a moment, a key."""
    seconds = pl.Series(rng.integers(0, 7 * 86_400, ROWS))
    numbers = {f"amount_{index}": pl.Series(rng.normal(10 * index, 1 + index, ROWS)) for index in range(8)}
    gaps = pl.Series(rng.random(ROWS) < 0.05)
    texts = {
        f"level_{size}": pl.Series([f"level{level:05}" for level in range(size)]).gather(rng.integers(0, size, ROWS))
        for size in (5, 50, 1_000, 10_000)
    }
    return pl.DataFrame(
        {
            "id": np.arange(ROWS),
            "at": START + timedelta(0) + seconds.cast(pl.Duration("ms")) * 1000,
            **{name: values.set(gaps, None) for name, values in numbers.items()},
            **{f"count_{size}": rng.integers(0, size, ROWS) for size in (10, 100, 1_000)},
            **texts,
            "flag": rng.random(ROWS) < 0.3,
            "email": pl.Series(rng.integers(0, 10**9, ROWS)).cast(pl.String) + "@example.com",
            "serial": pl.Series(rng.integers(0, 10**12, ROWS)).cast(pl.String),
        }
    )
