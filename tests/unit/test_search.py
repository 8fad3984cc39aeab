from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.spec import Search, Spec, Training
from modelling.tuning import bench
from modelling.tuning.field import Field, Watch
from modelling.tuning.hunt import hunted
from modelling.tuning.search import search
from modelling.tuning.space import space_of
from modelling.tuning.study import open_book
from tests.unit.modelling_world import FAST, pipeline_in, rides


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def field_of(spec: Spec, start: Recipe, policy: Search, *, used: float = 0.0) -> Field:
    """Without a trial, after so many seconds."""
    prepared = bench.bench_of(spec, rides(), start=start, policy=policy, gap="1d")
    assert prepared is not None
    watch = Watch(clock=lambda: used, began=0.0, prepared=0.0, progress=None, incumbent=None)
    return Field(bench=prepared, book=open_book(None, space_of(spec, policy), seed=7, about="x"), watch=watch)


def test_the_result_is_at_least_as_good_as_the_start_and_repeatable(spec: Spec) -> None:
    policy = Search(budget_seconds=600, budget_trials=5, rounds=20, threads=1)
    first, second = (search(spec, rides(), start=FAST, policy=policy, gap="1d") for _ in range(2))
    assert (len(first.trials), first.ended) == (5, "all 5 trials are done")  # none is kept for rates without rounds
    assert min(first.trials) <= first.trials[0]
    assert first.recipe.rounds <= 20
    assert (first.recipe, first.trials) == (second.recipe, second.trials)


def test_a_start_outside_the_space_is_tried_as_it_is(spec: Spec) -> None:
    slow = replace(FAST, params={**FAST.params, "learning_rate": 0.001})
    found = search(spec, rides(), start=slow, policy=Search(budget_trials=2, rounds=30, threads=1), gap="1d")
    assert found.trials[1] < found.trials[0]
    assert found.recipe.params == {**FAST.params, "learning_rate": 0.1}


def test_the_deadline_ends_a_trial_in_its_middle_and_the_start_is_kept(spec: Spec) -> None:
    ticks = count()  # every look at this clock takes a second
    found = search(
        spec,
        rides(),
        start=FAST,
        policy=Search(budget_seconds=5, threads=1),
        gap="1d",
        clock=lambda: float(next(ticks)),
    )
    assert len(found.trials) == 1
    assert found.seconds < 10
    assert found.recipe == FAST


def test_progress_tells_what_is_done_the_share_the_best_loss_and_the_seconds_left(spec: Spec) -> None:
    told: list[tuple[str, float, float | None, float | None]] = []
    policy = Search(budget_seconds=600, budget_trials=3, rounds=300, threads=1)
    found = search(
        spec, rides(), start=FAST, policy=policy, gap="1d", progress=lambda *at: told.append(at), clock=lambda: 0.0
    )
    assert told[0] == ("trial 1: the first recipe", 1 / 3, found.trials[0], 600.0)
    assert told[-1] == ("trial 3: the best at learning rate 0.01", 1.0, min(found.trials), 600.0)
    assert {doing.partition(":")[0] for doing, *_ in told} == {"trial 1", "trial 2", "trial 3"}


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_too_few_rows_for_an_inner_split_leave_the_start(spec: Spec, rows: int) -> None:
    found = search(spec, rides(50).head(rows), start=FAST, policy=Search(threads=1), gap=timedelta(days=2))
    assert (found.recipe, found.trials) == (FAST, ())


def test_a_class_that_is_new_in_the_validation_rows_stops_nothing(spec: Spec) -> None:
    kinds = rides().with_columns(late=pl.when(pl.col("ride") > 1_900).then(2).otherwise(pl.col("ride") % 2))
    policy = Search(budget_seconds=600, budget_trials=2, rounds=5, threads=1)
    assert len(search(replace(spec, task="multiclass"), kinds, start=FAST, policy=policy, gap="1d").trials) == 2


def test_the_first_search_races_a_portfolio_at_equal_cost_and_tells_the_winners_curves(spec: Spec) -> None:
    policy = Search(budget_seconds=600, budget_trials=8, rounds=60, threads=1)
    found = search(spec, rides(), start=DEFAULT_RECIPES["binary"][0], policy=policy, gap="1d")
    assert min(found.trials) == min(found.curves.validation)
    assert set(found.curves.train) == set(range(10, len(found.curves.validation) + 1, 10))
    best = found.curves.validation.index(min(found.trials)) + 1
    assert best <= found.recipe.rounds <= 60  # for all rows, so rather more
    assert found.cost > 0.0


