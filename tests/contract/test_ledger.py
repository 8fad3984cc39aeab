"""The promises of registry/ledger.py, kept by every adapter: memory, SQLite and PostgreSQL."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from registry import chain
from registry.ledger import Change, Lease, Ledger
from registry.sql import open_ledger
from tests.contract.ledger_world import BLINK, MINUTE, MONDAY, claimed, lease_of, note, overtaken
from validation.errors import (
    DefinitionError,
    LeaseLostError,
    RefusedError,
    RegistryError,
    ServiceDownError,
    StaleEpochError,
)
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RichVerdict(Verdict):
    kind: ClassVar[str] = "rich"

    parts: tuple[Part, ...]
    until: datetime
    loss: float


def change(version: str, *, kind: Any = "promotion", pipeline: str = "flights") -> Change:
    return Change(
        pipeline=pipeline,
        kind=kind,
        version=version,
        bundle_sha256="ab" * 32,
        trained_until=MONDAY,
        why="a gain of 2 %",
        data_time=MONDAY,
        actor="gate",
        intent="intent-1",
    )


def asked(ledger: Ledger, intent_id: str = "intent-1") -> str:
    return ledger.ask(intent_id=intent_id, pipeline="flights", reason="drift", data_time=MONDAY).id


# Verdicts


def test_a_recorded_verdict_comes_back_as_it_was_written(ledger: Ledger) -> None:
    before = ledger.now()
    record = ledger.record(note(), actor="monitor")

    assert ledger.verdicts() == (record,)
    assert (record.seq, record.kind, record.actor, record.reasons) == (1, "note", "monitor", ("all is well",))
    assert record.data_time == MONDAY
    assert before <= record.recorded_at <= ledger.now()
    assert record.recorded_at.tzinfo == UTC


def test_the_body_holds_nested_values_and_null_for_what_json_cannot_say(ledger: Ledger) -> None:
    verdict = RichVerdict(
        pipeline="flights",
        subject="a\x00b\ud800",
        outcome="fine",
        reasons=(),
        data_time=datetime(2013, 4, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        parts=(Part(name="carrier", share=float("nan")), Part(name="origin", share=np.float64(0.25))),
        until=MONDAY,
        loss=float("inf"),
    )

    written = ledger.record(verdict, actor="monitor")
    (read,) = ledger.verdicts()

    assert read == written
    assert read.subject == "a\ufffdb\ufffd"
    assert read.data_time == MONDAY
    assert read.body["parts"] == [{"name": "carrier", "share": None}, {"name": "origin", "share": 0.25}]
    assert (read.body["loss"], read.body["until"]) == (None, "2013-04-01T00:00:00Z")
    assert chain.verify([read]) is None


def test_verdicts_are_filtered_and_limited_to_the_newest_in_order(ledger: Ledger) -> None:
    for pipeline, subject in [("flights", "a"), ("bikes", "a"), ("flights", "b"), ("flights", "a")]:
        ledger.record(note(pipeline, subject=subject), actor="monitor")

    assert [item.seq for item in ledger.verdicts("flights")] == [1, 3, 4]
    assert [item.seq for item in ledger.verdicts("flights", limit=2)] == [3, 4]
    assert [item.seq for item in ledger.verdicts(subject="a", kind="note")] == [1, 2, 4]
    assert [item.subject for item in ledger.verdicts(seq=3)] == ["b"]
    assert ledger.verdicts("bikes", seq=3) == ()
    assert ledger.verdicts(seq=5) == ()
    assert ledger.verdicts(kind="drift") == ()
    assert ledger.verdicts(limit=0) == ()


def test_the_chain_tells_the_first_record_that_was_changed_removed_or_moved(ledger: Ledger) -> None:
    for subject in "abcd":
        ledger.record(note(subject=subject), actor="monitor")
    one, two, three, four = ledger.verdicts()

    assert chain.verify(()) is None
    assert chain.verify([one, two, three, four]) is None
    assert chain.verify([one, replace(two, outcome="drift"), three, four]) == 2
    assert chain.verify([one, replace(two, body={**two.body, "outcome": "drift"}), three, four]) == 2
    assert chain.verify([one, three, four]) == 3
    assert chain.verify([two, three, four]) == 2
    assert chain.verify([one, three, two, four]) == 3


def test_a_moment_without_a_time_zone_is_refused(ledger: Ledger) -> None:
    naive = datetime(2013, 4, 1)  # noqa: DTZ001 - the point
    with pytest.raises(RegistryError, match=r"data_time must have a time zone, got 2013-04-01T00:00:00"):
        ledger.record(replace(note(), data_time=naive), actor="monitor")
    with pytest.raises(RegistryError, match="trained_until must have a time zone"):
        ledger.crown(replace(change("1"), trained_until=naive), expected_epoch=0)

    assert ledger.verdicts() == ()


def test_threads_write_one_unbroken_chain(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda number: ledger.record(note(subject=f"{number}"), actor="monitor"), range(40)))

    assert sorted(record.seq for record in records) == list(range(1, 41))
    assert chain.verify(ledger.verdicts()) is None


# Champions


def test_nothing_is_champion_before_the_first_promotion(ledger: Ledger) -> None:
    assert ledger.champion("flights") is None
    assert ledger.champions("flights") == ()


def test_each_crowning_is_the_next_epoch_and_tells_what_it_replaced(ledger: Ledger) -> None:
    first = ledger.crown(change("9"), expected_epoch=0)
    second = ledger.crown(change("10"), expected_epoch=1)
    third = ledger.crown(change("9", kind="rollback"), expected_epoch=2)

    assert ledger.champions("flights") == (first, second, third)
    assert ledger.champion("flights") == third
    assert [(item.epoch, item.from_version) for item in (first, second, third)] == [(1, None), (2, "9"), (3, "10")]
    assert ledger.champion("bikes") is None


def test_a_crowning_is_a_verdict_too(ledger: Ledger) -> None:
    ledger.crown(change("1"), expected_epoch=0)
    ledger.crown(change("2", kind="rollback"), expected_epoch=1)
    promotion, rollback = ledger.verdicts("flights")

    assert (promotion.kind, promotion.subject, promotion.outcome) == ("promotion", "1", "promoted")
    assert (promotion.actor, promotion.reasons) == ("gate", ("a gain of 2 %",))
    assert (rollback.kind, rollback.outcome) == ("rollback", "rolled_back")
    assert rollback.body["epoch"] == 2
    assert rollback.body["from_version"] == "1"
    assert rollback.body["change"]["bundle_sha256"] == "ab" * 32


@pytest.mark.parametrize("expected_epoch", [0, 2])
def test_a_crowning_of_another_epoch_than_expected_changes_nothing(ledger: Ledger, expected_epoch: int) -> None:
    first = ledger.crown(change("1"), expected_epoch=0)

    with pytest.raises(StaleEpochError, match=rf"at epoch 1, expected {expected_epoch}.*andon history flights"):
        ledger.crown(change("2"), expected_epoch=expected_epoch)

    assert ledger.champions("flights") == (first,)
    assert len(ledger.verdicts()) == 1


def wins(ledger: Ledger, rounds: int) -> int:
    """Try to crown in each round, as soon as it begins; how often this caller won."""
    won = 0
    for expected in range(rounds):
        while (champion := ledger.champion("flights")) is None and expected > 0:
            time.sleep(0.001)
        try:
            ledger.crown(change(f"{(champion.epoch if champion else 0) + 1}"), expected_epoch=expected)
            won += 1
        except StaleEpochError:
            pass
    return won


def wins_of_a_process(url: str, processes: int, rounds: int) -> int:
    ledger = open_ledger(url)
    ledger.record(note("start"), actor="ready")
    while len(ledger.verdicts("start")) < processes:
        time.sleep(0.001)
    return wins(ledger, rounds)


def test_of_many_threads_that_promote_at_once_one_wins_each_epoch(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: wins(ledger, 5), range(8)))

    assert sum(won) == 5
    assert [item.epoch for item in ledger.champions("flights")] == [1, 2, 3, 4, 5]
    assert len(ledger.verdicts()) == 5


def test_of_many_processes_that_start_and_promote_at_once_one_wins_each_epoch(url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        won = list(pool.map(wins_of_a_process, [url] * 3, [3] * 3, [20] * 3))

    ledger = open_ledger(url)
    assert sum(won) == 20
    assert [item.epoch for item in ledger.champions("flights")] == list(range(1, 21))
    assert len(ledger.verdicts()) == 23
    assert chain.verify(ledger.verdicts()) is None


# Leases


def test_a_lease_has_one_holder_until_it_is_released(ledger: Ledger) -> None:
    first = lease_of(ledger, "run-1")

    assert first.expires_at > ledger.now()
    assert ledger.acquire("flights", "retrain", holder="run-2", ttl=MINUTE) is None
    assert ledger.acquire("flights", "ingest", holder="run-2", ttl=MINUTE) is not None
    assert ledger.acquire("bikes", "retrain", holder="run-2", ttl=MINUTE) is not None
    assert [(item.pipeline, item.activity) for item in ledger.leases()] == [
        ("bikes", "retrain"),
        ("flights", "ingest"),
        ("flights", "retrain"),
    ]

    ledger.release(first)
    assert [item.activity for item in ledger.leases("flights")] == ["ingest"]
    assert lease_of(ledger, "run-2").token == first.token + 1


def test_an_expired_lease_is_shown_and_taken_over_with_the_next_token(ledger: Ledger) -> None:
    stale = lease_of(ledger, "sleeper", ttl=BLINK)
    time.sleep(0.02)

    assert ledger.leases() == (stale,)
    assert stale.expires_at < ledger.now()
    assert lease_of(ledger, "successor").token == stale.token + 1


def test_a_heartbeat_keeps_the_lease_and_comes_late_while_nobody_took_over(ledger: Ledger) -> None:
    lease = lease_of(ledger, "run-1", ttl=BLINK)
    time.sleep(0.02)

    kept = ledger.heartbeat(lease, ttl=MINUTE)

    assert (kept.token, kept.holder) == (lease.token, "run-1")
    assert kept.expires_at > ledger.now()
    assert ledger.leases() == (kept,)
    assert ledger.acquire("flights", "retrain", holder="run-2", ttl=MINUTE) is None


def test_a_holder_that_asks_again_fences_its_older_self(ledger: Ledger) -> None:
    older = lease_of(ledger, "run-1")
    younger = lease_of(ledger, "run-1")

    assert younger.token == older.token + 1
    with pytest.raises(LeaseLostError, match="run-1 holds it with token 2"):
        ledger.heartbeat(older, ttl=MINUTE)


def test_a_heartbeat_of_a_lost_or_released_lease_raises(ledger: Ledger) -> None:
    stale, successor = overtaken(ledger)
    with pytest.raises(LeaseLostError, match=r"sleeper lost the lease.*successor holds it with token 2"):
        ledger.heartbeat(stale, ttl=MINUTE)

    ledger.release(successor)
    with pytest.raises(LeaseLostError, match="it is free"):
        ledger.heartbeat(successor, ttl=MINUTE)


def test_the_release_of_a_lost_lease_does_nothing(ledger: Ledger) -> None:
    stale, successor = overtaken(ledger)
    ledger.release(stale)
    assert ledger.leases() == (successor,)


STALE_WRITES: dict[str, Callable[[Ledger, Lease], object]] = {
    "record": lambda ledger, lease: ledger.record(note(), actor="run", lease=lease),
    "crown": lambda ledger, lease: ledger.crown(change("1"), expected_epoch=0, lease=lease),
    "claim": lambda ledger, lease: ledger.claim("intent-1", lease=lease),
    "close": lambda ledger, lease: ledger.close("intent-1", outcome="done", lease=lease),
    "defer": lambda ledger, lease: ledger.defer("intent-1", until=MONDAY, condition="", lease=lease),
    "finish_batches": lambda ledger, lease: ledger.finish_batches(
        [(replace(ledger.batches()[0], state="accepted"), note())], actor="run", lease=lease
    ),
}


@pytest.mark.parametrize("write", STALE_WRITES.values(), ids=STALE_WRITES)
def test_a_stale_holder_writes_nothing(ledger: Ledger, write: Callable[[Ledger, Lease], object]) -> None:
    asked(ledger)
    claimed(ledger, "a.parquet", "aa")
    stale, _ = overtaken(ledger)
    before = (ledger.intents(), ledger.batches())

    with pytest.raises(LeaseLostError, match="nothing was written"):
        write(ledger, stale)

    assert (ledger.intents(), ledger.batches()) == before
    assert (ledger.verdicts(), ledger.champions("flights")) == ((), ())


def test_the_holder_writes_and_a_rollback_waits_for_no_lease(ledger: Ledger) -> None:
    lease = lease_of(ledger, "run-1")
    ledger.record(note(), actor="run-1", lease=lease)
    ledger.crown(change("1"), expected_epoch=0, lease=lease)
    ledger.crown(change("1", kind="rollback"), expected_epoch=1)
    assert [item.kind for item in ledger.verdicts()] == ["note", "promotion", "rollback"]


def test_a_lease_needs_a_holder_and_some_time(ledger: Ledger) -> None:
    with pytest.raises(RefusedError, match="needs a holder's name"):
        lease_of(ledger, "")
    with pytest.raises(RefusedError, match="longer than nothing"):
        lease_of(ledger, "run-1", ttl=timedelta(0))


def test_of_many_threads_one_gets_the_lease(ledger: Ledger) -> None:
    def attempt(number: int) -> Lease | None:
        return ledger.acquire("flights", "retrain", holder=f"run-{number}", ttl=MINUTE)

    with ThreadPoolExecutor(8) as pool:
        taken = [lease for lease in pool.map(attempt, range(8)) if lease]
    assert taken == list(ledger.leases())
    assert len(taken) == 1


# Intents


def test_asking_while_one_is_not_closed_returns_that_one(ledger: Ledger) -> None:
    first = ledger.ask(intent_id="a", pipeline="flights", reason="drift", data_time=MONDAY)
    lease = lease_of(ledger, "run-1")

    assert (first.state, first.attempt, first.outcome) == ("open", 0, "")
    assert asked(ledger, "b") == "a"
    ledger.claim("a", lease=lease)
    assert asked(ledger, "b") == "a"
    ledger.defer("a", until=MONDAY, condition="")
    assert asked(ledger, "b") == "a"

    closed = ledger.close("a", outcome="promoted")
    assert asked(ledger, "b") == "b"
    assert ledger.ask(intent_id="a", pipeline="flights", reason="again", data_time=MONDAY) == closed
    assert [item.id for item in ledger.intents("flights")] == ["a", "b"]
    assert [item.id for item in ledger.intents(states=("closed",))] == ["a"]
    assert ledger.intent("c") is None


def test_threads_that_ask_at_once_get_the_same_intent(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda number: asked(ledger, f"intent-{number}"), range(8)))
    assert found == {ledger.intents()[0].id}


def test_an_open_intent_is_claimed_once(ledger: Ledger) -> None:
    lease = lease_of(ledger, "run-1")
    claimed = ledger.claim(asked(ledger), lease=lease)

    assert claimed is not None
    assert (claimed.state, claimed.attempt, claimed.token) == ("claimed", 1, lease.token)
    assert ledger.intent("intent-1") == claimed
    assert ledger.claim("intent-1", lease=lease) is None


def test_an_intent_whose_claimant_lost_the_lease_is_claimed_again(ledger: Ledger) -> None:
    sleeper = lease_of(ledger, "sleeper", ttl=timedelta(milliseconds=300))
    assert ledger.claim(asked(ledger), lease=sleeper) is not None
    time.sleep(0.32)
    successor = lease_of(ledger, "successor")

    claimed = ledger.claim("intent-1", lease=successor)

    assert claimed is not None
    assert (claimed.state, claimed.attempt, claimed.token) == ("claimed", 2, successor.token)


def test_an_intent_is_claimed_under_its_own_pipelines_retrain_lease(ledger: Ledger) -> None:
    asked(ledger)
    with pytest.raises(RefusedError, match=r"claimed under the lease \(flights, retrain\), got \(flights, ingest\)"):
        ledger.claim("intent-1", lease=lease_of(ledger, "run-1", activity="ingest"))


def test_a_deferred_intent_waits_and_is_reopened(ledger: Ledger) -> None:
    lease = lease_of(ledger, "run-1")
    ledger.claim(asked(ledger), lease=lease)

    deferred = ledger.defer("intent-1", until=MONDAY, condition="100 new rows", lease=lease)
    assert (deferred.state, deferred.until, deferred.condition) == ("deferred", MONDAY, "100 new rows")
    assert ledger.intents(states=("deferred", "closed")) == (deferred,)
    assert ledger.claim("intent-1", lease=lease) is None

    opened = ledger.reopen("intent-1")
    assert (opened.state, opened.until, opened.condition, opened.attempt) == ("open", None, "", 1)
    assert ledger.reopen("intent-1") == opened
    claimed = ledger.claim("intent-1", lease=lease)
    assert claimed is not None
    assert claimed.attempt == 2


def test_a_deferral_names_a_moment_or_a_condition(ledger: Ledger) -> None:
    with pytest.raises(RefusedError, match="cannot wait for nothing"):
        ledger.defer(asked(ledger), until=None, condition="")


def test_a_closed_intent_stays_closed_with_its_first_outcome(ledger: Ledger) -> None:
    closed = ledger.close(asked(ledger), outcome="rejected")

    assert (closed.state, closed.outcome) == ("closed", "rejected")
    assert ledger.close("intent-1", outcome="promoted") == closed
    assert ledger.claim("intent-1", lease=lease_of(ledger, "run-1")) is None
    with pytest.raises(RefusedError, match=r"is closed \(rejected\); ask for a new retrain"):
        ledger.reopen("intent-1")
    with pytest.raises(RefusedError, match="is closed"):
        ledger.defer("intent-1", until=MONDAY, condition="")


def test_an_unknown_intent_is_told(ledger: Ledger) -> None:
    with pytest.raises(RegistryError, match="knows no intent nowhere"):
        ledger.close("nowhere", outcome="done")
    with pytest.raises(RegistryError, match="knows no intent nowhere"):
        ledger.claim("nowhere", lease=lease_of(ledger, "run-1"))


# Databases


def test_what_was_written_is_there_after_opening_again(url: str) -> None:
    record = open_ledger(url).record(note(), actor="monitor")
    assert open_ledger(url).verdicts() == (record,)


def test_many_may_open_a_new_ledger_at_once(url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        ledgers = list(pool.map(open_ledger, [url] * 6))
    assert [ledger.verdicts() for ledger in ledgers] == [()] * 6


WRITER = """
import sys
from registry.sql import open_ledger
from tests.contract.ledger_world import note
ledger = open_ledger(sys.argv[1])
while True:
    ledger.record(note(), actor="writer")
