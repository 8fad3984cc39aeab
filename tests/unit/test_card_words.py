"""What a card and a study's run say of a training: rungs, curves, trials, verdicts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from modelling.jobs import Learned
from modelling.recipes import DEFAULT_RECIPES
from modelling.rungs.choosing import Tried
from modelling.training import fit
from modelling.tuning.results import Curves, SearchResult
from tasks.card_making import STUDY_POINTS, learned_from, registered_from, rungs, small_slices, study
from tasks.card_words import recipe, rung, search
from tests.unit.modelling_world import FAST, pipeline_in, rides

START = datetime(2024, 1, 1, tzinfo=UTC)
FOUND = SearchResult(
    recipe=DEFAULT_RECIPES["binary"][0],
    trials=(0.5, 0.48),
    seconds=12.4,
    cost=11.0,
    ended="nothing more is to be gained",
    curves=Curves(train={1: 0.69, 1000: 0.3}, validation=tuple(1 / number for number in range(1, 1001))),
)


def tried(week: int, name: str, loss: float, rows: int = 100) -> Tried:
    start = START + timedelta(weeks=week)
    return Tried(start=start, stop=start + timedelta(weeks=1), rung=name, loss=loss, rows=rows)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1/1", "all rows"),
        ("1/16 fading", "the newest 1/16, older rows weigh less"),
        ("1/8 continued champion", "the newest 1/8, trees continued upon the champion's"),
        ("1/8 refitted", "the newest 1/8, leaves refitted"),
        ("champion", "the champion as it is"),
    ],
)
def test_a_rung_is_named_for_people(name: str, words: str) -> None:
    assert rung(name) == words


def test_rungs_are_compared_on_the_windows_that_all_of_them_have() -> None:
    """Means over rows, best first; what was not tried on the newest windows is left out."""
    learned = Learned(
        model=None,
        chosen="1/4",
        tried=(
            tried(1, "1/1", 0.6), tried(1, "1/4", 0.2, rows=300), tried(1, "1/2", 0.1),
            tried(2, "1/1", 0.4), tried(2, "1/4", 0.6),
        ),
    )  # fmt: skip
    found = [(line.name, round(line.loss, 9), line.windows, line.rows, line.chosen) for line in rungs(learned)]
    assert found == [("the newest 1/4", 0.3, 2, 400, True), ("all rows", 0.5, 2, 200, False)]
    assert rungs(Learned(model=None)) == ()


def test_a_search_is_told_to_the_model_store_with_its_best_parameters() -> None:
    told = study(FOUND, name="intent-1")
    assert (told.name, told.losses, told.ended) == ("intent-1", (0.5, 0.48), "nothing more is to be gained")
    assert told.metrics["best.num_leaves"] == 31
    assert (told.metrics["best.rounds"], told.metrics["seconds"], told.metrics["cost"]) == (120.0, 12.4, 11.0)
    assert told.curves["train"] == ((1, 0.69), (1000, 0.3))
    assert len(told.curves["validation"]) <= STUDY_POINTS + 2
    assert (told.curves["validation"][0], told.curves["validation"][-1]) == ((1, 1.0), (1000, 0.001))
    assert study(replace(FOUND, curves=Curves()), name="short").curves == {}
    assert search(FOUND) == "2 trials in 12 s; trial 0 is where it started. It ended: nothing more is to be gained."
    assert search(replace(FOUND, trials=(0.5,), ended="")) == "1 trial in 12 s; trial 0 is where it started."
    assert search(None) == ""


def test_what_a_search_found_is_told_beside_where_it_began() -> None:
    told = "loss 0.48 of its own validation rows, against 0.5 where it began"
    assert FOUND.words == f"2 trials, best {told}"
    told = "loss 4871.978 of its own validation rows, no better than where it began"
    assert replace(FOUND, trials=(4871.97816, float("inf"))).words == f"2 trials, best {told}"
    assert replace(FOUND, trials=(4871.97816,)).words == f"1 trial, best {told}"
    assert replace(FOUND, trials=()).words == "no trials"


def test_the_rows_that_are_told_are_those_of_the_recipes_span(tmp_path: Path) -> None:
    """There is a ride each half hour: the newest of them, and 200 before it."""
    spec, frame = pipeline_in(tmp_path).spec, rides(500)
    own = replace(FAST, span_days=200 / 48)
    known = frame.head(400)
    model = fit(spec, known, own, seed=1, threads=1)
    since = known["at"][199]
    assert learned_from(known, own, time="at") == f"201 rows from {since:%Y-%m-%d %H:%M} on"
    assert registered_from(frame, model) == learned_from(known, own, time="at"), "later rows are not the model's"
    assert registered_from(frame.tail(490), model) == "the newest of 400 rows from 2024-01-01 00:00 on"
    assert learned_from(known, FAST, time="at") == "400 rows from 2024-01-01 00:00 on"
    upon = replace(own, way="continued", more=3)
    assert learned_from(known, upon, time="at").endswith(" on, upon trees of all 400")
    facts = dict(recipe(replace(model, recipe=replace(own, span_days=159.958, half_life_days=3.9)), spec.training))
    assert (facts["rows used"], facts["a row's weight halves in"]) == ("the newest 160 days", "3.9 days")


def test_slices_too_small_to_be_judged_are_named() -> None:
    rows = pl.DataFrame({"stop": ["a"] * 5 + ["b"] * 2 + [None], "zone": range(8)})
    assert small_slices(rows, ["stop"], least=3) == (
        "Smaller slices, of fewer than 3 rows, are not judged: stop = b (2), stop = None (1)."
    )
    assert small_slices(rows, ["stop"], least=1) == ""
    assert small_slices(rows.head(0), ["stop"], least=3) == ""
    assert small_slices(pl.DataFrame({"zone": range(20)}), ["zone"], least=2).endswith("(1), and 8 more.")
