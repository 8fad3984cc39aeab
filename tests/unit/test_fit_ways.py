from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelling.made import libraries
from modelling.metrics import row_losses
from modelling.model_text import read
from modelling.recipes import Number, Recipe
from modelling.rungs.rungs import MOST_REFITTED, Base, Rung, all_rungs, bearable, quickened
from modelling.spec import Spec, Training
from modelling.training import Model, fit, fits
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from validation.errors import ContractError, DefinitionError

DAY = timedelta(days=1)
NEWEST = replace(FAST, span_days=10.0)
CONTINUED = replace(NEWEST, way="continued", more=4)
REFIT = replace(NEWEST, way="refit")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return pipeline_in(tmp_path_factory.mktemp("definition")).spec


def fitted(spec: Spec, frame: pl.DataFrame, recipe: Recipe, *, base: Model | None = None) -> Model:
    return fit(spec, frame, recipe, seed=7, threads=1, base=base)


def loss(model: Model, rows: pl.DataFrame) -> float:
    spec = model.spec
    return float(row_losses(spec.task, spec.metric, model.labels(rows), model.predict(rows)).mean())


def moved() -> pl.DataFrame:
    """Rides of which, in the newest 10 days, most are late that would not have been."""
    frame = rides()
    new = (pl.col("at") >= frame["at"].max() - 10 * DAY) & (pl.col("ride") % 4 > 0)  # type: ignore[operator]
    return frame.with_columns(late=pl.col("late") | new)


def test_a_span_learns_from_the_newest_rows_alone(spec: Spec) -> None:
    frame = rides()
    rows = frame.filter(pl.col("at") >= frame["at"].max() - 10 * DAY)  # type: ignore[operator]
    model = fitted(spec, frame, NEWEST)
    assert rows.height == 481
    assert model.text == fitted(spec, rows, FAST).text
    assert (model.recipe, model.trained_until) == (NEWEST, fitted(spec, rows, FAST).trained_until)


def test_a_half_life_makes_newer_rows_count_more(spec: Spec) -> None:
    frame = moved()
    plain, fading = (fitted(spec, frame, recipe) for recipe in (FAST, replace(FAST, half_life_days=3.0)))
    assert fading.predict(frame).mean() > plain.predict(frame).mean() + 0.1
    huge = fitted(spec, frame, replace(FAST, half_life_days=1e7))
    np.testing.assert_allclose(huge.predict(frame), plain.predict(frame), atol=1e-5)


def test_a_continued_model_is_its_base_and_more_trees(spec: Spec) -> None:
    frame = moved()
    base = fitted(spec, frame.filter(pl.col("at") < START + 30 * DAY), FAST)
    model = fitted(spec, frame, replace(CONTINUED, base="ab" * 32), base=base)
    assert read(model.text).iterations == FAST.rounds + 4
    own, added = (part.decode() for part in read(model.text).parts(FAST.rounds))
    trees = own[own.index("Tree=0") : own.index("end of trees")]
    assert trees == base.text[base.text.index("Tree=0") : base.text.index("end of trees")]
    assert "Tree=" in added
    newest = frame.tail(480)
    assert loss(model, newest) < loss(base, newest)
    assert model.encoding == base.encoding


def test_a_refitted_model_keeps_the_trees_and_learns_their_leaves(spec: Spec) -> None:
    frame = moved()
    base = fitted(spec, frame.filter(pl.col("at") < START + 30 * DAY), FAST)
    model = fitted(spec, frame, replace(REFIT, base="ab" * 32), base=base)

    def splits(of: Model) -> list[str]:
        return [line for line in of.text.splitlines() if line.startswith(("split_feature", "threshold"))]

    assert splits(model) == splits(base)
    newest = frame.tail(480)
    assert loss(model, newest) < loss(base, newest)


def test_a_leaf_that_no_row_reaches_keeps_its_value(spec: Spec) -> None:
    """Rows of little wind teach nothing of much wind."""
    frame = rides()
    base = fitted(spec, frame, replace(FAST, rounds=1))
    calm = frame.filter(pl.col("wind") < 9)
    model = fitted(spec, calm, replace(REFIT, span_days=None, base="ab" * 32), base=base)
    gales = frame.filter(pl.col("wind") > 14)
    np.testing.assert_allclose(model.predict(gales), base.predict(gales), rtol=1e-9)
    assert np.abs(model.predict(calm) - base.predict(calm)).max() > 1e-3


