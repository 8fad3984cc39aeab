from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from modelling.recipes import Recipe
from modelling.rungs.ladder import Ladder, ladder
from modelling.spec import Spec
from modelling.splits import Fold, rolling
from modelling.training import Model, fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides

DAY = timedelta(days=1)
RECIPE = replace(FAST, rounds=5)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return pipeline_in(tmp_path_factory.mktemp("definition")).spec


def turned(days: int = 60, *, on: int = 35) -> pl.DataFrame:
    """Rides, two an hour, of which the labels turn into their contrary on day `on`."""
    return rides(48 * days).with_columns(
        late=pl.when(pl.col("at") >= START + on * DAY).then(~pl.col("late")).otherwise("late")
    )


def folds_of(frame: pl.DataFrame, *, windows: int = 3, days: int = 4) -> tuple[Fold, ...]:
    return rolling(frame, time="at", window=days * DAY, gap=DAY, windows=windows)


def climbed(spec: Spec, frame: pl.DataFrame, **options: object) -> Ladder:
    told = {"folds": folds_of(frame), "seed": 7, "threads": 1, **options}
    return ladder(spec, frame, RECIPE, **told)  # type: ignore[arg-type]


def fitted(spec: Spec, frame: pl.DataFrame, recipe: Recipe = RECIPE) -> Model:
    return fit(spec, frame, recipe, seed=7, threads=1)


def test_where_the_world_has_turned_a_short_span_is_chosen(spec: Spec) -> None:
    """The labels have meant the contrary for 25 of 60 days: what is older than that misleads."""
    frame = turned()
    found = climbed(spec, frame)
    assert found.reference.name == "1/1"
    assert found.chosen.part > 2 or found.chosen.way == "refit"
    assert found.recipe.span_days is not None
    assert found.recipe.span_days < 25
    late = frame.filter(pl.col("at") >= START + 59 * DAY)
    early = frame.filter(pl.col("at") < START + 58 * DAY)
    ours, plain = (
        float(np.mean((model.predict(late) > 0.5) == late["late"].to_numpy()))
        for model in (fitted(spec, early, found.recipe), fitted(spec, early))
    )
    assert ours > plain + 0.1


def test_where_nothing_changes_all_rows_are_kept(spec: Spec) -> None:
    found = climbed(spec, rides(48 * 60))
    assert (found.chosen.part, found.recipe.half_life_days) in {(1, None), (2, None), (8, None)}
    assert found.tried
