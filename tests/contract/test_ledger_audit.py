"""The verification of a whole ledger, kept by every adapter: what the tables say is held against the verdicts."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Executable, Table, delete, update
from sqlalchemy.exc import DBAPIError

from registry import tables
from registry.audit import audit
from registry.ledger import Ledger
from registry.sql import SqlLedger, open_ledger
from tests.contract.ledger_burglar import edit_champion, forget_answer, put
from tests.contract.ledger_world import KEY, MONDAY, change, claimed, filled, note, told
from validation.deeds import Reply
from validation.terms import ContractVerdict


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


def test_a_ledger_that_is_written_meanwhile_is_whole(ledger: Ledger) -> None:
    """What comes while the records are read is no fault: a champion without a verdict yet, an answer, a batch."""

    def write(number: int) -> int:
        ledger.crown(change(f"{number}"), expected_epoch=number)
        batch = replace(claimed(ledger, f"{number}.csv", f"{number}"), state="accepted")
        ledger.finish_batches([(batch, contract(batch.name))], actor="ingest")
        question = ledger.record(note(subject=f"{number}"), actor="gate").seq
        return ledger.answer(question, note(), actor="ann").seq

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(lambda: [write(number) for number in range(25)])
        audits = []
        while not written.done():
            audits.append(audit(ledger, key=KEY))
        written.result()

    audits.append(audit(ledger, key=KEY))
    assert [fault for found in audits for fault in found.faults] == []
    assert (audits[-1].records, audits[-1].champions, audits[-1].answers, audits[-1].batches) == (100, 25, 25, 25)


def contract(name: str) -> ContractVerdict:
    return ContractVerdict(pipeline="flights", subject=name, outcome="accept", reasons=(), data_time=MONDAY)


@pytest.mark.parametrize(
    "change_row",
    ["body = '{'", "body = '[]'", "recorded_at = 'soon'", "body = CAST(x'ff' AS TEXT)"],
)
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, change_row: str) -> None:
    ledger = filled(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", key=KEY))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as burglar:
        burglar.execute("DROP TRIGGER andon_verdicts_no_update")
        burglar.executescript(f"UPDATE andon_verdicts SET {change_row} WHERE seq = 2")  # noqa: S608 - our own words

    (fault, *_) = audit(ledger, key=KEY).faults

    assert fault.seq == 2
    assert "cannot be read" in fault.what


@pytest.mark.parametrize("table", [tables.VERDICTS, tables.CHAMPIONS], ids=["verdicts", "champions"])
@pytest.mark.parametrize("act", [lambda table: update(table).values(actor="me"), delete], ids=["update", "delete"])
def test_the_database_itself_refuses_to_change_or_remove_what_was_decided(
    url: str, table: Table, act: Callable[[Table], Executable]
) -> None:
    ledger = open_ledger(url, key=KEY)
    ledger.crown(change("1"), expected_epoch=0)
    before = (ledger.verdicts(), ledger.champions())

    assert isinstance(ledger, SqlLedger)
    refused = pytest.raises(DBAPIError, match="verdicts and champions are append-only")
    with refused, ledger._engine.begin() as connection:
        connection.execute(act(table))

    assert (ledger.verdicts(), ledger.champions()) == before
    assert ledger.crown(change("2"), expected_epoch=1).epoch == 2
