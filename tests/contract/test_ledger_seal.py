"""The sealed head of registry/ledger.py, kept by every adapter: who changed the end of the ledger is found at once."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from registry import chain, seal
from registry.audit import audit
from registry.ledger import Change, Head, Ledger
from registry.sql import open_ledger
from tests.contract.ledger_burglar import computed_anew, edit_champion, forget_answer, opened_with, put, put_head
from tests.contract.ledger_world import KEY, MONDAY, claimed, note
from validation.deeds import Reply
from validation.errors import RegistryError

OTHER_KEY = b"the key of another installation"


def filled(ledger: Ledger, records: int = 4) -> Ledger:
    for number in range(records):
        ledger.record(note(subject=f"week {number}"), actor="monitor")
    return ledger


def vouch(ledger: Ledger) -> None:
    verdict = seal.Vouched(
        pipeline="*", subject="4", outcome="vouched", reasons=("put back from the backup",), data_time=MONDAY
    )
    ledger.reseal(verdict, actor="ann")


def told(ledger: Ledger, key: bytes | None = KEY) -> list[str]:
    return [f"{fault.seq}: {fault.what}" for fault in audit(ledger, key=key).faults]


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


# What the tables say of the verdicts


def change(version: str, *, kind: str = "promotion", evidence: int | None = None) -> Change:
    return Change(
        pipeline="flights",
        kind=kind,  # type: ignore[arg-type]
        version=version,
        bundle_sha256="ab" * 32,
        trained_until=MONDAY,
        why="a gain of 2 %",
        data_time=MONDAY,
        actor="gate",
        evidence=evidence,
    )


def crowned(ledger: Ledger) -> Ledger:
    """Two promotions and a rollback, the second with evidence; a batch; a question and its answer."""
    ledger.crown(change("1"), expected_epoch=0)
    ledger.record(note(subject="2"), actor="gate")
    ledger.crown(change("2", evidence=2), expected_epoch=1)
    ledger.crown(change("1", kind="rollback"), expected_epoch=2)
    reply = Reply(
        pipeline="flights",
        subject="2",
        outcome="approved",
        reasons=("it is sound",),
        data_time=MONDAY,
        question=2,
        intent="intent-1",
    )
    ledger.answer(2, reply, actor="ann")
    return ledger


def test_the_kinds_of_change_have_their_outcomes(ledger: Ledger) -> None:
    for epoch, kind in enumerate(("promotion", "forced", "adoption", "rollback")):
        ledger.crown(change(f"{epoch}", kind=kind, evidence=None), expected_epoch=epoch)

    assert [(item.kind, item.outcome) for item in ledger.verdicts()] == [
        ("promotion", "promoted"),
        ("promotion", "forced"),
        ("promotion", "adopted"),
        ("rollback", "rolled_back"),
    ]
    assert [item.change.kind for item in ledger.champions()] == ["promotion", "forced", "adoption", "rollback"]
    assert told(ledger) == []


def test_champions_of_all_pipelines_are_read_at_once(ledger: Ledger) -> None:
    first = ledger.crown(change("1"), expected_epoch=0)
    other = ledger.crown(replace(change("5", evidence=7), pipeline="bikes"), expected_epoch=0)
    assert ledger.champions() == (other, first)
    assert other.change.evidence == 7


def test_a_whole_ledger_is_counted(ledger: Ledger) -> None:
    found = audit(crowned(ledger), key=KEY)
    assert found.is_whole
    assert (found.records, found.champions, found.answers, found.batches, found.seal) == (5, 3, 1, 0, "right")
    assert found.head == ledger.head()


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda ledger: edit_champion(ledger, 2, version="7"), "3: epoch 2 of flights differs from it in version"),
        (lambda ledger: edit_champion(ledger, 2, bundle_sha256="x"), "differs from it in bundle_sha256"),
        (lambda ledger: edit_champion(ledger, 2, why="else"), "differs from it in why"),
        (lambda ledger: edit_champion(ledger, 2, actor="ann"), "differs from it in actor"),
        (lambda ledger: edit_champion(ledger, 2, evidence=None), "differs from it in evidence"),
        (lambda ledger: edit_champion(ledger, 2, kind="forced"), "differs from it in outcome, kind"),
        (lambda ledger: edit_champion(ledger, 2, from_version="9"), "differs from it in from_version"),
        (lambda ledger: edit_champion(ledger, 2, recorded_at=MONDAY), "differs from it in recorded_at"),
        (lambda ledger: edit_champion(ledger, 3), "4: the table of champions has no row for flights rollback 1"),
        (lambda ledger: forget_answer(ledger, 2), "5: the table of answers does not know this answer"),
    ],
)
def test_a_row_of_champions_that_says_something_else_than_its_verdict_is_found(
    ledger: Ledger, tamper: Callable[[Ledger], None], message: str
) -> None:
    tamper(crowned(ledger))
    faults = told(ledger)
    assert len(faults) == 1
    assert message in faults[0]


def test_what_no_verdict_stands_for_is_found(ledger: Ledger) -> None:
    crowned(ledger)
    batch = replace(claimed(ledger, "a.csv", "aa"), state="accepted")
    ledger.finish_batches([(batch, note())], actor="ingest")
    about = "6: batch 1 of flights (rows, a.csv) names it, but it is about flights note week 1"
    assert told(ledger) == [about]

    put_records = ledger.verdicts()[:3]
    if not hasattr(ledger, "_engine"):  # databases hold their keys
        put(ledger, list(put_records))
        assert told(ledger) == [
            "None: epoch 3 of flights, version 1, has no verdict",
            "6: batch 1 of flights (rows, a.csv) names it as its contract verdict, and there is none",
            "5: it is named as the answer to 2, and there is none",
            "6: the head names it as the newest, found is record 3: the end was changed",
        ]


def test_evidence_that_is_about_something_else_is_found(ledger: Ledger) -> None:
    ledger.record(note(subject="7"), actor="gate")
    ledger.crown(change("1", evidence=1), expected_epoch=0)
    ledger.crown(change("2", evidence=9), expected_epoch=1)
    assert told(ledger) == [
        "2: record 1, which it names as its evidence, is about flights note 7",
        "3: record 9, which it names as its evidence, is not there before it",
    ]


def test_faults_are_told_up_to_a_number_and_then_counted(ledger: Ledger) -> None:
    filled(ledger, 30)
    put(ledger, [replace(record, outcome="x") for record in ledger.verdicts()])
    found = audit(ledger, key=KEY)
    assert (len(found.faults), found.more_faults) == (20, 10)


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


@pytest.mark.parametrize(
    "change_row",
    ["body = '{'", "body = '[]'", "recorded_at = 'soon'", "body = CAST(x'ff' AS TEXT)"],
)
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, change_row: str) -> None:
    ledger = filled(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", key=KEY))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as burglar:
        burglar.executescript(f"UPDATE andon_verdicts SET {change_row} WHERE seq = 2")  # noqa: S608 - our own words

    (fault, *_) = audit(ledger, key=KEY).faults

    assert fault.seq == 2
    assert "cannot be read" in fault.what


def head_of(ledger: Ledger) -> Head:
    head = ledger.head()
    assert head is not None
    return head
