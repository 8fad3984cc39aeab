"""What the tests of the command line share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.processes import free_port
from tests.unit.shell import PIPELINE, Shell


@pytest.fixture
def andon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    before = dict(os.environ)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "trips.py").write_text(PIPELINE)
    for name in [name for name in os.environ if name.startswith(("ANDON_", "PREFECT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANDON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANDON_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("ANDON_SCORER_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("COLUMNS", "200")
    yield Shell(tmp_path / "home", capsys)
    os.environ.clear()
    os.environ.update(before)
