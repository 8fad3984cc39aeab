"""The monitor does not take the log's mask for drift: the reference is masked alike. Of the same days, once as the
definition says and once with a reference that knows nothing of the mask.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from andon.settings import Settings
from modelling.estimator import Estimator
from modelling.spec import Search
from modelling.training import Model, fit
from registry.memory import MemoryLedger
from storage.lake import Lake
from storage.masking import LogPolicy
from storage.prediction_log import PredictionLog, read_predictions
from tasks.profiles import Reference
from tasks.site import Site
from tests.fakes import FolderStore
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from tests.unit.reference_world import crowned
from validation.serving import Serving
from validation.watch import drift
from validation.watch.counting import count_window
from validation.watch.drift import PREDICTION, Drift, Seen
from validation.watch.performance import Monitor
from validation.watch.profile import Profile

DAY, TRAINED = timedelta(days=1), 32  # days, of 41
MASKED = Serving(log_leave_out=("wind",), log_hash=("stop",))


def site_in(folder: Path, serving: Serving, *, task: str = "binary") -> Site:
    watched = {"monitor": Monitor(reference_windows=28), "search": Search(threads=1)}
    return Site(
        pipeline=replace(pipeline_in(folder, task=task), **watched, serving=serving),  # type: ignore[arg-type]
        settings=Settings(home=folder),
        ledger=MemoryLedger(),
        store=FolderStore(folder / "store"),
        lake=Lake(folder / "lake"),
        actor="test",
    )


def answered(site: Site, model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """These rows, answered by the model and read back from the log."""
    spec, folder = site.pipeline.spec, site.lake.predictions(site.name)
    policy = LogPolicy.of(site.pipeline.serving, site.settings)
    with PredictionLog(folder, site.pipeline.raw_schema, keep=policy) as log:
        raw = rows.select(*site.pipeline.raw_schema)
        assert log.write("1", raw, model.predict(raw), prediction_id="a", at=START)
    return read_predictions(folder, site.pipeline.raw_schema, key=spec.key, time=spec.time)


def alarms(model: Model, reference: Reference, logged: pl.DataFrame) -> set[str]:
    """The inputs that were called drifting, in any of the days; each window is judged as the first."""
    profile = Profile.from_json(reference.profile_json)
    prepared, seen, found = drift.prepared(profile), list[Seen](), set[str]()
    for (start,), rows in logged.with_columns(_day=pl.col("at").dt.truncate("1d")).group_by(
        "_day", maintain_order=True
    ):
        watched = model.inputs(rows).with_columns(rows["prediction"].alias(PREDICTION))
        verdict = drift.judge(
            prepared,
            count_window(watched, profile),
            pipeline="rides",
            window_start=start,
            policy=Drift(),
            previous=seen,
            as_of=start + DAY,
        )
        assert verdict.outcome != "not enough history"
        found |= {item.name for item in verdict.features if item.drifted}
    return found


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return rides(41 * 48)


def trained_and_reference(site: Site, rows: pl.DataFrame) -> tuple[Model, Reference]:
    training = rows[: TRAINED * 48]
    model = fit(site.pipeline.spec, training, FAST, seed=7, threads=1)
    return model, crowned(site, model, training)


def test_left_out_and_hashed_columns_of_unchanged_data_raise_no_alarm(tmp_path: Path, rows: pl.DataFrame) -> None:
    site = site_in(tmp_path, MASKED)
    model, reference = trained_and_reference(site, rows)
    logged = answered(site, model, rows[TRAINED * 48 :])
    assert logged["wind"].null_count() == logged.height
    assert not set(logged["stop"].drop_nulls()) & {"north", "south", "west"}
    assert alarms(model, reference, logged) == set()
    (tmp_path / "unmasked").mkdir()
    _, unmasked = trained_and_reference(site_in(tmp_path / "unmasked", Serving()), rows)
    assert alarms(model, unmasked, logged) >= {"wind", "stop"}, "without the mask it would have"


def test_a_hashed_column_that_moves_is_an_alarm_still(tmp_path: Path, rows: pl.DataFrame) -> None:
    site = site_in(tmp_path, MASKED)
    model, reference = trained_and_reference(site, rows)
    moved = rows[TRAINED * 48 :].with_columns(stop=pl.lit("north"))
    assert "stop" in alarms(model, reference, answered(site, model, moved))


def test_what_a_model_of_losses_estimates_from_is_masked_alike(tmp_path: Path, rows: pl.DataFrame) -> None:
    site = site_in(tmp_path, MASKED, task="regression")
    chance = np.random.default_rng(5).normal(size=rows.height)
    measured = rows.with_columns(late=pl.Series(rows["wind"].to_numpy() * chance))
    model, reference = trained_and_reference(site, measured)
    assert reference.estimator_json is not None
    estimator = Estimator.from_json(reference.estimator_json)
    logged = answered(site, model, measured[TRAINED * 48 :])
    estimate = estimator.estimate(model.inputs(logged), logged["prediction"].to_numpy())
    assert estimate is not None
    true = np.mean((measured[TRAINED * 48 :]["late"].to_numpy() - logged["prediction"].to_numpy()) ** 2)
    assert 0.5 * true < estimate.loss < 2 * true
