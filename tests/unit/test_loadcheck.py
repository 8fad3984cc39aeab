import re
from pathlib import Path

import pytest

from modelling.loadcheck import LoadCheck, check_in_fresh_process
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from tests.unit.test_bundle import written


def bundled(folder: Path, definition: str | None = None) -> str:
    model = fit(pipeline_in(folder.parent).spec, rides(), FAST, seed=7, threads=1)
    return written(folder, model, definition)


def test_a_good_bundle_answers_in_a_fresh_process_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = bundled(tmp_path / "bundle")
    (tmp_path / "polars.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    checked = check_in_fresh_process(Path("bundle"), sha256, timeout=120)
    assert checked == LoadCheck(ok=True, latency_ms=checked.latency_ms, size_mb=checked.size_mb)
    assert 0 < checked.latency_ms < 1_000
    assert 0 < checked.size_mb < 1


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ("import nowhere", "BundleError: .*cannot be executed: ModuleNotFoundError"),
        ("import os; os.abort()", "the process ended with -6"),
        ("import time; time.sleep(600)", "no answer within 3 s"),
    ],
)
def test_a_bundle_that_fails_crashes_or_hangs_is_told_and_not_raised(
    tmp_path: Path, definition: str, error: str
) -> None:
    sha256 = bundled(tmp_path / "bundle", definition)
    checked = check_in_fresh_process(tmp_path / "bundle", sha256, timeout=3 if "sleep" in definition else 120)
    assert not checked.ok
    assert re.search(error, checked.error), checked.error


def test_other_bytes_than_those_asked_for_are_told(tmp_path: Path) -> None:
    bundled(tmp_path / "bundle")
    checked = check_in_fresh_process(tmp_path / "bundle", "0" * 64, timeout=120)
    assert "expected 000000000000" in checked.error
