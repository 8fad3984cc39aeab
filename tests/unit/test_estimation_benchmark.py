"""The estimation benchmark's own parts at tiny size: the worlds, our side of it, and what is made of both."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import estimation_report
from benchmarks.estimation_ours import estimates
from benchmarks.estimation_report import Trial
from benchmarks.estimation_world import METRICS, WINDOWS, Kind, Size, realised, write_world
from benchmarks.measure import Run

TINY = Size(training=500, reference=2_000, window=100)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_our_side_estimates_each_window_and_metric(tmp_path: Path, kind: Kind) -> None:
    folder = write_world(tmp_path / "world", kind, seed=1, size=TINY)
    windows = pl.read_parquet(folder / "windows.parquet").partition_by("window", maintain_order=True)
    told, came = estimates(pl.read_parquet(folder / "reference.parquet"), windows, kind), realised(folder, kind)
    assert set(METRICS[kind]) == set(came)
    for name in METRICS[kind]:
        assert (len(told[name]), len(told[f"{name} bounds"]), len(came[name])) == (len(WINDOWS),) * 3
    quiet = [number for number, window in enumerate(WINDOWS) if window.shift == "none"]
    first = METRICS[kind][0]
    assert np.mean(np.array(told[first])[quiet]) == pytest.approx(came[first][quiet].mean(), rel=0.1)


def test_a_world_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    once, again = (write_world(tmp_path / name, "regression", seed=3, size=TINY) for name in ("a", "b"))
    assert pl.read_parquet(once / "windows.parquet").equals(pl.read_parquet(again / "windows.parquet"))


def trial(kind: Kind, *, off: float, cpu_s: float) -> Trial:
    """All realised values are 1 or 2 in turns; ours are `off` too high, NannyML's 0.1 too low, its bounds miss all."""
    came = np.resize([1.0, 2.0], len(WINDOWS))

    def told(values: Any, reach: float) -> dict[str, Any]:
        found: dict[str, Any] = {"fit_cpu_s": 0.1, "kb": 20.0}
        for name in METRICS[kind]:
            found |= {name: list(values), f"{name} bounds": [(value - reach, value + reach) for value in values]}
        return found

    ours = Run(cpu_s=cpu_s, wall_s=1.0, process_cpu_s=2.0, found=told(came + off, 1.0))
    nannyml = replace(ours, cpu_s=2.0, found=told(came - 0.1, 0.01))
    return Trial(kind=kind, came=dict.fromkeys(METRICS[kind], came), ours=ours, nannyml=nannyml)


def test_the_answer_is_the_worst_metric_and_the_median_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    trials = [trial("classification", off=0.1, cpu_s=cpu) for cpu in (0.02, 0.04, 9.0)]
    found = estimation_report.answer([*trials, trial("regression", off=-0.12, cpu_s=0.5)])
    assert found["error_vs_nannyml"] == pytest.approx(1.2)
    assert found["error_vs_nannyml_by_metric"]["classification auc"] == pytest.approx(1.0)
    assert (found["cpu_vs_nannyml"], found["cpu_vs_nannyml_regression"]) == (0.02, 0.25)
    assert found["mean_absolute_error"]["regression"]["l1"]["none"] == {
        "ours": 0.12,
        "nannyml": 0.1,
        "constant": 0.5,
    }
    assert found["within_bounds"]["regression"]["l2"]["concept"] == {"ours": 1.0, "nannyml": 0.0}
    estimation_report.show(found)
    told = capsys.readouterr().err
    assert "MISSED: error_vs_nannyml is 1.2, wanted at most 1.05" in told
    assert "MISSED: cpu" not in told
