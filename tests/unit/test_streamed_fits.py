"""Models of so many rows that these are streamed, from a file: the bytes of those that are fitted in memory."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

from modelling import mapped
from modelling.boosting import streaming
from modelling.boosting.dataset import Dataset
from modelling.jobs import learn
from modelling.mapped import on_disk
from modelling.recipes import Recipe
from modelling.refitting import Recent, refit
from modelling.spec import Spec, Training
from modelling.training import fit
from tests.unit.modelling_world import FAST, START, pipeline_in, plan_in, rides

DAY = timedelta(days=1)
WAYS: dict[str, tuple[str, Recipe, Training]] = {
    "plain": ("binary", FAST, Training()),
    "weights": ("binary", FAST, Training(weight="heavy", class_weight="balanced")),
    "newest, fading": ("binary", replace(FAST, span_days=20.0, half_life_days=5.0), Training()),
    "calibrated": ("binary", FAST, Training(calibration="isotonic")),
    "monotone, rare levels": ("binary", FAST, Training(monotone={"wind": 1}, min_level_rows=600)),
    "continued": ("binary", replace(FAST, way="continued", span_days=20.0, more=4), Training()),
    "several classes": ("multiclass", FAST, Training(class_weight="balanced")),
    "regression": ("regression", replace(FAST, half_life_days=5.0), Training()),
}


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any frame is large, and any number of cells too many to be in memory."""
    monkeypatch.setattr(mapped, "LEAST_BYTES", 0)
    monkeypatch.setattr(streaming, "STREAM_CELLS", 0)


def problem(folder: Path, task: str, training: Training) -> tuple[Spec, pl.DataFrame]:
    """Rides whose label is of that task, with a weight, and levels of which one is rare."""
    labels = {"binary": pl.col("late"), "multiclass": pl.col("stop"), "regression": pl.col("wind").round()}
    rows = rides().with_columns(heavy=1.0 + pl.col("ride") % 5, late=labels[task])
    rows = rows.with_columns(stop=pl.when(pl.col("ride") % 400 == 0).then(pl.lit("rare")).otherwise("stop"))
    return replace(pipeline_in(folder, task=task).spec, training=training), rows


def streamed_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were streamed each time, from now on."""
    told, own = list[int](), streaming.stream_dataset

    def stream(*args: Any, rows: int, **named: Any) -> Dataset:
        told.append(rows)
        return own(*args, rows=rows, **named)

    monkeypatch.setattr(streaming, "stream_dataset", stream)
    return told


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_of_streamed_rows_has_the_same_bytes(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, recipe, training = WAYS[way]
    spec, rows = problem(tmp_path, task, training)
    wanted = fit(spec, rows, recipe, seed=7, threads=1)
    monkeypatch.setattr(mapped, "LEAST_BYTES", 0)
    monkeypatch.setattr(streaming, "STREAM_CELLS", 0)
    told = streamed_sizes(monkeypatch)
    found = fit(spec, on_disk(rows), recipe, seed=7, threads=1)
    assert (found.text, found.encoding, found.classes, found.calibration) == (
        wanted.text,
        wanted.encoding,
        wanted.classes,
        wanted.calibration,
    )
    assert found.made == wanted.made
    assert told


@pytest.mark.parametrize("when", ["never", pytest.param("always", marks=pytest.mark.slow)])
def test_a_challenger_of_streamed_rows_has_the_same_bytes(
    when: Literal["never", "always"], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plan = replace(plan_in(tmp_path, window=5 * DAY, when="never"), when=when)
    wanted = learn(plan, rides().head(1_800), holdout=rides().tail(150))
    request.getfixturevalue("streams")
    rows = on_disk(rides())
    found = learn(plan, rows.head(1_800), holdout=rows.tail(150))
    assert wanted.model is not None
    assert found.model is not None
    assert (found.model.text, found.tried, found.why) == (wanted.model.text, wanted.tried, wanted.why)
    np.testing.assert_array_equal(found.baselines["linear"], wanted.baselines["linear"])


def test_a_refit_on_streamed_rows_and_what_its_like_say_are_the_same(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec, rows, since = pipeline_in(tmp_path).spec, rides(), START + 30 * DAY
    newest = rows.filter(pl.col("at") >= since)
    recent = Recent(
        since=since,
        until=since + 10 * DAY,
        inputs=newest.select("wind"),
        windows=np.arange(newest.height) // 48,
        folds=3,
        gap=DAY,
    )
    wanted, unseen = refit(spec, rows, FAST, recent, champion=None, seed=7, threads=1)
    request.getfixturevalue("streams")
    found, seen = refit(spec, on_disk(rows), FAST, recent, champion=None, seed=7, threads=1)
    assert found.text == wanted.text
    np.testing.assert_array_equal(seen.predictions, unseen.predictions)
    assert seen.estimator == unseen.estimator
