"""The batch benchmark: its answers, its data, and once the whole of it with a handful of rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from andon.processes import PROJECT
from benchmarks.batch import answer
from benchmarks.batch_world import LEVELS, NUMBERS, rows_of
from benchmarks.measure import Run

OURS = Run(cpu_s=30.0, wall_s=20.0, peak_mb=400.4, found={"rows": 1_000_000, "total": 5.0})
PANDAS = Run(cpu_s=50.0, wall_s=30.0, peak_mb=900.0, found={"rows": 1_000_000, "total": 5.0})
SAMPLE = Run(cpu_s=2.0, wall_s=2.0, found={"rows": 100_000})
COPIED = Run(cpu_s=1.0, wall_s=4.0, found={"rows": 1_000_000, "server_cpu_s": 3.0})
CONTROL = Run(found={"booster_us": 44.04, "engine_us": 25.0})


def test_the_answer() -> None:
    runs = {"ours": OURS, "pandas": PANDAS, "executemany": SAMPLE, "ours_postgres": COPIED, "lightgbm": CONTROL}
    assert answer(runs, rows=1_000_000, small=200_000) == {
        "benchmark": "batch",
        "rows": 1_000_000,
        "cpu_vs_pandas": 0.6,
        "peak_mb": 400,
        "small_rows": 200_000,
        "peak_mb_small": None,
        "pandas_peak_mb": 900,
        "cpu_us_per_row": 30.0,
        "pandas_cpu_us_per_row": 50.0,
        "postgres_rows_per_s_vs_executemany": 5.0,
        "postgres_cpu_vs_executemany": 5.0,
        "booster_us_per_row": 44.0,
        "engine_us_per_row": 25.0,
        "agree": True,
        "failed": {},
    }


@pytest.mark.parametrize("found", [{"rows": 999_999, "total": 5.0}, {"rows": 1_000_000, "total": 5.1}])
def test_other_predictions_are_no_agreement(found: dict[str, float]) -> None:
    other = Run(cpu_s=50.0, found=found)
    assert answer({"ours": OURS, "pandas": other}, rows=1, small=1)["agree"] is False


def test_what_failed_has_no_figures() -> None:
    told = answer({"ours": Run(found={}, failed="exit code 1"), "pandas": PANDAS}, rows=1, small=1)
    assert (told["cpu_vs_pandas"], told["agree"], told["failed"]) == (None, False, {"ours": "exit code 1"})


def test_rows_are_the_same_each_time_and_have_gaps() -> None:
    rows = rows_of(100, 2_000)
    assert rows.equals(rows_of(100, 2_000))
    assert rows["id"].to_list() == list(range(100, 2_100))
    assert rows.width == 3 + len(NUMBERS) + len(LEVELS)
    assert 0.03 < rows["x3"].null_count() / rows.height < 0.07
    assert 0.01 < rows["c5"].null_count() / rows.height < 0.03


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.batch", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    told = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert (told["agree"], told["failed"], told["rows"]) == (True, {}, 4_000)
    assert told["raw"]["lightgbm"]["worst_difference"] <= 1e-12
