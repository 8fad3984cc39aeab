"""What the gate's policy asks for, through the whole retrain: looks, dry runs, other evidence, a lame champion."""

import shutil
from datetime import datetime

import pytest

from andon.cli.versions import bundle_of
from flows.ingest import ingest
from flows.retrain import retrain
from tasks.approval import open_question
from tasks.deferrals import reexamine
from tasks.promote import promote_version
from tasks.reproduce import reproduce
from tasks.requests import request
from tests.flows.world import POLICIES, World, day
from validation.verdict import Verdict

PATIENT = POLICIES.replace("min_blocks=3", 'min_blocks=6, max_looks=3, evidence="prequential"')


def answer(*, as_of: datetime, intent: str | None = None, search: bool = False) -> Verdict:
    verdict = retrain("bikes", intent=intent, as_of=as_of, search=search)
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.fixture
def undecided(world: World) -> World:
    """On 7 February version 2, of a searched recipe, has three days of evidence, and six are asked for."""
    world.define(PATIENT)
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    assert (first := answer(as_of=day(2, 7), search=True)).outcome == "need evidence", first
    return world


def test_a_challenger_that_lacks_evidence_is_looked_at_again_when_there_is_more(undecided: World) -> None:
    *_, waiting = undecided.ledger.intents("bikes")
    assert (waiting.state, waiting.condition) == ("deferred", "more evidence on its challenger")
    assert waiting.until is not None
    assert day(2, 8) <= waiting.until <= day(2, 12)
    assert reexamine(undecided.site, day(2, 7, 12)) == ()

    undecided.land(7)
    ingest("bikes", as_of=day(2, 14))
    assert [verdict.outcome for verdict in reexamine(undecided.site, day(2, 14))] == ["run"]
    answer(intent=waiting.id, as_of=day(2, 14))

    _, first, second = undecided.ledger.verdicts("bikes", kind="gate")
    assert (first.subject, first.body["look"], second.body["look"]) == ("2", 1, 2)
    assert second.body["earlier_blocks"] == [first.body["blocks"]]
    assert second.body["blocks"] > first.body["blocks"]
    assert second.body["holdout_start"] == first.body["holdout_start"]
    searched = "what the champion's recipe loses on windows is no evidence on it"
    assert (first.body["evidence"], second.body["evidence"]) == ("holdout", "holdout"), searched
    assert undecided.told("training")[-1] == (waiting.id, "kept")


def test_a_new_wish_does_not_cut_the_wait_short_but_a_person_may(undecided: World) -> None:
    undecided.land(7)
    ingest("bikes", as_of=day(2, 14))
    assert request(undecided.site, None, "regret", day(2, 7, 18)) == ()
    assert undecided.ledger.intents("bikes")[-1].state == "deferred"
    answer(as_of=day(2, 14))
    assert undecided.ledger.verdicts("bikes", kind="gate")[-1].body["look"] == 2


def test_another_definition_gets_a_challenger_of_its_own(undecided: World) -> None:
    undecided.define(PATIENT.replace("rounds=30", "rounds=31"))
    undecided.land(7)
    ingest("bikes", as_of=day(2, 14))
    answer(as_of=day(2, 14))
    newest = undecided.ledger.verdicts("bikes", kind="gate")[-1]
    assert (newest.subject, newest.body["look"]) == ("3", 1)


def test_a_dry_run_decides_and_records_and_promotes_nothing(world: World) -> None:
    world.define(POLICIES.replace("Gate(", 'Gate(mode="dry_run", approval="always", '))
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    verdict = answer(as_of=day(2, 14))
    assert (verdict.kind, verdict.subject, verdict.outcome) == ("gate", "2", "promote")
    assert (world.champion(), open_question(world.site)) == ("1", None)
    assert world.ledger.intents("bikes")[-1].outcome == "dry run: version 2 would be promoted"
    assert promote_version(world.site, "2", "it is meant now", day(2, 14)).outcome == "promoted"


def test_prequential_evidence_is_of_all_that_the_champion_has_not_seen(world: World) -> None:
    world.define(POLICIES.replace("Gate(", 'Gate(evidence="prequential", '))
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    answer(as_of=day(2, 14))
    newest = world.ledger.verdicts("bikes", kind="gate")[-1].body
    assert newest["evidence"] == "prequential"
    assert newest["blocks"] > 10


def test_a_champion_that_cannot_score_is_no_first_model_and_a_person_is_asked(world: World) -> None:
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    shutil.rmtree(world.home / "models")
    shutil.rmtree(world.home / "bundles", ignore_errors=True)
    asked = answer(as_of=day(2, 14))
    newest = world.ledger.verdicts("bikes", kind="gate")[-1]
    assert (newest.outcome, newest.body["champion_is"]) == ("need evidence", "unable")
    assert "the bundle of version 1 of 'bikes' is gone from MLflow" in " ".join(newest.reasons)
    assert world.champion() == "1"
    assert open_question(world.site) is not None
    assert "andon approve" in " ".join(asked.reasons)


def test_a_refit_that_went_wrong_is_not_taken_and_what_was_proven_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every refit is refused here: none may decide anything otherwise."""
    monkeypatch.setattr("validation.refit.MAX_CHURN", -1.0)
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    verdict = answer(as_of=day(2, 14))
    assert verdict.outcome == "promote", verdict.reasons
    assert verdict.reasons[-1].startswith("not refitted on everything, since the refit decides 0.0% of the rows")

    gate = world.ledger.verdicts("bikes", kind="gate")[-1].body
    champion = world.ledger.champion("bikes")
    assert champion is not None
    assert champion.change.trained_until <= datetime.fromisoformat(gate["holdout_start"])
    with bundle_of(world.site, "2") as (found, _):
        found.verify()
        assert found.sha256 == champion.change.bundle_sha256 == gate["bundle_sha256"]
        assert found.manifest.trained_until == champion.change.trained_until
        assert found.estimator_json is not None, "it is known later, as every champion is"
        assert reproduce(world.site, "2", found).outcome == "identical bytes"
