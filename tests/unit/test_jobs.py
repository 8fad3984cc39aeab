"""What the training process does to make a challenger, here without a process."""

from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelling.jobs import Plan, _better, _rungs, learn, nobody, record
from modelling.prepared import prepare
from modelling.recipes import Recipe
from modelling.rungs.choosing import Tried
from modelling.rungs.rungs import Rung
from modelling.spec import Search
from modelling.splits import just_after
from modelling.training import fit
from modelling.tuning.results import SearchResult
from tests.unit.modelling_world import FAST, START, plan_in, rides
from validation.intervals import Interval

DAY = timedelta(days=1)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_in(tmp_path, window=5 * DAY, when="never")


def test_a_challenger_is_the_fit_of_what_the_rungs_chose_and_the_holdout_is_only_asked_afterwards(plan: Plan) -> None:
    rows = rides()
    train, holdout = rows.head(1_800), rows.tail(150)
    told: list[str] = []
    found = learn(plan, train, holdout=holdout, progress=lambda doing, *_: told.append(doing))
    assert found.model is not None
    assert found.model.text == fit(plan.spec, train, found.model.recipe, seed=7, threads=1).text
    assert (found.search, found.leaks) == (None, ())
    assert found.chosen in {item.rung for item in found.tried}
    assert max(item.stop for item in found.tried) <= just_after(train, time="at")  # type: ignore[operator]
    assert {name: len(said) for name, said in found.baselines.items()} == {"constant": 150, "linear": 150}
    assert (told[0], told[-2:]) == ("looking for leaks", ["fitting the challenger", "asking the baselines"])
    poisoned = holdout.with_columns(wind=pl.col("wind") * -50, late=~pl.col("late"))
    assert learn(plan, train, holdout=poisoned).model.text == found.model.text  # type: ignore[union-attr]


def test_prepared_rows_give_the_same_bytes_as_raw_ones(plan: Plan) -> None:
    spec, ready = prepare(plan.spec, rides(1_500))
    raw, prepared = learn(plan, rides(1_500)), learn(replace(plan, spec=spec), ready)
    assert raw.model is not None
    assert prepared.model is not None
    assert (raw.tried, raw.model.text) == (prepared.tried, prepared.model.text)


def test_inputs_that_know_the_target_are_told_and_nothing_is_fitted(plan: Plan) -> None:
    rows = rides().with_columns(wind=pl.col("late").cast(pl.Float64))
    found = learn(plan, rows)
    assert found.model is None
    assert [leak.column for leak in found.leaks] == ["wind"]
    assert (found.tried, found.baselines) == ((), {})


def test_what_an_older_ladder_knows_of_later_windows_is_not_looked_at(plan: Plan) -> None:
    """All that is after the training rows may be the holdout's."""
    rows = rides(1_500)
    end = just_after(rows, time="at")
    assert end is not None
    praised = [
        Tried(start=end + number * DAY, stop=end + (number + 1) * DAY, rung=rung, loss=loss, rows=48)
        for number in range(5)
        for rung, loss in (("1/1", 9.0), ("1/2", 0.001))
    ]
    blind = learn(plan, rows)
    assert learn(replace(plan, earlier=tuple(praised)), rows).tried == blind.tried
    known = [replace(item, start=item.start - 30 * DAY, stop=item.stop - 30 * DAY) for item in praised]
    assert learn(replace(plan, earlier=tuple(known)), rows).chosen == "1/2"


@pytest.mark.parametrize(("min_gain", "searches"), [(0.0, False), (0.999, True)])
def test_a_search_runs_if_no_rung_beats_the_champion_by_what_is_asked(
    plan: Plan, min_gain: float, *, searches: bool
) -> None:
    rows = rides()
    weak = fit(plan.spec, rows.head(500), replace(FAST, rounds=1), seed=7, threads=1)
    wanted = replace(plan, champion=(weak, "a" * 64), when="if needed", min_gain=min_gain)
    found = learn(wanted, rows)
    assert (found.search is not None) == searches
    assert found.model is not None
    if found.search:
        assert found.model.recipe.params == FAST.params
        assert "the search's parameters did not gain enough: loss" in found.why


