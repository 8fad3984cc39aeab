"""What a bundle carries to estimate by: both kinds, written and read, and the model of a regression's errors."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from modelling import loss_model as losses
from modelling.estimator import Estimator, build_estimator
from modelling.manifest import BundleError
from modelling.spec import Spec
from tests.unit.modelling_world import pipeline_in
from validation.watch.estimates import MIN_WINDOWS, Estimate

Floats = NDArray[np.float64]
Rows = tuple[pl.DataFrame, Floats, Floats]


def spec_of(folder: Path, task: str) -> Spec:
    return pipeline_in(folder, task=task).spec


def world(rows: int, *, seed: int, shift: float = 0.0) -> Rows:
    """Inputs, predictions and labels; the error's size grows with |wind| and is three times as large in the south."""
    rng = np.random.default_rng(seed)
    wind, stop = rng.normal(shift, 1, rows), rng.choice(["north", "south"], rows, p=[0.8, 0.2])
    size = (0.3 + 0.5 * np.abs(wind)) * np.where(stop == "south", 3.0, 1.0)
    prediction = 2 * wind
    return pl.DataFrame({"wind": wind, "stop": stop}), prediction, prediction + size * rng.standard_normal(rows)


def built(spec: Spec, rows: Rows, *, windows: int) -> Estimator | None:
    inputs, predictions, labels = rows
    number = np.arange(len(labels)) * windows // len(labels)
    return build_estimator(spec, inputs, predictions=predictions, labels=labels, windows=number)


def estimated(estimator: Estimator | None, inputs: pl.DataFrame, predictions: Floats) -> Estimate:
    assert estimator is not None
    found = estimator.estimate(inputs, predictions)
    assert found is not None
    return found


def came(rows: Rows) -> dict[str, float]:
    error = np.abs(rows[2] - rows[1])
    return {"l1": float(error.mean()), "l2": float(np.square(error).mean())}


def test_errors_of_a_regression_are_estimated_also_where_the_inputs_have_moved(tmp_path: Path) -> None:
    """Against counted labels of 20,000 rows, and against saying always what is usual."""
    estimator = built(spec_of(tmp_path, "regression"), world(20_000, seed=1), windows=20)
    for shift in (0.0, 1.0):
        rows = world(20_000, seed=2, shift=shift)
        found, true = estimated(estimator, *rows[:2]), came(rows)
        assert found.loss == found.metrics["l2"]
        assert found.metrics == pytest.approx(true, rel=0.06)
    assert found.usual is not None
    assert abs(found.loss - true["l2"]) < 0.2 * abs(found.usual - true["l2"])


def test_realised_losses_lie_in_the_interval_as_often_as_it_says(tmp_path: Path) -> None:
    """25 references of 40 windows with 100 rows, of each 20 windows after: 95 % of 500."""
    spec, hits = spec_of(tmp_path, "regression"), {"l1": 0, "l2": 0}
    for seed in range(25):
        estimator = built(spec, world(4_000, seed=100 + seed), windows=40)
        for window in range(20):
            rows = world(100, seed=1_000 + 20 * seed + window)
            found = estimated(estimator, *rows[:2])
            for name, value in came(rows).items():
                hits[name] += found.intervals[name][0] <= value <= found.intervals[name][1]
    assert {name for name, count in hits.items() if not 0.91 * 500 <= count <= 0.985 * 500} == set(), hits


def test_an_estimator_survives_its_json(tmp_path: Path) -> None:
    regression, binary = spec_of(tmp_path, "regression"), replace(spec_of(tmp_path, "binary"), metric="logloss")
    inputs, predictions, labels = world(3_000, seed=3)
    chance = 1 / (1 + np.exp(-predictions))
    made = [
        built(regression, (inputs, predictions, labels), windows=20),
        built(binary, (inputs, chance, (labels > 0).astype(np.float64)), windows=20),
    ]
    for estimator, asked in zip(made, (predictions, chance), strict=True):
        assert estimator is not None
        text = estimator.to_json()
        again = Estimator.from_json(text)
        assert again == estimator
        assert len(text) < 150_000
        assert again.estimate(inputs, asked) == estimator.estimate(inputs, asked)
        json.dumps(asdict(estimated(again, inputs, asked)), allow_nan=False)


def test_what_is_no_estimator_is_told() -> None:
    with pytest.raises(BundleError, match=r"estimator.json cannot be read: .*; train anew"):
        Estimator.from_json('{"metric": 7}')


def test_rows_without_a_finite_prediction_are_left_out(tmp_path: Path) -> None:
    inputs, predictions, labels = world(2_000, seed=4)
    estimator = built(spec_of(tmp_path, "regression"), (inputs, predictions, labels), windows=20)
    holed = predictions.copy()
    holed[::2] = np.nan
    assert estimated(estimator, inputs, holed) == estimated(estimator, inputs[1::2], predictions[1::2])
    assert estimator is not None
    assert estimator.estimate(inputs, np.full(2_000, np.nan)) is None


def test_an_unseen_level_and_nulls_are_estimated_too(tmp_path: Path) -> None:
    estimator = built(spec_of(tmp_path, "regression"), world(2_000, seed=5), windows=20)
    odd = pl.DataFrame({"wind": [None, 1.0], "stop": ["nowhere", None]}, schema={"wind": pl.Float64, "stop": pl.String})
    assert estimated(estimator, odd, np.zeros(2)).loss > 0


def test_several_classes_and_too_few_windows_have_no_estimate(tmp_path: Path) -> None:
    rows = world(1_000, seed=6)
    assert built(replace(spec_of(tmp_path, "binary"), task="multiclass"), rows, windows=30) is None
    regression = spec_of(tmp_path, "regression")
    assert built(regression, rows, windows=2 * MIN_WINDOWS - 1) is None
    assert built(regression, rows, windows=2 * MIN_WINDOWS) is not None


def test_of_very_many_rows_equally_spaced_ones_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MAX_ROWS", 1_000)
    inputs, predictions, labels = world(2_999, seed=7)
    spec, number = spec_of(tmp_path, "regression"), np.arange(2_999) // 150
    every_third = build_estimator(
        spec, inputs[::3], predictions=predictions[::3], labels=labels[::3], windows=number[::3]
    )
    found = build_estimator(spec, inputs, predictions=predictions, labels=labels, windows=number)
    assert found == every_third


def test_a_model_that_is_never_wrong_has_an_estimate_of_nothing(tmp_path: Path) -> None:
    inputs, predictions, _ = world(2_000, seed=8)
    found = estimated(
        built(spec_of(tmp_path, "regression"), (inputs, predictions, predictions), windows=20), inputs, predictions
    )
    assert (found.loss, found.lower, found.upper) == (0.0, 0.0, 0.0)


def test_an_estimate_is_in_the_pipelines_metric_also_after_it_was_written_down(tmp_path: Path) -> None:
    spec, rng = spec_of(tmp_path, "binary"), np.random.default_rng(4)
    scores = rng.random(4_000)
    labels = (rng.random(4_000) < scores).astype(np.float64)
    rows = pl.DataFrame({"wind": scores}), scores, labels
    losses_of = {"logloss": -np.log(np.where(labels == 1, scores, 1 - scores)), "brier": np.square(labels - scores)}
    for metric, loss in losses_of.items():
        made = built(replace(spec, metric=metric), rows, windows=10)
        assert made is not None
        read = Estimator.from_json(made.to_json())
        assert estimated(read, *rows[:2]).loss == pytest.approx(loss.mean(), rel=0.02)
