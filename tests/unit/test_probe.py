from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from modelling.probe import probe
from modelling.rungs.ladder import Tried
from modelling.spec import Spec
from modelling.splits import split
from modelling.training import Model
from tests.unit.modelling_world import FAST, START, pipeline_in, rides

HALF_HOURS = 2_000
END = START + timedelta(minutes=30) * (HALF_HOURS - 1)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def probed(spec: Spec, *, since_days_ago: float) -> Model | None:
    return probe(
        spec,
        rides(HALF_HOURS),
        recipe=FAST,
        evidence="7d",
        gap="1d",
        since=END - timedelta(days=since_days_ago),
        seed=7,
        threads=1,
    )


def test_the_probe_knows_all_rows_but_the_evidence_and_the_gap(spec: Spec) -> None:
    model = probed(spec, since_days_ago=20)
    evidence = split(rides(HALF_HOURS), time="at", holdout="7d", gap="1d", train="all").holdout
    assert model is not None
    assert model.trained_until == END - timedelta(days=8) + timedelta(microseconds=1)
    assert model.trained_until + timedelta(days=1) <= evidence["at"].min()  # type: ignore[operator]


@pytest.mark.parametrize("since_days_ago", [7.99, 7, 3, -1])
def test_there_is_no_probe_while_it_would_know_nothing_new(spec: Spec, since_days_ago: float) -> None:
    assert probed(spec, since_days_ago=since_days_ago) is None


def test_the_probe_uses_rows_as_earlier_windows_chose_and_else_as_the_champion_does(spec: Spec) -> None:
    """A champion that was made of another's trees needs none of them here."""
    week = timedelta(days=7)
    tried = [
        Tried(start=START + number * week, stop=START + (number + 1) * week, rung=rung, loss=loss, rows=336)
        for number in range(3)
        for rung, loss in (("1/1", 0.6), ("1/2 fading", 0.5))
    ]
    end = START + timedelta(minutes=30) * 5_000
    options = {"evidence": "7d", "gap": "1d", "since": end - timedelta(days=20), "seed": 7, "threads": 1}
    refit = replace(FAST, way="refit", base="ab" * 32, span_days=104 / 8)
    for recipe, known, way, fades in (
        (FAST, tried, "fresh", True),
        (FAST, (), "fresh", False),
        (refit, (), "refit", False),
    ):
        model = probe(spec, rides(5_000), recipe=recipe, earlier=known, **options)  # type: ignore[arg-type]
        assert model is not None
        assert (model.recipe.way, model.recipe.half_life_days is not None, model.recipe.base) == (way, fades, "")
