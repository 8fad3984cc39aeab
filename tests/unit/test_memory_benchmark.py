"""The memory benchmark: its answers, its data, and once the whole of it with few rows."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from andon.processes import PROJECT
from benchmarks.measure import Run
from benchmarks.memory import answer, of_retrains
from benchmarks.memory_modes import INPUTS, LABEL, make
from benchmarks.memory_watch import Peaks
from benchmarks.show import figures

FEW, MANY = 1_000_000, 10_000_000


def ran(cpu_s: float, peak_mb: float, dataset_cpu_s: float) -> list[Run]:
    return [Run(cpu_s=cpu_s, peak_mb=peak_mb, found={"dataset_cpu_s": dataset_cpu_s, "rows": 1, "trees": "a"})]


RUNS = {
    FEW: {"stream": ran(4, 100, 2), "frame": ran(3, 200, 1), "pandas": ran(5, 300, 2)},
    MANY: {"stream": ran(40, 550, 20), "frame": ran(30, 2_000, 10), "pandas": ran(50, 3_000, 30)},
}


def test_ours_is_the_way_that_the_product_chooses_and_the_worst_size_counts() -> None:
    found = {rows: {way: figures(runs, {"rows": 1}) for way, runs in ways.items()} for rows, ways in RUNS.items()}
    told = answer(RUNS, found)
    assert told["ours_is"] == {FEW: "frame", MANY: "stream"}
    assert told["cpu_vs_pandas_by_rows"] == {FEW: 0.6, MANY: 0.8}
    assert (told["cpu_vs_pandas"], told["dataset_cpu_vs_pandas"]) == (0.8, 0.667)
    assert told["bytes_per_row"] == pytest.approx(450 * 2**20 / 9e6, abs=0.1)
    assert told["rows_in_24gib"] == pytest.approx(MANY + (24 * 2**30 - 550 * 2**20) / told["bytes_per_row"], rel=1e-6)
    assert (told["agree"], told["failed"]) == (True, {})


def test_a_way_that_failed_has_no_figures_and_is_named() -> None:
    runs = {**RUNS, MANY: {**RUNS[MANY], "pandas": [Run(found={}, failed="killed")]}}
    found = {rows: {way: figures(ones, {"rows": 1}) for way, ones in ways.items()} for rows, ways in runs.items()}
    told = answer(runs, found)
    assert told["cpu_vs_pandas_by_rows"] == {FEW: 0.6, MANY: None}
    assert told["bytes_per_row_pandas"] is None
    assert (told["agree"], told["failed"]) == (False, {f"pandas_{MANY}": "killed"})


def test_of_a_retrain_the_steepest_slope_and_the_larger_training_process_count() -> None:
    found = {
        rows: Peaks(parent=parent, learn=learn, refit=refit, cpu_s=1.0, outcome="promote")
        for rows, parent, learn, refit in (
            (2**20, 100.0, 50.0, 10.0),
            (2**21, 500.0, 150.0, 130.0),
            (2**22, 700.0, 200.0, 250.0),
        )
    }
    told = of_retrains(found)
    assert (told["retrain_training_bytes_per_row"], told["retrain_parent_bytes_per_row"]) == (120.0, 400.0)
    assert told["retrains"][2**20]["learn"] == 50.0
    assert of_retrains({})["retrain_parent_bytes_per_row"] is None


def test_the_files_hold_all_kinds_of_inputs_and_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    make(folder, 1_001)
    rows = pl.read_parquet(folder)
    assert rows.shape == (1_001, INPUTS + 1)
    assert {str(dtype) for dtype in rows.dtypes} == {"Float64", "Float32", "Int32", "Boolean", "String"}
    assert rows["d1"].null_count() > 0
    assert 0.2 < rows[LABEL].cast(pl.Float64).mean() < 0.8  # type: ignore[operator]
    make(folder, 5)
    assert pl.read_parquet(folder).equals(rows)


@pytest.mark.slow
def test_the_whole_of_it_with_few_rows(tmp_path: Path) -> None:
    """All ways but the one with other bins must grow the same trees; no figure of so few rows means anything."""
    command = [sys.executable, "-m", "benchmarks.memory", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT, timeout=300)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["agree"], told["failed"]) == (True, {})
    assert told["retrains"]["20000"]["outcome"] == "promote"
    assert min(told["retrains"]["20000"][process] for process in ("parent", "learn", "refit")) > 20
    assert {name.rpartition("_")[0] for name in told["raw"]} == {"stream", "frame", "pandas", "pandas_defaults"}
