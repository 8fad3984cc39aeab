"""The drift benchmark at tiny size: the data move where they should, each way does its work, and what is made of it."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks import drift_data, drift_modes, drift_report
from benchmarks.measure import Run

ROWS = 6_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Reference, window and profile."""
    folder = tmp_path_factory.mktemp("drift")
    reference, window = folder / "reference.parquet", folder / "current.parquet"
    for path in (reference, window):
        drift_data.write(path, ROWS, numbers=5, categories=3, reference=path is reference)
    drift_modes.work_of("profile memory", reference, folder / "profile.json")()
    return reference, window, folder / "profile.json"


def test_the_window_moves_in_two_columns_and_in_no_other(files: tuple[Path, Path, Path]) -> None:
    reference, window = (pl.read_parquet(path) for path in files[:2])
    assert reference.columns == [*window.columns, "at"]
    assert reference["at"].unique().sort().to_list()[:: drift_data.DAYS - 1] == [
        drift_data.SINCE,
        drift_data.UNTIL - (drift_data.UNTIL - drift_data.SINCE) / drift_data.DAYS,
    ]
    names = ["x0", "x1", "x3", "x4"]
    then, now = (frame.select(names).mean().row(0) for frame in (reference, window))
    moved = [name for name, before, after in zip(names, then, now, strict=True) if abs(after - before) > 0.1]
    shares = [(frame["c1"] == "level 2").mean() for frame in (reference, window)]
    assert moved == ["x1"]
    assert shares == [pytest.approx(2 / 11, abs=0.02), pytest.approx(2 / 11 * 0.9 + 0.1, abs=0.02)]
    assert window["x0"].null_count() / ROWS == pytest.approx(drift_data.NULLS, abs=0.01)
    assert [window[name].n_unique() - window[name].has_nulls() for name in ("c0", "c1", "c2")] == [2, 3, 5]


@pytest.mark.parametrize("way", ["ours memory", "ours parquet", "limit memory", "limit parquet"])
def test_each_way_looks_at_all_rows(way: str, files: tuple[Path, Path, Path]) -> None:
    found = drift_modes.measured(drift_modes.work_of(way, *files[1:]), 1)
    assert found["rows"] == ROWS
    assert found.get("drifted", ["x1"]) == ["x1"]
    assert min(found["cpu_s"], found["warm_wall_s"]) >= 0


def ran(cpu: float, warm: float = 0.0, **found: object) -> Run:
    return Run(cpu_s=cpu, wall_s=cpu, found={"rows": 10, "warm_cpu_s": warm, "warm_wall_s": warm, **found})


def test_the_answer_takes_the_worse_of_cold_and_warm() -> None:
    raw = {
        "profile": [ran(4.0, profile_kb=131.24)],
        "ours memory": [ran(3.0, 1.0, drifted=["x1"]), ran(1.0, 2.0, drifted=["x1"]), ran(2.0, 3.0, drifted=["x1"])],
        "limit memory": [ran(1.0, 2.0)],
        "nannyml": [Run(cpu_s=100.0, found={"rows": 10, "drifted": [], "fit_cpu_s": 60.0})],
        "evidently": [Run(found={}, failed="exit code 1")],
        "ours memory wide": [ran(1.5)],
        "ours parquet long": [Run(cpu_s=1.0, peak_mb=432.1, found={"rows": 100, "warm_cpu_s": 1, "warm_wall_s": 1})],
    }
    medians = drift_report.figures(raw)
    assert (medians["ours memory"].cpu_s, medians["ours memory, warm"].cpu_s) == (2.0, 2.0)
    told = drift_report.answer(raw, medians, rows=10)
    assert (told["cpu_vs_limit"], told["cpu_vs_limit_cold_and_warm"]) == (2.0, [2.0, 1.0])
    assert (told["cpu_vs_nannyml"], told["cpu_vs_nannyml_fitted"], told["cpu_vs_evidently"]) == (0.02, 0.05, None)
    assert (told["cpu_vs_limit_parquet"], told["profile_kb"], told["peak_mb"]) == (None, 131.2, 432)
    assert (told["seconds_1000_columns"], told["profile_cpu_s"]) == (1.5, 4.0)
    assert drift_report.told(raw) == {"ours memory": ["x1"], "nannyml": []}
