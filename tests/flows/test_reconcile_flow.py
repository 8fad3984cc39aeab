"""The sweep: whatever was interrupted is finished, once; then there is nothing left to find."""

import hashlib
import os
import time
from datetime import timedelta

import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.reconcile import reconcile
from flows.retrain import retrain
from flows.score import score
from registry.ledger import Arrival, Lease
from tasks.arrivals import landed
from tasks.cord import pull, release
from tasks.deferrals import reexamine
from tasks.reconcile import in_turn
from tests.flows.test_monitor_flow import LATER, changed
from tests.flows.world import World, day
from validation.verdict import Verdict

NOW = day(1, 31)


def found(verdicts: tuple[Verdict, ...]) -> list[tuple[str, str, str]]:
    return [(verdict.kind, verdict.subject, verdict.outcome) for verdict in verdicts]


@pytest.fixture
def idle(world: World) -> World:
    """Nothing is left to do."""
    score("bikes", as_of=NOW)
    monitor("bikes", as_of=NOW)
    return world


def lease_of_the_dead(world: World, activity: str) -> Lease:
    lease = world.ledger.acquire("bikes", activity, holder="gone@nowhere:1", ttl=timedelta(milliseconds=1))
    assert lease is not None
    return lease


def test_where_nothing_is_wrong_nothing_is_done(idle: World) -> None:
    before = len(idle.ledger.verdicts("bikes"))
    assert reconcile("bikes", as_of=NOW) == ()
    assert len(idle.ledger.verdicts("bikes")) == before


def test_an_empty_installation_is_in_order(empty: World) -> None:
    assert empty.home
    assert reconcile(as_of=NOW) == ()


def test_an_alias_that_was_moved_or_removed_by_hand_is_put_back(later: World) -> None:
    score("bikes", as_of=day(2, 14))
    monitor("bikes", as_of=day(2, 14))
    for moved in ("1", None):
        later.site.store.project("bikes", moved)
        (repaired,) = reconcile("bikes", as_of=day(2, 14))
        assert (repaired.subject, repaired.outcome) == ("alias champion", "repaired")
        assert later.aliases()["champion"] == "2"
        assert reconcile("bikes", as_of=day(2, 14)) == ()


def test_leases_of_the_dead_are_freed_and_those_of_the_living_stay(idle: World) -> None:
    lease_of_the_dead(idle, "ingest")
    alive = idle.ledger.acquire("bikes", "score", holder="here@now:1", ttl=timedelta(minutes=5))
    assert found(reconcile("bikes", as_of=NOW)) == [("repair", "ingest", "repaired")]
    assert idle.ledger.leases("bikes") == (alive,)
    assert reconcile("bikes", as_of=NOW) == ()


def test_an_intent_whose_retrain_died_is_answered(idle: World) -> None:
    """The server has no deployment of it, so the sweep does the work itself."""
    changed(idle)
    score("bikes", as_of=day(2, 14))
    monitor("bikes", as_of=day(2, 14))
    (intent,) = idle.ledger.intents("bikes", states=("open",))
    idle.ledger.claim(intent.id, lease=lease_of_the_dead(idle, "retrain"))
    verdicts = reconcile("bikes", as_of=day(2, 14))
    assert found(verdicts) == [
        ("repair", intent.id, "repaired"),
        ("repair", "retrain", "repaired"),
        ("repair", "retrain", "repaired"),
        ("gate", "2", "promote"),
    ]
    answered = idle.ledger.intent(intent.id)
    assert answered is not None
    assert (answered.state, answered.outcome, answered.attempt, idle.champion()) == ("closed", "promote", 2, "2")
    assert reconcile("bikes", as_of=day(2, 14)) == ()


