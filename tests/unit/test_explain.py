"""Importance: LightGBM's own gains and contributions, and what is said of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelling.explain import (
    CURVE_POINTS,
    FEWEST_ROWS,
    GROUPS,
    MOST_ROWS,
    Importance,
    LearningCurves,
    importance,
    learning_curves,
    sample_size,
)
from modelling.metrics import row_losses
from modelling.model import Model
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides


def fitted(folder: Path, *, task: str = "binary", frame: pl.DataFrame | None = None) -> Model:
    spec = pipeline_in(folder, task=task).spec
    return fit(spec, rides() if frame is None else frame, FAST, seed=1, threads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return fitted(tmp_path_factory.mktemp("binary"))


@pytest.fixture(scope="module")
def found(model: Model) -> Importance:
    return importance(model, rides())


def test_contributions_add_up_to_what_the_trees_say(model: Model) -> None:
    """Shapley's efficiency, and LightGBM's package says the same to the last digit."""
    import lightgbm

    matrix = model.matrix(rides(200, seed=3))
    parts = model.engine.contributions(matrix)
    assert parts.shape == (200, 1, len(model.encoding.columns) + 1)
    said = model.engine.predict(matrix)
    assert np.allclose(parts.sum(axis=(1, 2)), np.log(said / (1 - said)), atol=1e-10)
    own = lightgbm.Booster(model_str=model.text).predict(matrix, pred_contrib=True)
    assert np.array_equal(parts[:, 0, :], own)
    assert model.engine.contributions(matrix[:0]).shape == (0, 1, len(model.encoding.columns) + 1)


def test_contributions_of_several_classes_stand_apart(tmp_path: Path) -> None:
    frame = rides().with_columns(late=pl.col("stop"))
    model = fitted(tmp_path, task="multiclass", frame=frame)
    matrix = model.matrix(frame.head(50))
    parts = model.engine.contributions(matrix)
    raw = parts.sum(axis=2)
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    assert np.allclose(odds / odds.sum(axis=1, keepdims=True), model.engine.predict(matrix), atol=1e-10)
    told = importance(model, frame)
    assert told.inputs[0].name == "stop"
    assert all((item.direction, item.effects) == ("", ()) for item in told.inputs), "for one is against others"


def test_the_inputs_that_the_rides_were_made_of_move_most(model: Model, found: Importance) -> None:
    assert found.rows == MOST_ROWS
    assert {found.inputs[0].name, found.inputs[1].name} == {"wind", "stop"}
    assert sorted(item.name for item in found.inputs) == sorted(model.encoding.names)
    moves = [item.moves or 0.0 for item in found.inputs]
    assert moves == sorted(moves, reverse=True)
    assert sum(item.gain for item in found.inputs) == pytest.approx(1.0)
    wind = next(item for item in found.inputs if item.name == "wind")
    assert wind.direction == "rises"
    adds = [effect.adds for effect in wind.effects]
    assert len(adds) == GROUPS
    assert adds[0] < 0 < adds[-1]
    assert sum(effect.rows for effect in wind.effects) == found.rows
    bounds = [(effect.low, effect.high) for effect in wind.effects]
    assert bounds == sorted(bounds)


def test_a_category_is_told_by_level_and_has_no_direction(found: Importance) -> None:
    stop = next(item for item in found.inputs if item.name == "stop")
    assert stop.direction == ""
    adds = {effect.level: effect.adds for effect in stop.effects}
    assert set(adds) == {"north", "south", "west"}
    assert adds["north"] > 0.5 > adds["south"], "the rides from the north are late more often"


def test_what_is_missing_is_told_apart(model: Model) -> None:
    rows = rides(300).with_columns(wind=pl.when(pl.col("ride") % 3 > 0).then("wind"), stop=pl.lit("nowhere"))
    told = {item.name: item.effects for item in importance(model, rows).inputs}
    assert (told["wind"][-1].level, told["wind"][-1].low, told["wind"][-1].rows) == (None, None, 100)
    assert [(effect.level, effect.rows) for effect in told["stop"]] == [(None, 300)], "an unknown level is missing"


def test_an_input_that_falls_and_one_that_is_constant(tmp_path: Path) -> None:
    frame = rides().with_columns(late=~pl.col("late"))
    told = {item.name: item for item in importance(fitted(tmp_path, frame=frame), frame).inputs}
    assert told["wind"].direction == "falls"
    calm = {item.name: item for item in importance(fitted(tmp_path, frame=frame), frame.with_columns(wind=5.0)).inputs}
    assert calm["wind"].direction == ""
    assert len(calm["wind"].effects) == 1


def test_the_same_rows_say_the_same_and_are_not_changed(model: Model, found: Importance) -> None:
    rows = rides()
    before = rows.clone()
    assert importance(model, rows) == found
    assert rows.equals(before)


def test_without_rows_the_gain_is_all_that_is_told(model: Model) -> None:
    told = importance(model, rides(10).clear())
    assert told.rows == 0
    assert [item.moves for item in told.inputs] == [None] * len(model.encoding.names)
    gains = [item.gain for item in told.inputs]
    assert gains == sorted(gains, reverse=True)


def test_the_sample_shrinks_with_the_trees_down_to_nothing() -> None:
    """What 500 small trees of 31 leaves cost is measured; a thousand times that would take an hour."""

    def trees(count: int, leaves: int) -> str:
        return "".join(f"Tree={number}\nnum_leaves={leaves}\nsplit=1\n\n" for number in range(count))

    assert sample_size(trees(0, 1)) == sample_size(trees(1, 2)) == sample_size(trees(5, 1)) == MOST_ROWS
    sizes = [sample_size(trees(count, 63)) for count in (100, 200, 400, 4_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert MOST_ROWS > sizes[1] > FEWEST_ROWS
    assert sizes[-1] == FEWEST_ROWS
    assert sample_size(trees(4_000, 4_000)) == 0


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_a_learning_curve_is_what_models_of_fewer_rounds_would_lose(task: str, tmp_path: Path) -> None:
    """Each point is that of a model that was trained for so many rounds."""
    target = {"binary": "late", "regression": "wind", "multiclass": "stop"}[task]
    frame, later = (rides(seed=seed).with_columns(late=pl.col(target)) for seed in (1, 2))
    spec = pipeline_in(tmp_path, task=task).spec
    whole = fit(spec, frame, FAST, seed=1, threads=1)
    found = learning_curves(whole, frame, later)
    assert found.rounds == tuple(range(1, FAST.rounds + 1))
    for rounds in (1, 7, FAST.rounds):
        short = fit(spec, frame, replace(FAST, rounds=rounds), seed=1, threads=1)
        for rows, losses in ((frame, found.train), (later, found.later)):
            expected = row_losses(spec.task, spec.metric, short.labels(rows), short.predict(rows)).mean()
            assert losses[rounds - 1] == pytest.approx(expected)


def test_a_long_learning_curve_is_thinned_and_keeps_its_end(tmp_path: Path) -> None:
    spec, frame = pipeline_in(tmp_path).spec, rides(400)
    model = fit(spec, frame, replace(FAST, rounds=CURVE_POINTS * 2 + 1), seed=1, threads=1)
    found = learning_curves(model, frame, frame.tail(50))
    assert (found.rounds[:2], found.rounds[-1]) == ((3, 6), CURVE_POINTS * 2 + 1)
    assert len(found.rounds) == len(found.train) == len(found.later) <= CURVE_POINTS
    assert learning_curves(model, frame, frame.clear()) == LearningCurves()
