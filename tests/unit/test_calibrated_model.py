"""A calibrated model gives the same corrected predictions by every way that leads to them."""

import json
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelling.batches import predictions_of
from modelling.bundle import BundleError, load, write
from modelling.crossfit import cross_fitted
from modelling.manifest import parse, to_json
from modelling.metric_table import auc
from modelling.metrics import baseline_prediction, row_losses
from modelling.plain import plain
from modelling.spec import Training
from modelling.training import Model, fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides

ISOTONIC = Training(calibration="isotonic")
RARE = pl.col("late") & (pl.col("ride") % 4 == 0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """Of two classes and of three."""
    spec = replace(pipeline_in(tmp_path_factory.mktemp("rides")).spec, training=ISOTONIC)
    kinds = rides().with_columns(late=pl.col("late").cast(pl.Int64) + (pl.col("wind") > 12))
    return {
        "binary": fit(spec, rides(), FAST, seed=7, threads=1),
        "multiclass": fit(replace(spec, task="multiclass"), kinds, FAST, seed=7, threads=1),
    }


def written(folder: Path, model: Model) -> str:
    pipeline = pipeline_in(folder.parent)
    return write(
        folder,
        model=model,
        pipeline="rides",
        definition=pipeline.module_source,
        definition_hash=pipeline.fingerprint,
        snapshot="rides-7",
        rows=rides(),
        profile_json="{}",
    )


def values_of(rows: pl.DataFrame, model: Model) -> list[list[Any]]:
    return [rows[name].to_list() for name in model.spec.raw_schema]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_every_way_of_asking_gives_the_corrected_prediction(
    tmp_path: Path, models: dict[str, Model], task: str
) -> None:
    model, later = models[task], rides(60, seed=3)
    assert model.calibration is not None
    engine = model.engine.predict(model.matrix(later))
    expected = model.calibration.many(engine)
    assert np.abs(expected - engine).max() > 0.01
    sha256 = written(tmp_path / "bundle", model)
    bundle = load(tmp_path / "bundle", sha256=sha256)
    bundle.verify()
    ((_, batch),) = predictions_of(bundle, [later])
    few = [bundle.predict_values(values_of(later[at : at + 3], model)) for at in range(0, 60, 3)]
    ways: list[Any] = [
        model.predict(later, threads=2),
        batch,
        bundle.predict_values(values_of(later, model)),  # so many at once
        list(chain.from_iterable(few)),  # one by one
        [model.one(row) for row in model.matrix(later).tolist()],
    ]
    for way in ways:
        np.testing.assert_allclose(way, expected, rtol=0, atol=1e-12)


def test_the_way_without_frames_corrects_as_well(models: dict[str, Model]) -> None:
    spec = replace(models["binary"].spec, features=lambda rows: rows.select("ride", "stop", "wind"))
    model = fit(spec, rides(), FAST, seed=7, threads=1)
    answering, later = plain(model, rides(5)), rides(30, seed=3)
    assert answering.way is not None
    assert model.calibration is not None
    for rows in (later, later.head(3)):
        found = answering.predict(values_of(rows, model), refuse=False)
        np.testing.assert_allclose(found, model.predict(rows), rtol=0, atol=1e-12)


def test_the_manifest_keeps_the_table_and_one_without_is_read(tmp_path: Path, models: dict[str, Model]) -> None:
    written(tmp_path / "bundle", models["multiclass"])
    manifest = load(tmp_path / "bundle").manifest
    assert manifest.calibration == models["multiclass"].calibration
    assert parse(to_json(manifest)) == manifest
    older = json.loads(to_json(manifest))
    del older["calibration"]
    assert parse(json.dumps(older).encode()) == replace(manifest, calibration=None)


def test_a_table_that_was_altered_is_not_served(tmp_path: Path, models: dict[str, Model]) -> None:
    written(tmp_path / "bundle", models["binary"])
    path = tmp_path / "bundle" / "andon.json"
    whole = json.loads(path.read_bytes())
    path.write_text(json.dumps(whole | {"calibration": None}))
    with pytest.raises(BundleError, match=r"predicts its golden rows .* away from what was stored"):
        load(tmp_path / "bundle").verify()
    whole["calibration"]["tables"][0]["chances"][1] = 2.0
    path.write_text(json.dumps(whole))
    with pytest.raises(BundleError, match=r"andon.json cannot be read: a calibration's table must rise from 0 to 1"):
        load(tmp_path / "bundle")


def test_balanced_classes_find_a_rare_one_and_calibration_gives_its_chances_back(models: dict[str, Model]) -> None:
    rows, later = rides(6_000).with_columns(late=RARE), rides(3_000, seed=2).with_columns(late=RARE)
    balanced, both = (
        fit(replace(models["binary"].spec, training=training), rows, FAST, seed=7, threads=1)
        for training in (Training(class_weight="balanced"), replace(ISOTONIC, class_weight="balanced"))
    )
    labels, rate = both.labels(later), float(both.labels(rows).mean())
    raw, corrected = balanced.predict(later), both.predict(later)
    assert raw.mean() > 2 * rate
    assert corrected.mean() == pytest.approx(labels.mean(), rel=0.15)
    assert auc(labels == 1, corrected) == pytest.approx(auc(labels == 1, raw), abs=1e-6)
    constant = row_losses("binary", "logloss", labels, baseline_prediction("binary", "logloss", both.labels(rows)))
    before, after = (row_losses("binary", "logloss", labels, found).mean() for found in (raw, corrected))
    assert after < constant.mean() < before


def test_unseen_predictions_of_a_recipe_are_corrected_as_the_models_are(models: dict[str, Model]) -> None:
    """The reference of drift and of estimates is made of them: it must speak of the same probabilities."""
    spec, rows = models["binary"].spec, rides()
    told: dict[str, Any] = {"folds": 2, "since": START, "gap": timedelta(0), "seed": 7, "threads": 1}
    corrected = cross_fitted(spec, rows, FAST, **told)
    raw = cross_fitted(replace(spec, training=Training()), rows, FAST, **told)
    labels = models["binary"].labels(rows)
    before, after = (row_losses("binary", "logloss", labels, found).mean() for found in (raw, corrected))
    assert after < before
