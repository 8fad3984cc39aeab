"""Snapshots in the loop: recorded with the model that learned from them, and nothing new is nothing to learn."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from flows.ingest import ingest
from flows.monitor import monitor
from flows.reconcile import reconcile
from flows.retrain import retrain
from modelling import bundle
from tasks.descriptions import describe, find_description
from tasks.taking import take_again
from tests.flows.world import World, day
from validation.verdict import Verdict


def answer(*, as_of: datetime, intent: str | None = None) -> Verdict:
    verdict = retrain("bikes", intent=intent, as_of=as_of)
    assert isinstance(verdict, Verdict)
    return verdict


def test_a_model_carries_the_description_of_what_it_has_learned(world: World, tmp_path: Path) -> None:
    (recorded,) = world.ledger.verdicts("bikes", kind="snapshot")
    (gate,) = world.ledger.verdicts("bikes", kind="gate")
    assert (recorded.outcome, recorded.data_time, gate.body["snapshot"]) == ("taken", day(1, 31), recorded.subject)
    description = find_description(world.site, "1", is_version=True)
    learned = bundle.load(world.site.store.fetch("bikes", "1", into=tmp_path / "fetched")).manifest.learned
    assert learned == description
    assert (description.rows, description.batches) == (gate.body["mature_rows"], {"rows": "1-6", "labels": "1-5"})


def test_mlflow_shows_the_snapshot_as_the_runs_dataset(world: World) -> None:
    description = find_description(world.site, "1", is_version=True)
    with closing(sqlite3.connect(world.home / "mlflow.db")) as database:
        ((name, digest, source, profile),) = database.execute(
            "SELECT name, digest, dataset_source, dataset_profile FROM datasets"
        )
    assert (name, digest) == ("bikes", description.digest[:36])
    assert json.loads(source)["uri"].endswith("/lake/curated/bikes")
    told = json.loads(profile)
    assert (told["id"], told["num_rows"], told["batches"]) == (description.id, description.rows, description.batches)


def test_what_comes_later_does_not_change_what_was_learned(world: World) -> None:
    before = find_description(world.site, "1", is_version=True)
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    again = take_again(world.site, before)
    assert again is not None
    assert describe(world.site, again) == before


def test_without_new_mature_rows_nobody_can_retrain(world: World) -> None:
    """Neither a person, nor an event, nor the schedule; when rows have matured, what was asked for is done."""
    by_hand = answer(as_of=day(1, 31, 12))
    since = "nothing new is mature since 2011-01-31 00:00: the snapshot is the one that got the verdict 'promote' then"
    assert (by_hand.kind, by_hand.outcome) == ("governor", "defer")
    assert by_hand.reasons == (f"{since} (the newest row is of 2011-01-30 22:00)",)
    (intent,) = world.ledger.intents("bikes", states=("deferred",))
    assert intent.condition == "new mature rows"

    assert retrain(as_of=day(1, 31, 13)) == ()  # the schedule's
    world.ledger.reopen(intent.id)  # an event of long ago that is only heard now
    assert answer(as_of=day(1, 31, 14), intent=intent.id).reasons == by_hand.reasons
    assert answer(as_of=day(1, 31, 14), intent=intent.id).outcome == "skipped"
    assert world.told("training")[1:] == []
    assert len(world.told("snapshot")) == 1

    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    reconcile("bikes", as_of=day(2, 7))
    assert [state.state for state in world.ledger.intents("bikes") if state.id == intent.id] == ["open"]
    assert answer(as_of=day(2, 7), intent=intent.id).kind == "gate", "as its event would"
    assert len(world.told("snapshot")) == 2


def test_a_monitor_writes_no_snapshot_down(later: World) -> None:
    assert len(later.told("snapshot")) == 2
    later.land(8)
    ingest("bikes", as_of=day(2, 21))
    monitor("bikes", as_of=day(2, 21))
    assert len(later.told("snapshot")) == 2


def test_rows_that_were_taken_in_later_are_told_to_who_asks_for_the_past(empty: World) -> None:
    empty.land(0, 1)
    ingest("bikes", as_of=day(1, 12))
    verdict = answer(as_of=day(1, 10))
    assert verdict.outcome == "skipped"
    assert verdict.reasons[0].startswith(
        "no row was known at 2011-01-10 00:00: 216 rows are known only since 2011-01-12 00:00, when they were taken in"
    )
