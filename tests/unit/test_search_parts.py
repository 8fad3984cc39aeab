"""What a search is made of: spaces, costs, arms and the study, each alone."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.processes import free_port
from modelling.prepared import prepare
from modelling.recipes import DEFAULT_RECIPES, SPACE, Recipe
from modelling.spec import Features, Search, Spec, Training
from modelling.tuning.arms import Arm
from modelling.tuning.costs import Table, round_cost
from modelling.tuning.results import Place
from modelling.tuning.search import search
from modelling.tuning.space import TWINS, portfolio, space_of
from modelling.tuning.study import forget, open_book
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import DefinitionError

PARAMS = {name: FAST.params[name] for name in SPACE if name != "learning_rate"}
FLAT, SLOPE = [0.5] * 40, [1.0 / (1 + at) for at in range(40)]


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def with_training(spec: Spec, training: Training) -> Spec:
    return Spec(**{name: getattr(spec, name) for name in spec.__slots__ if name != "training"}, training=training)


def arm(losses: list[float], *, cost: float = 1.0) -> Arm:
    made = Arm(number=0, recipe=DEFAULT_RECIPES["binary"][0], round_cost=cost, live=None, known=losses)
    while not made.ended and len(made.losses) < len(losses):
        made.grow(patience=100, least_gain=0.0)
    return made


def test_declared_ranges_replace_the_default_ones_and_what_is_fixed_is_not_searched(spec: Spec) -> None:
    fixed = with_training(spec, Training(fixed={"feature_fraction": 0.5}))
    space = space_of(fixed, Search(space={"num_leaves": (10, 20), "path_smooth": (0.0, 5.0)}))
    axes = {axis.name: (axis.low, axis.high) for axis in space.axes}
    assert axes["num_leaves"] == (10, 20)
    assert axes["path_smooth"] == (0.0, 5.0)
    assert "feature_fraction" not in axes
    assert "learning_rate" not in axes
    assert all(10 <= params["num_leaves"] <= 20 for params in portfolio(fixed, space))


@pytest.mark.parametrize(
    ("space", "match"),
    [
        ({"max_bin": (15, 255)}, "search.space takes learning_rate, .*; got 'max_bin'"),
        ({"leaves": (1, 2)}, "search.space takes learning_rate, .*; got 'leaves'"),
        ({"num_leaves": (63, 7)}, r"num_leaves must be \(lowest, highest\), .* got \(63, 7\); .* training.fixed"),
        ({"num_leaves": (31, 31)}, "the lowest below the highest"),
        ({"num_leaves": (7, 31.5)}, "num_leaves must be two of a whole number of at least 2, at most 131072, got"),
        ({"feature_fraction": (0.0, 1.0)}, "feature_fraction must be two of a number above 0, at most 1, got"),
        ({"num_leaves": (7, 31, 63)}, "num_leaves must be two of"),
        ({"num_leaves": 31}, "num_leaves must be two of .*, got 31"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space: Any, match: str) -> None:
    with pytest.raises(DefinitionError, match=match):
        Search(space=space)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_champion_from_before_the_space_had_an_axis_has_neighbours_and_twins(spec: Spec, seed: int) -> None:
    space = space_of(spec, Search(space={"path_smooth": (1.0, 10.0), "extra_trees": (0, 1), "max_depth": (3, 9)}))
    near = space.moved(FAST.params, seed=seed)
    assert near == space.inside(near)
    assert 1.0 <= near["path_smooth"] <= 10.0
    assert space.twin(FAST.params, {"path_smooth": 5.0})["path_smooth"] == 5.0


def test_a_parameter_of_which_a_recipe_says_nothing_begins_near_lightgbms_own_value(spec: Spec) -> None:
    ranges = {"cat_smooth": (1.0, 100.0), "path_smooth": (0.5, 5.0), "max_depth": (3, 8), "extra_trees": (0, 1)}
    inside = space_of(spec, Search(space=ranges)).inside(FAST.params)
    assert [inside[name] for name in ranges] == [10.0, 0.5, 8, False]


def test_a_search_over_an_optional_parameter_goes_on_from_a_champion_without_it(spec: Spec) -> None:
    policy = Search(budget_seconds=600, budget_trials=8, rounds=10, threads=1, space={"path_smooth": (0.0, 10.0)})
    found = search(spec, rides(600), start=FAST, policy=policy, gap="1d")
    assert len(found.trials) >= 7  # of them are twins, neighbours and proposals


def test_a_fixed_learning_rate_is_neither_raced_nor_lowered(spec: Spec) -> None:
    space = space_of(with_training(spec, Training(fixed={"learning_rate": 0.07})), Search())
    assert (space.rate(0.2), space.rate(0.01)) == (0.07, 0.07)


@given(seed=st.integers(0, 10**6), twin=st.sampled_from(TWINS))
def test_neighbours_and_twins_stay_inside_and_a_seed_has_one_neighbour(seed: int, twin: dict[str, float]) -> None:
    problem = Spec(
        features=lambda rows: rows, raw_schema={}, key=(), time="at", target="y", task="binary", metric="logloss"
    )
    space = space_of(problem, Search())
    near = space.moved(PARAMS, seed=seed)
    assert near == space.moved(PARAMS, seed=seed)
    assert near == space.inside(near) != PARAMS
    changed = space.twin(near, twin)
    assert changed == space.inside(changed)
    assert {name for name in changed if changed[name] != near[name]} <= set(twin)


def test_a_round_costs_more_with_more_of_anything() -> None:
    table = Table(rows=1_000, inputs=10, judged=100)
    base = round_cost(PARAMS, table)
    assert round_cost({**PARAMS, "num_leaves": 31}, table) > base
    assert round_cost({**PARAMS, "feature_fraction": 0.5}, table) < base
    assert round_cost(PARAMS, Table(rows=1_001, inputs=10, judged=100)) > base
    assert round_cost(PARAMS, Table(rows=1_000, inputs=10, judged=101)) > base
    assert round_cost(PARAMS, Table(rows=1_000, inputs=10, judged=100, trees=3)) == pytest.approx(3 * base)


def test_at_equal_cost_a_cheap_arm_has_had_more_rounds() -> None:
    cheap, dear = arm(SLOPE, cost=1.0), arm(SLOPE, cost=2.0)
    assert cheap.best_at(10.0) == dear.best_at(20.0) == SLOPE[9]
    assert dear.best_at(1.9) == float("inf")
    assert dear.best_at(1_000.0) == SLOPE[-1]


def test_a_late_bloomer_has_hope_and_one_that_stands_still_has_none() -> None:
    assert arm(FLAT).hope() == 0.5
    assert arm(SLOPE).hope() < SLOPE[-1]
    blooming = arm([1.0] * 20 + [1.0 - 0.01 * at for at in range(20)])  # nothing at first, then ever more
    assert blooming.hope() < 0.0


def test_an_arm_ends_without_patience_or_without_gain() -> None:
    def rounds(losses: list[float], **ends: float) -> int:
        made = Arm(number=0, recipe=DEFAULT_RECIPES["binary"][0], round_cost=1.0, live=None, known=losses)
        while not made.ended:
            made.grow(patience=int(ends["patience"]), least_gain=ends["gain"])
        return len(made.losses)

    assert rounds(FLAT, patience=5, gain=0.0) == 6  # the first is the best
    slow = [1.0 - 1e-6 * at for at in range(40)]
    assert rounds(slow, patience=5, gain=0.0) == 40
    assert rounds(slow, patience=5, gain=1e-3) == 6


def test_what_was_told_is_there_when_the_study_is_opened_again(spec: Spec, tmp_path: Path) -> None:
    space, place = space_of(spec, Search()), Place(where=str(tmp_path / "studies"), name="rides/1 a")
    first = open_book(place, space, seed=7, about="x")
    first.tell(0, FAST.params, [0.6, 0.5], value=0.5)
    proposed = first.proposed(1)  # its process is killed now
    again = open_book(place, space, seed=7, about="x")
    assert {number: (dict(was.params), was.losses) for number, was in again.finished.items()} == {
        0: (dict(FAST.params), (0.6, 0.5))
    }
    assert again.proposed(1) == proposed
    assert not open_book(place, space, seed=7, about="other rows").finished


def test_a_torn_last_line_of_the_journal_is_cut_off(spec: Spec, tmp_path: Path) -> None:
    space, place = space_of(spec, Search()), Place(where=str(tmp_path), name="rides")
    open_book(place, space, seed=7, about="x").tell(0, FAST.params, [0.5], value=0.5)
    with (tmp_path / "rides.journal").open("a") as journal:
        journal.write('{"op_code": 4, "worker')
    again = open_book(place, space, seed=7, about="x")
    again.tell(1, FAST.params, [0.4], value=0.4)
    assert set(open_book(place, space, seed=7, about="x").finished) == {0, 1}


def test_a_study_is_not_kept_in_sqlite(spec: Spec) -> None:
    with pytest.raises(DefinitionError, match="a folder or in PostgreSQL"):
        open_book(Place(where="sqlite:///study.db", name="rides"), space_of(spec, Search()), seed=7, about="x")


def test_what_is_forgotten_is_not_gone_on_with_and_nothing_else_goes(spec: Spec, tmp_path: Path) -> None:
    space, folder = space_of(spec, Search()), tmp_path / "studies"
    places = [Place(where=str(folder), name=name) for name in ("a*", "a*b")]
    for place in places:
        open_book(place, space, seed=7, about="x").tell(0, FAST.params, [0.5], value=0.5)
    forget(places[0])
    forget(places[0])
    assert {file.name for file in folder.iterdir()} == {"a%2Ab.journal", "a%2Ab.lock"}
    assert not open_book(places[0], space, seed=7, about="x").finished
    assert open_book(places[1], space, seed=7, about="x").finished


def test_a_study_whose_database_is_away_is_in_memory_and_says_so(spec: Spec) -> None:
    away = Place(where=f"postgresql://me:hunter2@127.0.0.1:{free_port()}/studies", name="rides")
    policy = Search(budget_seconds=600, budget_trials=2, rounds=4, threads=1)
    found, alone = (
        search(spec, rides(400), start=FAST, policy=policy, gap="1d", study=place) for place in (away, None)
    )
    assert found.trials == alone.trials
    assert found.ended.startswith(f"{alone.ended}; its trials were kept in memory alone, because their place failed")
    assert "OperationalError" in found.ended
    assert "ANDON_STUDY_URL" in found.ended
    assert "hunter2" not in found.ended


def test_a_study_whose_place_fails_meanwhile_goes_on_in_memory_with_what_it_knew(spec: Spec, tmp_path: Path) -> None:
    space = space_of(spec, Search())
    kept, lost = (open_book(Place(where=str(tmp_path / at), name="rides"), space, seed=7, about="x") for at in "ab")
    for number in range(8):
        for book in (kept, lost):
            params = FAST.params if number % 2 else {**FAST.params, **book.proposed(number)}
            book.tell(number, params, [0.6, 0.5], value=0.5 + number % 3)
        if number == 3:
            shutil.rmtree(tmp_path / "b")
    assert (kept.trouble, "FileNotFoundError" in lost.trouble) == ("", True)
    assert [trial.params for trial in lost.past] == [trial.params for trial in kept.past]


def test_a_trial_half_told_by_a_killed_process_is_tried_again(spec: Spec, tmp_path: Path) -> None:
    space, place = space_of(spec, Search()), Place(where=str(tmp_path), name="rides")
    killed = open_book(place, space, seed=7, about="x")
    killed.study.ask().set_user_attr("number", 0)
    for _ in range(2):
        again = open_book(place, space, seed=7, about="x")
        assert (again.finished, again.trouble) == ({}, "")


def test_where_the_older_rows_hold_one_class_alone_the_start_is_kept(spec: Spec) -> None:
    kinds = rides(600).with_columns(late=pl.when(pl.col("ride") < 500).then(0).otherwise(pl.col("ride") % 3))
    policy = Search(budget_trials=2, rounds=5, threads=1)
    found = search(replace(spec, task="multiclass"), kinds, start=FAST, policy=policy, gap="1d")
    assert (found.recipe, found.trials) == (FAST, ())


def test_a_study_of_other_inputs_or_another_gap_is_not_gone_on_with(spec: Spec, tmp_path: Path) -> None:
    policy, rows = Search(budget_seconds=600, budget_trials=2, rounds=4, threads=1), rides(400)
    place = Place(where=str(tmp_path / "studies"), name="rides")

    def trials(features: Features, *, gap: str = "1d", study: Place | None = place) -> tuple[tuple[float, ...], int]:
        """Their losses, and how often a booster of this process was the best."""
        grown: list[Recipe] = []
        own, ready = prepare(replace(spec, features=features), rows)
        told = search(
            own, ready, start=FAST, policy=policy, gap=gap, study=study, incumbent=lambda best, *_: grown.append(best)
        )
        return told.trials, len(grown)

    def same_names(frame: pl.LazyFrame) -> pl.LazyFrame:
        return spec.features(frame).with_columns(wind=-pl.col("wind").abs())

    def calm(frame: pl.LazyFrame) -> pl.LazyFrame:
        return spec.features(frame).drop("wind")

    first, grown = trials(spec.features)
    assert grown > 0
    assert trials(spec.features) == (first, 0)
    for features in (calm, same_names):
        assert trials(features) == trials(features, study=None)
    assert trials(spec.features, gap="2d") == trials(spec.features, gap="2d", study=None)
    assert len({first, trials(calm)[0], trials(same_names)[0], trials(spec.features, gap="2d")[0]}) == 4
