"""What is not what `fit` and `evaluate` ask for is told at the entry, with what to give."""

from typing import Any, cast

import pandas as pd  # type: ignore[import-untyped]
import pytest

from andon.pipeline import Pipeline
from modelling.model import Model
from modelling.training import fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import DefinitionError

ROWS = rides(200)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return pipeline_in(tmp_path_factory.mktemp("rides"))


@pytest.fixture(scope="module")
def model(pipeline: Pipeline) -> Model:
    return fit(pipeline.spec, ROWS, FAST, seed=7, threads=1)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS.lazy(), r"rows must not be a polars\.LazyFrame; give a Polars DataFrame: rows\.collect\(\)"),
        (pd.DataFrame({"ride": [1]}), r"rows must not be a pandas\.DataFrame; give .*: pl\.from_pandas\(rows\)"),
        ([1, 2], r"rows must not be a list; give a Polars DataFrame: pipeline\.snapshot\(\)"),
        (ROWS.drop("late"), r"rows have no late; give .* as pipeline\.snapshot\(\) has them"),
        (ROWS.drop("ride", "at"), "rows have no ride, at; give key, time"),
    ],
    ids=["lazy", "pandas", "list", "no target", "no key"],
)
def test_rows_of_another_kind(pipeline: Pipeline, model: Model, rows: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        pipeline.fit(rows)
    with pytest.raises(DefinitionError, match=words):
        pipeline.evaluate(model, rows)


def test_a_champion_a_recipe_and_models_of_another_kind(pipeline: Pipeline, model: Model) -> None:
    asked = cast("Any", pipeline)
    with pytest.raises(DefinitionError, match=r"champion must not be a modelling\.Model; give .*pipeline\.champion"):
        asked.fit(ROWS, champion=model)
    with pytest.raises(DefinitionError, match="recipe must not be a str; give a Recipe"):
        asked.fit(ROWS, recipe="fast")
    with pytest.raises(DefinitionError, match=r"model must not be a .*Recipe; give a Model, as pipeline\.fit"):
        asked.evaluate(FAST, ROWS)
    with pytest.raises(DefinitionError, match=r"against must not be a str; give pipeline\.champion\(\)"):
        asked.evaluate(model, ROWS, against="champion")
