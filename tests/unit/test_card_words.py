"""What a card and a study's run say of a training: rungs, curves, trials, verdicts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from modelling.jobs import Learned
from modelling.recipes import DEFAULT_RECIPES
from modelling.rungs.choosing import Tried
from modelling.tuning.results import Curves, SearchResult
from tasks.card_making import STUDY_POINTS, rungs, study
from tasks.card_words import rung, search

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
