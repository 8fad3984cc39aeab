"""What the training process meets, through the whole retrain: its end is a verdict, and the flow's process lives on."""

import subprocess
import sys
from datetime import datetime

import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.retrain import retrain
from modelling.recipes import DEFAULT_RECIPES
from tests.flows.world import POLICIES, World, day
from validation.verdict import Verdict

TIGHT = POLICIES + "training=Training(memory_mb=60),"
HASTY = (
    POLICIES.replace("budget_seconds=1,", "budget_seconds=0.02,")
    + 'training=Training(deadline=__import__("datetime").timedelta(milliseconds=50)),'
)
TOLD = """
from dataclasses import replace
import polars as pl
from pipelines.bikes import PIPELINE as BIKES
from andon import *

def features(hours: pl.LazyFrame) -> pl.LazyFrame:
    return BIKES.features(hours).with_columns(tomorrow=pl.col("temp").shift(-1))

PIPELINE = replace(BIKES, features=features, {changes})
"""


def answer(*, as_of: datetime, intent: str | None = None, search: bool = False) -> Verdict:
    verdict = retrain("bikes", intent=intent, as_of=as_of, search=search)
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(TIGHT, "allow more, Training(memory_mb=...)", marks=pytest.mark.slow),
        (HASTY, 'training failed: it was not done within 0.05 s and was ended; allow more, Training(deadline="2h")'),
    ],
    ids=["memory", "deadline"],
)
def test_a_training_process_that_ends_without_an_answer_is_the_retrains_verdict(
    world: World, changes: str, words: str
) -> None:
    world.define(changes)
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    asked = world.ledger.ask(intent_id="wish", pipeline="bikes", reason="a test", data_time=day(2, 7))
    studies = world.home / "studies"
    studies.mkdir(exist_ok=True)
    (studies / "bikes-wish.journal").touch()  # as an earlier attempt left it, which was killed
    verdict = answer(intent=asked.id, as_of=day(2, 7))
    assert (verdict.kind, verdict.subject, verdict.outcome) == ("training", "wish", "failed")
    assert verdict.reasons[0].startswith("training failed: ")
    assert words in verdict.reasons[0]
    assert world.told("training")[-1] == ("wish", "failed")
    intent = world.ledger.intent("wish")
    assert intent is not None
    assert (intent.state, intent.outcome) == ("closed", "failed")
    assert (world.champion(), world.ledger.leases("bikes")) == ("1", ())
    assert list(studies.iterdir()) == [], "nothing goes on with the search of a closed intent"
    # The next one, with limits that do, is answered by the same process.
    world.define()
    assert answer(as_of=day(2, 7)).kind == "gate"


def test_inputs_that_know_the_target_end_the_retrain_with_the_remedy(world: World) -> None:
    (world.home / "pipelines" / "bikes.py").write_text(TOLD.format(changes=POLICIES))
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    verdict = answer(as_of=day(2, 7))
    assert (verdict.kind, verdict.outcome) == ("training", "not trained")
    assert "tomorrow" in verdict.reasons[0]
    assert "drop it" in verdict.reasons[0]
    (*_, told) = world.ledger.verdicts("bikes", kind="training")
    assert told.body["leaks"] == ["tomorrow"]
    (*_, intent) = world.ledger.intents("bikes")
    assert (intent.state, intent.outcome) == ("closed", "not trained")
    assert len(world.told("gate")) == 1


@pytest.mark.slow
def test_a_search_runs_when_it_is_asked_for_and_leaves_no_files(world: World) -> None:
    easy = POLICIES.replace("min_gain=0.01", "min_gain=0.0")  # whatever a rung gains is enough: no search is needed
    world.define(easy)
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    assert answer(as_of=day(2, 7)).kind == "gate"
    (first, second) = world.ledger.verdicts("bikes", kind="training")
    assert first.body["searched"], "none was for long"
    assert not second.body["searched"], second.reasons
    assert second.body["rungs"], "what the ways of using the rows lost stands in the ledger"
    world.land(7)
    ingest("bikes", as_of=day(2, 14))
    answer(as_of=day(2, 14), search=True)
    (*_, third) = world.ledger.verdicts("bikes", kind="training")
    assert third.body["searched"]
    assert third.body["losses"]
    assert third.reasons[0].startswith("searched: ")
    assert set(third.body["recipe"]) >= set(DEFAULT_RECIPES["regression"][0].params)
    assert list((world.home / "studies").iterdir()) == []


def test_a_probe_that_cannot_be_trained_is_told_and_the_windows_are_judged_all_the_same(world: World) -> None:
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    world.define(HASTY)
    found = monitor("bikes", as_of=day(2, 14))
    (performance,) = (item for item in found if isinstance(item, Verdict) and item.kind == "performance")
    assert performance.reasons[-1].startswith("the probe could not be trained: it was not done within 0.05 s")


@pytest.mark.slow
def test_whoever_hands_work_to_the_training_process_does_without_lightgbm() -> None:
    """It costs two seconds of CPU, and a process that never loads it cannot crash in it."""
    told = "import flows.retrain, flows.monitor, sys; sys.exit('lightgbm' in sys.modules or 'optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
