"""The answer to the cord: whatever comes of it, the ledger says why, and only what the gate passed becomes champion."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from flows.ingest import ingest
from flows.retrain import retrain
from modelling import bundle
from storage import tables
from tasks.cord import pull, release
from tasks.leases import holding
from tests.flows.world import POLICIES, World, at_once, day
from validation.errors import DefinitionError, RegistryError
from validation.verdict import Verdict

UNBEATABLE = POLICIES.replace("min_gain=0.01", "min_gain=0.9")
FAILS_ON_DATA = """
from dataclasses import replace
import polars as pl
from pipelines.bikes import PIPELINE as BIKES

def features(hours: pl.LazyFrame) -> pl.LazyFrame:
    return hours.with_columns(broken=pl.concat_str(pl.lit("hour "), pl.col("hour")).cast(pl.Int64))

PIPELINE = replace(BIKES, features=features)
"""


def answer(*, as_of: datetime, intent: str | None = None) -> Verdict:
    verdict = retrain("bikes", intent=intent, as_of=as_of)
    assert isinstance(verdict, Verdict)
    return verdict


def test_the_first_model_is_promoted_and_its_bytes_are_those_of_the_ledger(world: World, tmp_path: Path) -> None:
    (gate,) = world.ledger.verdicts("bikes", kind="gate")
    assert (gate.subject, gate.outcome, gate.body["champion_is"]) == ("1", "promote", "base rate")
    champion = world.ledger.champion("bikes")
    assert champion is not None
    assert (champion.epoch, champion.change.version, champion.from_version) == (1, "1", None)
    assert champion.change.bundle_sha256 == gate.body["bundle_sha256"]
    folder = world.site.store.fetch("bikes", "1", into=tmp_path / "fetched")
    loaded = bundle.load(folder, sha256=champion.change.bundle_sha256)
    loaded.verify()
    assert loaded.predict(world.rows(5)).shape == (168,)
    assert world.aliases() == {"champion": "1", "challenger": "1"}
    assert [intent.outcome for intent in world.ledger.intents("bikes")] == ["promote"]


def test_nothing_was_learned_of_what_lay_ahead(world: World) -> None:
    champion = world.ledger.champion("bikes")
    assert champion is not None
    labels = tables.scan(world.site.lake.labels("bikes"), world.site.lake.remote)
    assert labels is not None
    newest = labels.select(pl.col("ts").max()).collect().item()
    assert newest < champion.change.trained_until <= day(1, 31)


def test_what_was_judged_once_is_not_trained_again(world: World) -> None:
    verdict = answer(as_of=day(1, 31, 12))
    assert (verdict.kind, verdict.outcome) == ("governor", "defer")
    assert "the snapshot is the one that got the verdict 'promote'" in verdict.reasons[0]
    assert world.told("training")[1:] == []


def test_a_challenger_that_does_not_pass_is_kept_and_not_promoted(world: World) -> None:
    world.define(UNBEATABLE)
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    verdict = answer(as_of=day(2, 7))
    assert (verdict.kind, verdict.subject, verdict.outcome) == ("gate", "2", "reject")
    assert (world.champion(), world.aliases()) == ("1", {"champion": "1", "challenger": "2"})
    assert world.ledger.intents("bikes")[-1].outcome == "reject"
    assert list((world.home / "work").iterdir()) == []


def test_two_at_once_are_one_retrain(world: World) -> None:
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    found = at_once(*[lambda: retrain("bikes", as_of=day(2, 7))] * 2)
    verdicts = [item for item in found if isinstance(item, Verdict)]
    assert len(verdicts) == 2, found
    (other,) = (item for item in verdicts if item.kind != "gate")
    # Where Prefect's database was busy, the other one began when the first was done: nothing new is to be learned.
    assert (other.kind, other.outcome) in {("skip", "skipped"), ("governor", "defer")}
    assert len(world.told("gate")) == 2
    assert world.ledger.leases("bikes") == ()


def test_while_another_holds_the_lease_nothing_is_asked_for(world: World) -> None:
    with holding(world.site, "retrain") as lease:
        assert lease is not None
        assert answer(as_of=day(2, 7)).reasons == ("another retrain of this pipeline is running",)
    assert len(world.ledger.intents("bikes")) == 1


def test_without_data_there_is_a_sentence_and_no_model(empty: World) -> None:
    nothing = answer(as_of=day(1, 3))
    assert (nothing.outcome, nothing.reasons[0].split(";")[0]) == (
        "skipped",
        "no accepted row has a mature label yet",
    )
    empty.land(0, 1)
    ingest("bikes", as_of=day(1, 3))
    two_days = answer(as_of=day(1, 3))
    assert (two_days.kind, two_days.outcome) == ("gate", "need evidence")
    assert (empty.champion(), empty.aliases()) == (None, {})
    assert empty.told("training")[-1][1] == "not trained"
    assert [intent.state for intent in empty.ledger.intents("bikes")] == ["closed", "closed"]


def test_an_error_in_training_is_raised_told_and_closes_the_intent(world: World) -> None:
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    (world.home / "pipelines" / "bikes.py").write_text(FAILS_ON_DATA)
    asked = world.ledger.ask(intent_id="wish", pipeline="bikes", reason="a test", data_time=day(2, 7))
    with pytest.raises(
        DefinitionError,
        match=r"features fails on 8.. rows; mend it: InvalidOperationError: conversion from `str` to `i64`",
    ):
        retrain("bikes", intent=asked.id, as_of=day(2, 7))
    failed = world.ledger.verdicts("bikes", kind="training", subject="wish")[-1]
    assert failed.outcome == "failed"
    assert failed.reasons[0].startswith("DefinitionError: features fails on 8")
    intent = world.ledger.intent("wish")
    assert intent is not None
    assert (intent.state, intent.outcome) == ("closed", "failed")
    assert (world.champion(), world.ledger.leases("bikes")) == ("1", ())


def test_an_intent_is_answered_once(later: World) -> None:
    *_, answered = later.ledger.intents("bikes")
    assert (answered.state, answered.outcome, answered.attempt) == ("closed", "promote", 1)
    again = answer(intent=answered.id, as_of=day(2, 14))
    assert (again.outcome, again.reasons) == (
        "skipped",
        (f"intent {answered.id} is not open: it is answered, deferred, or unknown",),
    )
    with pytest.raises(RegistryError, match="the ledger knows no intent never asked"):
        retrain("bikes", intent="never asked", as_of=day(2, 14))
    assert [champion.change.version for champion in later.ledger.champions("bikes")] == ["1", "2"]


def test_a_pulled_cord_puts_off_what_a_person_or_the_monitor_asks_for(world: World) -> None:
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    permitted = world.ledger.ask(intent_id="before the cord", pipeline="bikes", reason="regret", data_time=day(2, 7))
    pull("bikes", "the weather service is wrong")
    for intent in (permitted.id, None):
        verdict = answer(as_of=day(2, 7), intent=intent)
        assert (verdict.kind, verdict.outcome, verdict.subject) == ("governor", "defer", permitted.id)
        assert [(item.state, item.condition) for item in world.ledger.intents("bikes")][1:] == [
            ("deferred", "the cord is released")
        ]
    release("bikes", "it is right again")
    assert answer(as_of=day(2, 7)).kind == "gate"
    assert [intent.state for intent in world.ledger.intents("bikes")] == ["closed", "closed"]


def test_an_unknown_pipeline_is_named_with_those_that_are_known(empty: World) -> None:
    assert empty.home
    with pytest.raises(DefinitionError, match="there is no pipeline 'trams'; known are: bikes"):
        retrain("trams")