def test_the_record_is_of_rows_that_no_choice_had_seen(plan: Plan) -> None:
    rows, since = rides(), START + timedelta(days=20)
    champion = fit(plan.spec, rows.filter(pl.col("at") < since), FAST, seed=7, threads=1)
    found = record(replace(plan, champion=(champion, "a" * 64)), rows, since=since)
    asked = rows[found.positions]
    assert asked["at"].is_sorted()
    assert asked["at"].min() == since
    assert asked.height == rows.filter(pl.col("at") >= since).height
    assert np.array_equal(found.labels, asked["late"].cast(pl.Float64).to_numpy())
    assert found.prediction.shape == found.loss.shape == found.baseline_loss.shape == (asked.height,)
    assert found.loss.mean() < found.baseline_loss.mean()


def test_a_recipe_keeps_what_the_rungs_chose_when_it_was_searched(plan: Plan) -> None:
    rows = rides()
    praised = tuple(
        Tried(start=START + day * DAY, stop=START + (day + 1) * DAY, rung=rung, loss=loss, rows=48)
        for day in range(30, 36)
        for rung, loss in (("1/1", 9.0), ("1/2", 0.001))
    )
    found = learn(replace(plan, earlier=praised, when="always"), rows)
    assert found.search is not None
    assert found.model is not None
    assert found.chosen == "1/2"
    assert isinstance(found.model.recipe, Recipe)
    assert found.model.recipe.span_days == pytest.approx(rides()["at"].len() / 48 / 2, rel=0.05)


def test_a_search_that_is_not_better_on_the_newest_window_does_not_replace_the_rung(plan: Plan) -> None:
    """One trial of a single tree, against a choice of fifteen trees continued on newer rows."""
    praised = tuple(
        Tried(start=START + day * DAY, stop=START + (day + 1) * DAY, rung=rung, loss=loss, rows=48)
        for day in range(10, 16)
        for rung, loss in (("1/1", 9.0), ("1/8 continued", 0.001))
    )
    poor = Search(budget_seconds=60, budget_trials=1, rounds=1, threads=1)
    found = learn(replace(plan, earlier=praised, when="always", search=poor), rides(5_000))
    assert found.search is not None
    assert found.model is not None
    assert (found.chosen, found.model.recipe.way) == ("1/8 continued", "continued")
    assert found.model.recipe.params == FAST.params
    assert "the search's parameters did not gain enough: loss" in found.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A newest window on which the ladder's choice loses 0.5, and what a search has found so much less."""

    gained: Interval
    champion_loss: float | None = None

    def loss(self, _rung: Rung) -> float:
        return 0.5

    def gain(self, _rung: Rung, _other: Rung, _recipe: Recipe, *, alpha: float) -> Interval:
        assert alpha == 0.2
        return self.gained


@pytest.mark.parametrize(
    ("mean", "lower", "blocks", "why"),
    [
        (0.005, 0.001, 5, "loss 0.495 on the newest window against 0.5 with the former ones"),
        (0.005, -inf, 1, "loss 0.495 on the newest window against 0.5 with the former ones"),
        (0.0049, 0.001, 5, "did not gain enough: loss 0.4951"),
        (0.2, 0.0, 5, "did not provably gain: loss 0.3 "),
    ],
)
def test_what_a_search_has_found_replaces_the_choice_where_a_gain_is_proven(
    plan: Plan, mean: float, lower: float, blocks: int, why: str
) -> None:
    """Where the window is of one day nothing can be proven, and the mean decides."""
    gained = Interval(mean=mean, standard_error=0.0, lower=lower, upper=inf, blocks=blocks, rows=100)
    asking, other = replace(plan, min_gain=0.01), replace(FAST, rounds=3)
    found = replace(_rungs(asking, rides(1_000), nobody), newest=Compared(gained=gained))
    searched = SearchResult(recipe=other, trials=(0.4,), seconds=1.0, ended="no time is left")
    _, recipe, told = _better(found, searched, asking, nobody)
    assert why in told
    assert recipe == (found.recipe if "did not" in why else found.chosen.recipe(other, days=found.days))