def test_a_champion_that_was_refitted_is_not_refitted_again(spec: Spec) -> None:
    model = fitted(spec, rides(), REFIT)
    found = all_rungs(FAST, base=Base(sha256="ab", model=model), monotone=False)
    assert {rung.way for rung in found if rung.base} == {"continued"}


@given(
    recipe=st.fixed_dictionaries(
        {
            "learning_rate": st.sampled_from((0.1, 0.3)),
            "num_leaves": st.integers(7, 63),
            "min_data_in_leaf": st.integers(5, 100),
            "feature_fraction": st.floats(0.3, 1.0),
            "bagging_fraction": st.floats(0.4, 1.0),
            "lambda_l2": st.floats(0.01, 100.0),
        }
    ),
    sign=st.sampled_from((1, -1)),
    more=st.integers(0, 10),
)
@settings(max_examples=25)
def test_a_declared_direction_holds_by_every_recipe(
    spec: Spec, recipe: dict[str, Number], sign: int, more: int
) -> None:
    constrained = replace(spec, training=Training(monotone={"wind": sign}))
    way: dict[str, Any] = {"way": "continued", "more": more} if more else {}
    model = fitted(constrained, moved(), Recipe(params=recipe, rounds=20, **way))
    asked = rides(100, seed=3)
    winds = [model.predict(asked.with_columns(wind=pl.lit(wind))) for wind in np.linspace(-3.0, 3.0, 13)]
    assert (sign * np.diff(np.array(winds), axis=0) >= -1e-12).all()


@pytest.mark.parametrize("recipe", [CONTINUED, REFIT], ids=["continued", "refit"])
def test_without_a_base_the_trees_are_of_all_rows(spec: Spec, recipe: Recipe) -> None:
    frame = moved()
    base = fitted(spec, frame, FAST)
    model = fitted(spec, frame, recipe)
    assert model.text == fitted(spec, frame, replace(recipe, base="ab" * 32), base=base).text
    assert model.recipe.alone == model.recipe


@pytest.mark.parametrize("recipe", [CONTINUED, REFIT], ids=["continued", "refit"])
def test_a_base_that_is_named_must_be_given(spec: Spec, recipe: Recipe) -> None:
    asked = replace(recipe, base="cd" * 32)
    with pytest.raises(DefinitionError, match=r"needs the one whose trees it is made of, bundle cdcdcdcdcdcd: give it"):
        fitted(spec, rides(), asked)
    assert fitted(spec, rides(), asked.alone).recipe.base == ""


def test_classes_that_the_base_does_not_know_are_left_out(spec: Spec) -> None:
    many = replace(spec, task="multiclass")
    frame = rides().with_columns(late=pl.when(pl.col("wind") > 12).then(pl.lit("b")).otherwise(pl.lit("c")))
    base = fitted(many, frame, FAST)
    new = frame.with_columns(late=pl.when(pl.col("ride") % 2 == 0).then(pl.lit("a")).otherwise("late"))
    for recipe in (CONTINUED, REFIT):
        model = fitted(many, new, replace(recipe, base="ab" * 32), base=base)
        assert (model.classes, model.predict(new).shape) == (("b", "c"), (2_000, 2))
    with pytest.raises(ContractError, match="no row of a class that the champion knows"):
        fitted(many, frame.with_columns(late=pl.lit("a")), replace(REFIT, base="ab" * 32), base=base)


def test_several_fits_have_the_bytes_that_each_has_alone(spec: Spec) -> None:
    """The rungs of a ladder, in its order and in the contrary one: what they share changes none."""
    frame = moved()
    recipes = [rung.recipe(FAST, days=41.0) for rung in all_rungs(FAST, base=None, monotone=False) if rung.part <= 8]
    alone = [fitted(spec, frame, recipe).text for recipe in recipes]
    for order in (1, -1):
        found = [model.text for model in fits(spec, frame, recipes[::order], seed=7, threads=1)]
        assert found[::order] == alone
    assert len(set(alone)) == len(recipes) == 8


def test_a_model_knows_what_it_was_made_of(spec: Spec) -> None:
    made = fitted(spec, rides(), NEWEST).made
    assert made is not None
    assert (made.rows, made.since, made.seed, made.threads) == (2_000, START, 7, 1)
    assert made.libraries == libraries()