def test_a_race_on_fewer_rows_has_its_winner_grown_on_all(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RACE_ROWS", 500)
    legs: list[str] = []
    grown: list[Recipe] = []
    policy = Search(budget_seconds=600, budget_trials=7, rounds=60, threads=1)
    found = search(
        spec,
        rides(),
        start=DEFAULT_RECIPES["binary"][0],
        policy=policy,
        gap="1d",
        progress=lambda doing, *_: legs.append(doing.partition(":")[0]),
        incumbent=lambda recipe, *_: grown.append(recipe),
    )
    assert legs[:6] == [f"trial {number}" for number in range(1, 7)]
    assert len(set(legs[6:9])) == 3
    assert set(legs[9:11]) < set(legs[6:9])
    assert legs[11:] == ["trial 7"]
    assert min(found.curves.validation) == found.trials[6]
    assert {tuple(recipe.params.items()) for recipe in grown} == {tuple(found.recipe.params.items())}


def test_trees_that_are_small_race_at_a_higher_rate(spec: Spec) -> None:
    policy = Search(budget_seconds=600, budget_trials=7, rounds=20, threads=1)
    field = field_of(spec, DEFAULT_RECIPES["binary"][0], policy)
    hunted(field, space_of(spec, policy))
    assert {arm.recipe.params["num_leaves"]: round(arm.rate, 3) for arm in field.arms} == {
        31: 0.1, 63: 0.1, 15: 0.1, 127: 0.1, 255: 0.1, 4: 0.25,
    }  # fmt: skip


def test_a_twin_that_the_space_makes_the_same_is_not_tried(spec: Spec) -> None:
    policy = Search(budget_seconds=600, budget_trials=8, rounds=15, threads=1, space={"num_leaves": (15, 16)})
    field = field_of(spec, FAST, policy)
    hunted(field, space_of(spec, policy))
    assert len({tuple(arm.recipe.params.items()) for arm in field.arms}) == len(field.arms) == 8


def test_trees_of_a_search_obey_the_declared_directions_and_what_is_fixed(spec: Spec) -> None:
    policy = Search(budget_seconds=600, budget_trials=2, rounds=10, threads=1)
    training = Training(monotone={"wind": -1}, fixed={"num_leaves": 3})
    texts: list[str] = []
    search(
        replace(spec, training=training),
        rides(),
        start=FAST,
        policy=policy,
        gap="1d",
        incumbent=lambda _recipe, _loss, text: texts.append(text()),
    )
    assert texts
    assert all(line == "num_leaves=3" for line in texts[-1].splitlines() if line.startswith("num_leaves="))
    split = {
        feature for line in texts[-1].splitlines() if line.startswith("split_feature=") for feature in line[14:].split()
    }
    assert split
    assert "1" not in split  # it is later the more, the more wind there is: a split on it could only fall


def test_a_search_keeps_the_span_and_the_half_life_of_its_start(spec: Spec) -> None:
    start = replace(FAST, span_days=20.0, half_life_days=10.0)
    found = search(spec, rides(), start=start, policy=Search(budget_trials=2, rounds=20, threads=1), gap="1d")
    assert (found.recipe.span_days, found.recipe.half_life_days) == (20.0, 10.0)
    whole = search(spec, rides(), start=FAST, policy=Search(budget_trials=2, rounds=20, threads=1), gap="1d")
    assert found.trials != whole.trials


def test_a_budget_in_seconds_is_kept_together_with_the_fit_that_follows(spec: Spec) -> None:
    """By a clock on which growing one tree takes a tenth of a second, whoever grows it."""
    seconds, policy = count(), Search(budget_seconds=30, budget_trials=10_000, threads=1)
    found = search(spec, rides(), start=FAST, policy=policy, gap="1d", clock=lambda: 0.05 * float(next(seconds)))
    assert found.seconds <= 30 * 1.05
    assert found.ended


@pytest.mark.parametrize(
    ("most", "lowest", "used", "rounds"),
    [(2_000, 0.01, 0.0, 30), (20, 0.01, 0.0, 20), (2_000, 0.2, 0.0, 22), (2_000, 0.01, 1e9, 15)],
    ids=["at most halved", "the policy's rounds", "the lowest rate", "no time"],
)
def test_the_rate_of_the_last_fit_falls_as_its_rounds_may_rise(
    spec: Spec, most: int, lowest: float, used: float, rounds: int
) -> None:
    policy = Search(rounds=most, threads=1)
    field = field_of(spec, FAST, policy, used=used)
    assert field.lowered(FAST, lowest) == FAST  # time did not end the search
    field.short = True
    lower = field.lowered(FAST, lowest)
    assert lower.rounds == rounds
    assert lower.params["learning_rate"] == pytest.approx(0.3 * 15 / rounds, rel=0.03)
