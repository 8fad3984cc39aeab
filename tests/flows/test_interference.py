"""What comes in between: a person, a dead model store, a definition's limits; the loop goes on by its rules."""

import pytest
from prefect import flow

from flows.ingest import ingest
from flows.reconcile import reconcile
from flows.retrain import retrain
from tasks.challengers import train_challenger
from tasks.champions import champion_bundle
from tasks.cord import pull
from tasks.orders import Order, answering
from tasks.retrain import judge_challenger, register
from tasks.settling import settle
from tasks.site import due_sites
from tests.flows.world import ANEW, POLICIES, World, day
from validation.verdict import Verdict

LIMITED = f"{POLICIES} quarantine=replace(BIKES.quarantine, per_rule={{'temp.in_range': 0.0}}),"


def test_a_cord_that_is_pulled_while_a_challenger_is_trained_stops_its_promotion(world: World) -> None:
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))

    @flow
    def interrupted() -> Verdict:
        with answering(world.site, None, day(2, 14), "by hand") as order:
            assert isinstance(order, Order)
            judged = judge_challenger(order, train_challenger(order))
            pull("bikes", "the docks are rebuilt")
            return settle(order, register(order, judged))

    answer = interrupted()
    assert (world.told("gate")[-1], answer.outcome, world.champion()) == (("2", "promote"), "skipped", "1")
    assert "version 2 passed the gate, but was not promoted: the cord is pulled (the docks are" in answer.reasons[0]
    assert [intent.outcome for intent in world.ledger.intents("bikes")] == ["promote", *answer.reasons]


def test_a_model_store_that_is_down_is_told_once_and_stops_no_other_repair(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion_bundle(world.site)  # on this machine already
    monkeypatch.setenv("ANDON_MLFLOW_URI", f"sqlite:///{world.home / 'mlflow.db'}/gone.db")
    first = reconcile("bikes", as_of=ANEW)
    assert [(item.kind, item.outcome) for item in first if item.subject == "alias champion"] == [("repair", "reported")]
    assert world.told("score") == [("5", "scored"), ("6", "scored")]
    assert reconcile("bikes", as_of=ANEW) == ()


def test_limits_on_the_rules_of_rows_are_not_asked_of_labels(empty: World) -> None:
    empty.define(LIMITED)
    empty.land(1)
    assert {item.subject: item.outcome for item in ingest("bikes", as_of=day(1, 10))} == {
        "labels 2011-W01.parquet": "accept",
        "2011-W01.parquet": "accept",
    }


def test_the_daily_retrain_leaves_to_the_governor_what_it_has_deferred(empty: World) -> None:
    assert [site.name for site in due_sites(None)] == ["bikes"]  # nothing has been tried yet
    intent = empty.ledger.ask(intent_id="first", pipeline="bikes", reason="no champion", data_time=day(1, 10))
    assert [site.name for site in due_sites(None)] == ["bikes"]
    empty.ledger.defer(intent.id, until=day(1, 12), condition="")
    assert due_sites(None) == ()
    assert retrain(as_of=day(1, 11)) == ()