def test_rows_weigh_what_their_column_says_in_every_way(spec: Spec) -> None:
    """A heavy row in place of many light ones: the newest rows alone count."""
    frame = moved().with_columns(care=pl.when(pl.col("at") >= START + 31 * DAY).then(1_000.0).otherwise(0.001))
    heavy = replace(spec, training=Training(weight="care"))
    for recipe in (FAST, replace(CONTINUED, span_days=None), replace(REFIT, span_days=None)):
        assert fitted(heavy, frame, recipe).predict(frame).mean() > fitted(spec, frame, recipe).predict(frame).mean()


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("span_days", 0.0, "recipe.span_days must be above 0, got 0.0"),
        ("half_life_days", -1.0, "recipe.half_life_days must be above 0, got -1.0"),
        ("way", "continued", "recipe.more must be at least 1 tree for a continued model, got 0"),
    ],
)
def test_a_recipe_that_makes_no_sense_cannot_exist(field: str, value: object, error: str) -> None:
    with pytest.raises(DefinitionError, match=error):
        replace(FAST, **{field: value})  # type: ignore[arg-type]


def test_a_champion_that_has_grown_too_much_is_not_continued(spec: Spec) -> None:
    model = fitted(spec, rides(), replace(FAST, rounds=12))
    for rounds, names in ((6, {"continued", "refit"}), (5, set())):
        found = all_rungs(replace(FAST, rounds=rounds), base=Base(sha256="ab", model=model), monotone=False)
        assert {rung.way for rung in found if rung.base} == names


@pytest.mark.parametrize(
    ("rate", "rounds", "expected"),
    [
        (0.1, 60, (0.1, 60)),
        (0.1, 30, (0.1, 30)),
        (0.05, 240, (0.2, 60)),
        (0.01, 3_000, (0.3, 100)),
        (0.3, 90, (0.3, 90)),
    ],
)
def test_a_quickened_recipe_grows_as_far_in_fewer_trees(rate: float, rounds: int, expected: tuple[float, int]) -> None:
    slow = replace(FAST, params={**FAST.params, "learning_rate": rate}, rounds=rounds)
    fast = quickened(slow, rounds=60, fixed={})
    assert [fast.params["learning_rate"], fast.rounds] == pytest.approx(expected)
    assert quickened(slow, rounds=60, fixed={"learning_rate": rate}) == slow


def test_leaves_are_refitted_only_where_memory_for_rows_times_trees_is_bounded(spec: Spec) -> None:
    base = Base(sha256="ab", model=fitted(spec, rides(), FAST))
    rungs = all_rungs(FAST, base=base, monotone=False)
    for rounds, adapted, left in ((15, MOST_REFITTED // 15, {"", "ab"}), (16, MOST_REFITTED // 15, {"ab"})):
        found = bearable(rungs, adapted=adapted, rounds=rounds, base=base)
        assert {rung.base for rung in found if rung.way == "refit"} == left
        assert [rung for rung in found if rung.way != "refit"] == [rung for rung in rungs if rung.way != "refit"]


@pytest.mark.parametrize(
    ("rung", "name", "words"),
    [
        (Rung(), "1/1", "all rows"),
        (Rung(part=4), "1/4", "the newest 90 days of 360 days"),
        (Rung(part=2, fades=True), "1/2 fading", "the newest 180 days of 360 days, older rows weighing less"),
        (
            Rung(part=8, way="refit"),
            "1/8 refitted",
            "trees of all rows, their leaves refitted on the newest 45 days of 360 days",
        ),
        (
            Rung(part=8, way="continued", base="ab"),
            "1/8 continued champion",
            "the champion's trees, continued on the newest 45 days of 360 days",
        ),
    ],
)  # fmt: skip
def test_a_rung_has_a_name_for_the_record_and_words_for_people(rung: Rung, name: str, words: str) -> None:
    assert (rung.name, rung.words(days=360)) == (name, words)


def test_leaves_are_refitted_alike_whatever_rows_are_asked_at_once(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rides()
    base = fitted(spec, frame, FAST)
    calm, recipe = frame.filter(pl.col("wind") < 9), replace(REFIT, span_days=None, base="ab" * 32)
    whole = fitted(spec, calm, recipe, base=base).text
    monkeypatch.setattr("modelling.boosting.growing._ASKED_AT_ONCE", 100)
    assert fitted(spec, calm, recipe, base=base).text == whole
