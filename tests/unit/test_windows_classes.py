"""Answers of several classes are judged by the classes of the version that gave them."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from andon.settings import Settings
from modelling.training import fit
from registry.ledger import Change
from registry.memory import MemoryLedger
from storage.lake import open_lake
from tasks.site import Site, open_store
from tasks.windows import _labelled
from tests.unit.modelling_world import FAST, pipeline_in, rides
from tests.unit.test_bundle import written

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def crowned(site: Site, version: str, classes: list[str], folder: Path) -> None:
    """A champion that knows these classes, its bundle on this machine."""
    rows = rides().with_columns(late=pl.Series(np.resize(classes, rides().height)))
    sha256 = written(folder, fit(site.pipeline.spec, rows, FAST, seed=7, threads=1))
    shutil.copytree(folder, site.settings.home.absolute() / "bundles" / site.name / sha256)
    change = Change(
        pipeline=site.name, kind="promotion", version=version, bundle_sha256=sha256, trained_until=DAY, why="better",
        data_time=DAY, actor="me",
    )  # fmt: skip
    site.ledger.crown(change, expected_epoch=int(version) - 1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    settings = Settings(home=tmp_path / "home")
    made = Site(
        pipeline=pipeline_in(tmp_path, task="multiclass"), settings=settings, ledger=MemoryLedger(),
        store=open_store(settings), lake=open_lake(settings), actor="me",
    )  # fmt: skip
    crowned(made, "1", ["b", "c"], tmp_path / "first")
    crowned(made, "2", ["a", "b", "c"], tmp_path / "second")
    return made


def test_each_version_answers_for_its_own_classes(site: Site) -> None:
    rows = pl.DataFrame(
        {
            "ride": [1, 2, 3, 4],
            "late": ["b", "c", "b", "a"],
            "version": ["1", "2", "2", "1"],
            "prediction": [[0.9, 0.1], [0.1, 0.3, 0.6], [0.1, 0.5, 0.4], [0.2, 0.8]],
        }
    )
    found = _labelled(site, rows)
    expected = [-np.log(0.9), -np.log(1e-15), -np.log(0.6), -np.log(0.5)]  # version 1 does not know "a"
    assert sorted(found.loss) == pytest.approx(sorted(expected))


def test_answers_of_a_version_that_is_gone_are_left_out(site: Site) -> None:
    rows = pl.DataFrame({"ride": [1, 2], "late": ["b", "b"], "version": ["1", "9"], "prediction": [[0.9, 0.1]] * 2})
    assert _labelled(site, rows).loss == pytest.approx([-np.log(0.9)])
