"""The sealed head of registry/ledger.py, kept by every adapter: who changed the end of the ledger is found at once."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from registry import chain, seal
from registry.audit import audit
from registry.ledger import Head, Ledger
from registry.sql import open_ledger
from tests.contract.ledger_burglar import computed_anew, opened_with, put, put_head
from tests.contract.ledger_world import KEY, MONDAY, change, claimed, filled, note, told
from validation.errors import RegistryError

OTHER_KEY = b"the key of another installation"


def vouch(ledger: Ledger) -> None:
    verdict = seal.Vouched(
        pipeline="*", subject="4", outcome="vouched", reasons=("put back from the backup",), data_time=MONDAY
    )
    ledger.reseal(verdict, actor="ann")


def test_each_append_seals_the_newest_record(ledger: Ledger) -> None:
    assert ledger.head() is None
    for _ in range(2):
        newest = ledger.record(note(), actor="monitor")
        head = ledger.head()
        assert head == seal.sealed(newest, KEY)
        assert (head.seq, head.hash, head.key_id) == (newest.seq, newest.hash, seal.key_id(KEY))


def test_every_way_to_write_a_verdict_seals(ledger: Ledger) -> None:
    suspect = ledger.finish_batches([(replace(claimed(ledger, "a", "aa"), state="suspect"), note())], actor="ingest")
    ledger.settle_batch(suspect[0], note(), state="accepted", actor="ann")
    ledger.crown(change("1"), expected_epoch=0)
    ledger.answer(1, note(), actor="ann")

    head = ledger.head()
    assert head is not None
    assert (head.seq, seal.state(head, KEY)) == (4, "right")
    assert chain.verify(ledger.verdicts()) is None


def moved_back(ledger: Ledger) -> None:
    """The newest is cut off, and the head names the one before, under its old seal."""
    kept = list(ledger.verdicts())[:-1]
    put(ledger, kept)
    put_head(ledger, replace(head_of(ledger), seq=kept[-1].seq, hash=kept[-1].hash))


TAMPERED: dict[str, Callable[[Ledger], None]] = {
    "the newest is cut off": lambda ledger: put(ledger, list(ledger.verdicts())[:-1]),
    "all are gone": lambda ledger: put(ledger, []),
    "the newest is changed": lambda ledger: put(
        ledger, [*ledger.verdicts()[:3], replace(ledger.verdicts()[3], outcome="x")]
    ),
    "one is written anew, with all behind it": lambda ledger: put(ledger, computed_anew(ledger.verdicts(), 2)),
    "one is added": lambda ledger: put(
        ledger,
        [
            *ledger.verdicts(),
            chain.follow(ledger.verdicts()[-1], note(), actor="burglar", now=ledger.now()),
        ],
    ),
    "the head is moved back": moved_back,
    "the head is sealed by somebody without the key": lambda ledger: put_head(
        ledger, replace(seal.sealed(ledger.verdicts()[-1], OTHER_KEY), key_id=seal.key_id(KEY))
    ),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_changed_end_is_found_at_the_next_append_and_by_verifying(
    ledger: Ledger, tamper: Callable[[Ledger], None]
) -> None:
    tamper(filled(ledger))
    before = ledger.verdicts()

    with pytest.raises(RegistryError, match=r"somebody changed the ledger.*andon verify --vouch --why"):
        ledger.record(note(), actor="monitor")

    assert ledger.verdicts() == before
    assert told(ledger)


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_person_vouches_for_what_is_there_and_writing_goes_on(
    ledger: Ledger, tamper: Callable[[Ledger], None]
) -> None:
    tamper(filled(ledger))
    vouch(ledger)

    assert ledger.record(note(), actor="monitor").seq == len(ledger.verdicts())
    found = audit(ledger, key=KEY)
    assert found.seal == "right"
    assert [(item.outcome, item.actor, item.why) for item in found.vouchings] == [
        ("vouched", "ann", "put back from the backup")
    ]


def test_a_cut_off_batch_or_crowning_writes_nothing_at_all(ledger: Ledger) -> None:
    batch = claimed(filled(ledger), "a", "aa")
    put(ledger, list(ledger.verdicts())[:-1])

    with pytest.raises(RegistryError, match="found is 3 with the hash"):
        ledger.crown(change("1"), expected_epoch=0)
    with pytest.raises(RegistryError, match="names record 4"):
        ledger.finish_batches([(replace(batch, state="accepted"), note())], actor="ingest")

    assert ledger.champion("flights") is None
    assert ledger.batches() == (batch,)


def test_a_writer_without_the_key_or_with_another_one_is_refused_with_the_remedy(ledger: Ledger) -> None:
    filled(ledger)
    with pytest.raises(RegistryError, match=r"is sealed with the key \w+, and none is given; set ANDON_LEDGER_KEY"):
        opened_with(ledger, None).record(note(), actor="monitor")
    with pytest.raises(RegistryError, match=r"not with the one given .*andon verify --vouch"):
        opened_with(ledger, OTHER_KEY).record(note(), actor="monitor")
    with pytest.raises(RegistryError, match="is vouched for with a key"):
        vouch(opened_with(ledger, None))
    assert len(ledger.verdicts()) == 4


def test_readers_need_no_key(ledger: Ledger) -> None:
    reader = opened_with(filled(ledger), None)
    assert reader.verdicts() == ledger.verdicts()
    found = audit(reader, key=None)
    assert (found.is_whole, found.seal, found.records) == (True, "no key", 4)


def test_a_key_is_changed_by_a_person(ledger: Ledger) -> None:
    renewed = opened_with(filled(ledger), OTHER_KEY)
    assert "not with the one given" in told(renewed, OTHER_KEY)[0]
    vouch(renewed)

    assert renewed.record(note(), actor="monitor").seq == 6
    assert (told(renewed, OTHER_KEY), audit(renewed, key=OTHER_KEY).seal) == ([], "right")
    assert audit(renewed, key=KEY).seal == "other key"


def test_the_first_key_seals_what_was_there_and_the_ledger_tells_so(ledger: Ledger) -> None:
    open_one = filled(opened_with(ledger, None))
    assert audit(open_one, key=None).seal == "none"
    with_key = opened_with(open_one, KEY)
    batch = claimed(with_key, "a", "aa")

    (done,) = with_key.finish_batches([(replace(batch, state="accepted"), note())], actor="ingest")

    told_by, record = with_key.verdicts()[-2:]
    assert (told_by.kind, told_by.subject, told_by.outcome, told_by.actor) == ("seal", "4", "sealed", "ingest")
    assert "records up to 4 were written without a key" in told_by.reasons[0]
    assert (done.verdict_seq, record.seq) == (6, 6)
    assert [(item.seq, item.outcome) for item in audit(with_key, key=KEY).vouchings] == [(5, "sealed")]


def test_a_seal_that_was_taken_off_is_found_by_verifying_and_told_by_the_next_append(ledger: Ledger) -> None:
    rewritten = computed_anew(filled(ledger).verdicts(), 2)
    put(ledger, rewritten)
    put_head(ledger, Head(seq=4, hash=rewritten[-1].hash))
    assert told(ledger) == ["4: the head is not sealed, though there is a key"]

    ledger.record(note(), actor="monitor")

    assert [(item.seq, item.outcome) for item in audit(ledger, key=KEY).vouchings] == [(5, "sealed")]
    put_head(ledger, replace(head_of(ledger), mac="", key_id=""))
    assert told(ledger, None) == ["6: the head is not sealed any more, and was since record 5"]


def test_an_unsealed_ledger_too_knows_its_newest_record(ledger: Ledger) -> None:
    """By accident nothing gets lost at the end unseen, even where there is no key."""
    without = filled(opened_with(ledger, None))
    put(without, list(without.verdicts())[:-1])
    with pytest.raises(RegistryError, match="somebody changed the ledger"):
        without.record(note(), actor="monitor")


def test_records_are_read_in_parts(ledger: Ledger) -> None:
    filled(ledger)
    assert [item.seq for item in ledger.records(limit=3)] == [1, 2, 3]
    assert [item.seq for item in ledger.records(after=3)] == [4]
    assert ledger.records(after=4) == ()


# Databases


def test_a_ledger_without_a_head_is_sealed_at_its_first_append(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_ledger(url).record(note(), actor="monitor")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old:
        old.executescript("DROP TABLE andon_head; DROP TABLE andon_answers; ALTER TABLE andon_champions DROP evidence")

    ledger = open_ledger(url, key=KEY)

    assert (ledger.head(), audit(ledger, key=None).faults) == (None, ())
    assert ledger.record(note(), actor="monitor").seq == 3
    assert (audit(ledger, key=KEY).is_whole, audit(ledger, key=KEY).seal) == (True, "right")


def head_of(ledger: Ledger) -> Head:
    head = ledger.head()
    assert head is not None
    return head
