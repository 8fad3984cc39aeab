"""What a new champion's windows are judged by: from logged answers where there are any, else from cross-fitting."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from andon.pipeline import Pipeline
from andon.settings import Settings
from modelling.crossfit import cross_fitted
from modelling.estimator import Estimator
from modelling.spec import Search
from modelling.training import Model, fit
from registry.memory import MemoryLedger
from storage.lake import Lake
from storage.prediction_log import PredictionLog
from tasks.profiles import Reference, reference_of
from tasks.site import Site
from tests.fakes import FolderStore
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from tests.unit.reference_world import crowned
from validation.watch.drift import PREDICTION
from validation.watch.performance import Monitor
from validation.watch.profile import FeatureProfile, Profile

DAYS = 20  # of the reference: the newest whole ones of 41 days with 48 rides each
FIRST = START + timedelta(days=21)


def defined(folder: Path, *, task: str = "binary") -> Pipeline:
    return replace(pipeline_in(folder, task=task), monitor=Monitor(reference_windows=DAYS), search=Search(threads=1))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(
        pipeline=defined(tmp_path),
        settings=Settings(home=tmp_path),
        ledger=MemoryLedger(),
        store=FolderStore(tmp_path / "store"),
        lake=Lake(tmp_path / "lake"),
        actor="test",
    )


def fitted(site: Site, rows: pl.DataFrame) -> Model:
    return fit(site.pipeline.spec, rows, FAST, seed=7, threads=1)


def answered(site: Site, rows: pl.DataFrame) -> None:
    """A champion said 0.125 to all of these rows."""
    with PredictionLog(site.lake.predictions(site.name), dict(site.pipeline.raw_schema)) as log:
        said = np.full(rows.height, 0.125)
        log.write("1", rows.select(*site.pipeline.raw_schema), said, prediction_id="a", at=START)


def of_prediction(reference: Reference) -> FeatureProfile:
    return next(item for item in Profile.from_json(reference.profile_json).features if item.name == PREDICTION)


def low_and_high(reference: Reference) -> list[tuple[float | None, float | None]]:
    return [(window.low, window.high) for window in of_prediction(reference).windows]


def test_a_first_champion_has_a_reference_of_its_prediction_and_an_estimator_at_once(site: Site) -> None:
    rows = rides()
    found = crowned(site, fitted(site, rows), rows)
    said = cross_fitted(
        site.pipeline.spec, rows, FAST, folds=2, since=FIRST, gap=timedelta(days=1), seed=7, threads=1
    ).reshape(-1)[: DAYS * 48]
    by_day = said.reshape(DAYS, 48)
    assert low_and_high(found) == [(day.min(), day.max()) for day in by_day]
    assert {window.rows for window in of_prediction(found).windows} == {48}
    estimator = Estimator.from_json(found.estimator_json or "")
    assert estimator.scores is not None
    assert estimator.scores.windows == DAYS


def test_what_champions_answered_in_a_window_is_its_reference_if_it_is_nearly_all(site: Site) -> None:
    """Of the 20 days the first three are logged, of the fourth 44 rides of 48, of the fifth 43: 90 % are needed."""
    rows = rides()
    answered(site, rows[21 * 48 : 24 * 48 + 44])
    answered(site, rows[25 * 48 : 25 * 48 + 43])
    model = fitted(site, rows)
    found = crowned(site, model, rows)
    logged = [low == high == 0.125 for low, high in low_and_high(found)]
    assert logged == [True] * 4 + [False] * 16
    assert [window.rows for window in of_prediction(found).windows] == [48, 48, 48, 44] + [48] * 16


def test_the_estimator_is_of_this_recipes_scores_whatever_champions_answered(site: Site) -> None:
    rows = rides()
    model = fitted(site, rows)
    before = crowned(site, model, rows).estimator_json
    answered(site, rows)
    assert crowned(site, model, rows).estimator_json == before


def test_what_is_kept_for_the_record_is_not_fitted_again(site: Site) -> None:
    rows = rides()
    answered(site, rows[21 * 48 : 22 * 48 + 10])
    found = reference_of(site, fitted(site, rows), rows)
    assert found.estimator_json is None
    assert [window.rows for window in of_prediction(found).windows] == [48, 10] + [0] * 18


def test_the_inputs_reference_is_the_same_in_both_cases(site: Site) -> None:
    rows = rides()
    model = fitted(site, rows)
    kept, champion = (
        [item for item in Profile.from_json(found.profile_json).features if item.name != PREDICTION]
        for found in (reference_of(site, model, rows), crowned(site, model, rows))
    )
    assert kept == champion
    assert [item.name for item in kept] == ["stop", "wind", "hour", "weekend"]


def test_several_classes_have_a_reference_of_the_most_probable_and_no_estimator(site: Site, tmp_path: Path) -> None:
    many = replace(site, pipeline=defined(tmp_path, task="multiclass"))
    rows = rides().with_columns(late=pl.when(pl.col("wind") > 12).then(2).otherwise(pl.col("late").cast(pl.Int64)))
    found = crowned(many, fitted(many, rows), rows)
    assert found.estimator_json is None
    profile = of_prediction(found)
    assert set(profile.levels) <= {"0", "1", "2"}
    assert {window.rows for window in profile.windows} == {48}


def test_a_short_history_has_what_can_be_had(site: Site) -> None:
    """Nine days: each fold leaves a quarter of the rows out, and the profile's older windows are empty."""
    rows = rides(9 * 48 + 1)
    found = crowned(site, fitted(site, rows), rows)
    assert [window.rows for window in of_prediction(found).windows] == [0] * 11 + [48] * 9
    assert found.estimator_json is not None