"""


def test_a_writer_that_is_killed_leaves_the_ledger_whole_and_usable(url: str) -> None:
    ledger = open_ledger(url)
    with subprocess.Popen([sys.executable, "-c", WRITER, url]) as writer:
        while len(ledger.verdicts()) < 5 and writer.poll() is None:
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL

    record = ledger.record(note(), actor="survivor")

    assert ledger.verdicts()[-1] == record
    assert chain.verify(ledger.verdicts()) is None


def test_a_database_that_does_not_answer_is_told_with_the_remedy_and_without_the_password(postgres: str) -> None:
    host = postgres.rpartition("@")[2]
    for wrong in (f"postgresql://andon:hunter2@{host}/postgres", "postgresql://me:hunter2@127.0.0.1:1/andon"):
        with pytest.raises(ServiceDownError, match=r"does not answer.*start PostgreSQL there") as caught:
            open_ledger(wrong)
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceDownError, match="check the folder's rights"):
        open_ledger(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(ServiceDownError, match="file is not a database; the file is damaged: put back its last good"):
        open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense:hunter2", "cannot be read; write sqlite:"),
        ("mysql://me:hunter2@host/andon", "mysql is not supported"),
        ("postgresql://me:hun@ter2@host/andon", "password holds an '@'"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_the_password(url: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        open_ledger(url)
    assert "ter2" not in str(caught.value)