def test_one_whose_death_is_likely_is_named_and_nothing_is_taken_from_him(
    idle: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He renews his lease three times in its life; with less than half of it left, he is late."""
    monkeypatch.setenv("ANDON_LEASE_SECONDS", "3600")
    fresh = idle.ledger.acquire("bikes", "ingest", holder="here@now:1", ttl=timedelta(minutes=59))
    late = idle.ledger.acquire("bikes", "score", holder="where@now:2", ttl=timedelta(minutes=20))
    assert late is not None
    before = idle.ledger.verdicts("bikes")
    (told,) = reconcile("bikes", as_of=NOW)
    assert (told.subject, told.outcome) == ("score", "waiting")
    assert told.reasons[0].startswith("where@now:2 holds the score lease and was not heard of for a while")
    assert f"the first sweep after {late.expires_at:%H:%M:%S} UTC goes on" in told.reasons[0]
    assert idle.ledger.leases("bikes") == (fresh, late)
    assert idle.ledger.verdicts("bikes") == before


def test_what_dead_attempts_have_left_on_disk_is_removed_and_the_work_of_the_living_stays(idle: World) -> None:
    (intent,) = idle.ledger.intents("bikes")
    kept = [idle.home / "work" / name for name in ("bikes-of-another-1", "ingest-1")]
    left = [idle.home / "work" / name for name in (f"{intent.id}-1", f".{intent.id}-2-x_3")]
    young, old = (idle.home / "bundles" / "bikes" / f".{name}.1" for name in ("young", "old"))
    for folder in (*kept, *left, young, old):
        folder.mkdir(parents=True)
        (folder / "model.txt").touch()
    for path in (old / "model.txt", old):
        os.utime(path, (time.time() - 3_700,) * 2)
    lease = idle.ledger.acquire("bikes", "retrain", holder="here@now:1", ttl=timedelta(minutes=5))
    assert lease is not None
    assert [item.reasons[0] for item in reconcile("bikes", as_of=NOW)] == ["a half-fetched bundle was removed"]
    assert all(folder.exists() for folder in (*kept, *left, young))
    idle.ledger.release(lease)
    assert [item.reasons[0] for item in reconcile("bikes", as_of=NOW)] == ["2 folders of dead retrains were removed"]
    assert [folder.exists() for folder in (*kept, *left)] == [True, True, False, False]
    assert reconcile("bikes", as_of=NOW) == ()


def test_what_fails_does_not_keep_the_rest_from_its_turn() -> None:
    seen = []

    def step(number: int) -> list[Verdict]:
        seen.append(number)
        if number == 2:
            raise RuntimeError("two is broken")
        return []

    with pytest.raises(RuntimeError, match="two is broken"):
        in_turn((1, 2, 3), step)
    assert seen == [1, 2, 3]


def test_what_has_landed_and_was_not_scored_or_watched_is_caught_up_with(world: World) -> None:
    verdicts = reconcile("bikes", as_of=NOW)
    kinds = [verdict.kind for verdict in verdicts]
    assert [verdict.subject for verdict in verdicts if verdict.kind in ("repair", "score")] == [
        "score",
        "5",
        "6",
        "monitor",
    ]
    assert kinds.count("drift") == 14
    assert reconcile("bikes", as_of=NOW) == ()
    assert world.told("score") == [("5", "scored"), ("6", "scored")]


def test_a_late_batch_of_a_judged_week_is_scored_and_then_left_in_peace(idle: World) -> None:
    """Its windows have been judged already: there is nothing to report, and no reason to look again and again."""
    late = idle.rows(6)
    idle.put("bikes", "a.parquet", late[48:])
    ingest("bikes", as_of=day(2, 7))
    idle.put("bikes", "b.parquet", late[:48])
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    reconcile("bikes", as_of=day(2, 7))
    assert reconcile("bikes", as_of=day(2, 7)) == ()


def test_a_file_that_was_claimed_and_not_finished_is_taken_in(idle: World) -> None:
    idle.land(6)
    name = idle.weeks[6].batch.name
    groups = [group for group in landed(idle.site) if group.intake.kind == "rows"]
    (rows,) = (file for group in groups for file in group.files if file.name == name)
    digest = hashlib.sha256(rows.address.path.read_bytes()).hexdigest()
    idle.ledger.claim_batches("bikes", "rows", [Arrival(name=rows.name, sha256=digest, stamp=rows.stamp)])
    verdicts = reconcile("bikes", as_of=day(2, 7))
    assert [verdict.subject for verdict in verdicts if verdict.kind == "repair"] == ["ingest", "score", "monitor"]
    assert [verdict.outcome for verdict in verdicts if verdict.kind == "contract"] == ["accept", "accept"]
    assert reconcile("bikes", as_of=day(2, 7)) == ()


@pytest.mark.slow
def test_a_deferred_wish_comes_back_when_its_moment_has_come(idle: World) -> None:
    idle.define(LATER)
    changed(idle)
    score("bikes", as_of=day(2, 14))
    monitor("bikes", as_of=day(2, 14))
    (waiting,) = idle.ledger.intents("bikes", states=("deferred",))
    assert waiting.until == day(3, 2)
    newest = idle.weeks[8].labels
    assert newest is not None
    idle.put("bike_rentals", newest.name, newest.read_bytes())
    ingest("bikes", as_of=day(2, 21))
    assert reconcile("bikes", as_of=day(3, 1, 23)) == ()
    assert found(reconcile("bikes", as_of=day(3, 2))) == [("governor", waiting.id, "run")]
    answer = retrain("bikes", intent=waiting.id, as_of=day(3, 2))
    assert isinstance(answer, Verdict)
    assert (answer.outcome, idle.champion()) == ("promote", "2")
    assert reconcile("bikes", as_of=day(3, 2)) == ()


def test_what_a_wish_waits_for_is_told_anew_when_it_is_something_else_and_only_then(idle: World) -> None:
    pull("bikes", "the docks are rebuilt")
    refused = retrain("bikes", as_of=NOW)
    assert isinstance(refused, Verdict)
    (waiting,) = idle.ledger.intents("bikes", states=("deferred",))
    assert (refused.outcome, waiting.condition) == ("defer", "the cord is released")
    assert reconcile("bikes", as_of=NOW) == ()
    release("bikes", "done")
    (told,) = reconcile("bikes", as_of=NOW)
    assert (told.kind, told.outcome, told.reasons[0].startswith("the last attempt was at 2011-01-31")) == (
        "governor", "defer", True,
    )  # fmt: skip
    (waiting,) = idle.ledger.intents("bikes", states=("deferred",))
    assert (waiting.until, waiting.condition) == (day(2, 3), "")
    assert reconcile("bikes", as_of=day(2, 2, 23)) == ()
    (told,) = reconcile("bikes", as_of=day(2, 3))
    assert "nothing new is mature" in told.reasons[0]
    assert reconcile("bikes", as_of=day(2, 3)) == ()


def test_a_wish_that_waits_for_rows_costs_no_snapshot_until_some_have_come(idle: World) -> None:
    """What was looked at in vain has a newer `changed_at`, and no verdict."""
    asked = retrain("bikes", as_of=day(2, 7))
    assert isinstance(asked, Verdict)
    (waiting,) = idle.ledger.intents("bikes", states=("deferred",))
    assert waiting.condition == "new mature rows"
    assert reconcile("bikes", as_of=day(2, 7)) == ()
    assert idle.ledger.intent(waiting.id) == waiting
    idle.put("bikes", "2011-W06.parquet", idle.rows(6))
    ingest("bikes", as_of=day(2, 7))
    before = idle.told("governor")
    assert reexamine(idle.site, day(2, 7)) == ()
    looked_at = idle.ledger.intent(waiting.id)
    assert looked_at is not None
    assert (looked_at.state, looked_at.condition) == ("deferred", "new mature rows")
    assert looked_at.changed_at > waiting.changed_at
    assert idle.told("governor") == before
    assert reexamine(idle.site, day(2, 7)) == ()
    assert idle.ledger.intent(waiting.id) == looked_at
    newest = idle.weeks[6].labels
    assert newest is not None
    idle.put("bike_rentals", newest.name, newest.read_bytes())
    ingest("bikes", as_of=day(2, 7))
    assert [verdict.outcome for verdict in reexamine(idle.site, day(2, 7))] == ["run"]
