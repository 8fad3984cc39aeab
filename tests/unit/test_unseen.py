"""What the gate judges by is seen by nothing that chooses or fits, nor by what older retrains have left behind."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from modelling.jobs import Plan, learn
from modelling.rungs.choosing import Tried
from modelling.splits import split
from tests.unit.modelling_world import plan_in, rides

ROWS = rides()
PARTS = split(ROWS, time="at", holdout="7d", gap="1d", train="all")
DAY = timedelta(days=1)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_in(tmp_path, window=timedelta(days=3), when="always")


def test_a_challenger_is_the_same_whatever_the_rows_say_that_are_held_out(plan: Plan) -> None:
    """Baselines are asked about them when all is done; of the keys alone it is known before."""
    honest = learn(plan, PARTS.train, holdout=PARTS.holdout)
    wrong = PARTS.holdout.with_columns(pl.col("wind").reverse() * 9, late=~pl.col("late"), stop=pl.lit("west"))
    blind = learn(plan, PARTS.train, holdout=wrong)
    assert honest.model is not None
    assert blind.model is not None
    assert honest.search is not None
    assert blind.search is not None
    assert (blind.model.text, blind.why, blind.tried) == (honest.model.text, honest.why, honest.tried)
    assert blind.search.trials == honest.search.trials


def test_no_choice_is_made_by_what_an_older_retrain_tried_on_rows_that_are_held_out_now(plan: Plan) -> None:
    """As after a retrain that is asked for with an earlier moment than the last one."""
    plan = replace(plan, when="never")
    starts = [PARTS.holdout_start + DAY * number for number in range(6)]
    lost = {"1/1": 9.0, "1/4": 0.1}
    later = tuple(
        Tried(start=start, stop=start + DAY, rung=rung, loss=loss, rows=48)
        for start in starts
        for rung, loss in lost.items()
    )
    honest, told = learn(plan, PARTS.train), learn(replace(plan, earlier=later), PARTS.train)
    assert honest.model is not None
    assert told.model is not None
    assert (told.model.text, told.chosen, told.tried) == (honest.model.text, honest.chosen, honest.tried)
    before = tuple(
        replace(item, start=item.start - timedelta(days=20), stop=item.stop - timedelta(days=20)) for item in later
    )
    assert learn(replace(plan, earlier=before), PARTS.train).chosen == "1/4"
