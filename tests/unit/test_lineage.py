"""Lineage over a small history (see lineage_world): from a batch forwards, from a version backwards."""

from dataclasses import replace
from datetime import datetime

import pytest

from registry.ledger import Batch
from registry.lineage import Facts, of_batch, of_version, read_facts
from registry.memory import MemoryLedger
from registry.traces import Answered, BatchLineage, Fed, ModelLineage, Reign
from tests.unit.lineage_world import NAME, arrive, crown, day, fill, finish, learn, released


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    fill(ledger)
    return ledger


def batch_of(facts: Facts, number: int, kind: str = "rows") -> Batch:
    (found,) = (batch for batch in facts.batches if (batch.kind, batch.number) == (kind, number))
    return found


def lineage_of(ledger: MemoryLedger, number: int, kind: str = "rows") -> BatchLineage:
    facts = read_facts(ledger, NAME)
    batch = batch_of(facts, number, kind)
    return of_batch(facts, batch, ledger.verdicts(NAME, seq=batch.verdict_seq) if batch.verdict_seq else ())


def origin_of(ledger: MemoryLedger, version: str) -> ModelLineage:
    found = of_version(read_facts(ledger, NAME), version)
    assert found is not None
    return found


def reign(epoch: int, since: datetime, until: datetime | None) -> Reign:
    return Reign(epoch=epoch, since=since, until=until, why="better by 2 %", actor="trainer")


@pytest.mark.parametrize(
    ("number", "kind", "versions"),
    [
        (1, "rows", "123"),
        (2, "rows", "23"),
        (3, "rows", ""),
        (4, "rows", "23"),
        (1, "labels", "123"),
        (2, "labels", "23"),
    ],
)
def test_a_batch_leads_to_all_versions_that_learned_from_it(
    ledger: MemoryLedger, number: int, kind: str, versions: str
) -> None:
    found = lineage_of(ledger, number, kind)
    assert "".join(model.version for model in found.models) == versions
    assert found.snapshots == tuple(version * 64 for version in versions)


def test_a_model_on_the_way_tells_its_reign_and_what_it_answered(ledger: MemoryLedger) -> None:
    first, second, third = lineage_of(ledger, 1).models
    two = ledger.verdicts(NAME, kind="score")[0]

    assert first.gate is not None
    assert (first.gate.outcome, first.snapshot, first.bundle_sha256) == ("promote", "1" * 64, "b1" * 32)
    assert first.reigns == (reign(1, day(3), day(5)),)
    (answer,) = first.answered
    assert replace(answer, verdict=first.gate) == Answered(
        batch=2, rows=48, versions=("1",), through="scorer", delivered=("scores/trips",), verdict=first.gate
    )
    assert answer.verdict.seq == two.seq
    assert (second.reigns, second.answered) == ((reign(2, day(5), None),), ())
    assert (third.reigns, third.gate and third.gate.outcome) == ((), "reject")


def test_a_batch_knows_its_verdict_its_broken_rules_and_who_answered_it(ledger: MemoryLedger) -> None:
    found = lineage_of(ledger, 2)
    assert found.verdict is not None
    assert (found.verdict.kind, found.verdict.outcome, found.verdict.actor) == ("contract", "quarantine", "ingester")
    assert found.rules == {"distance.ge": 2}
    assert found.answered is not None
    assert (found.answered.rows, found.answered.versions) == (48, ("1",))
    assert lineage_of(ledger, 2, "labels").answered is None, "labels are not scored, whatever their number"


def test_twins_namesakes_and_what_was_released_are_told(ledger: MemoryLedger) -> None:
    facts = read_facts(ledger, NAME)
    one, two, copy, released = (batch_of(facts, number) for number in (1, 2, 3, 4))

    assert lineage_of(ledger, 1).same_bytes == (copy,)
    assert lineage_of(ledger, 3).same_bytes == (one,)
    assert lineage_of(ledger, 2).released_as == (released,)
    assert lineage_of(ledger, 4).released_from == two
    assert lineage_of(ledger, 1).same_name == ()
    corrected = arrive(ledger, "one.parquet", "a5")
    assert lineage_of(ledger, 1).same_name == (corrected,)


def test_a_person_s_decisions_stand_in_their_order(ledger: MemoryLedger) -> None:
    """Two attempts to release what was set aside of batch 2; and a suspect batch that is dropped."""
    facts = read_facts(ledger, NAME)
    two = batch_of(facts, 2)
    ledger.record(released(two, "still refused"), actor="bob")
    about = [*ledger.verdicts(NAME, seq=two.verdict_seq), *ledger.verdicts(NAME, kind="release")]
    found = of_batch(facts, two, reversed(about))
    assert [(told.outcome, told.actor) for told in found.decided] == [("released", "ann"), ("still refused", "bob")]

    odd = finish(ledger, arrive(ledger, "odd.parquet", "a9"), "suspect", rows=7, suspicions=("distance is stuck",))
    dropped = ledger.settle_batch(odd, released(odd, "dropped"), state="dropped", actor="ann")
    about = [record for seq in (dropped.verdict_seq, dropped.settled_seq) for record in ledger.verdicts(NAME, seq=seq)]
    settled = of_batch(read_facts(ledger, NAME), dropped, about)
    assert settled.verdict is not None
    assert (settled.verdict.outcome, [told.outcome for told in settled.decided]) == ("suspect", ["dropped"])
    assert (settled.snapshots, settled.models) == ((), ())


def test_a_version_leads_back_to_its_snapshot_batches_and_wish(ledger: MemoryLedger) -> None:
    found = origin_of(ledger, "2")

    assert found.asked is not None
    assert (found.asked.id, found.asked.reason) == ("i2", "the days got longer")
    assert found.training is not None
    assert found.training.outcome == "trained"
    assert found.snapshot is not None
    assert (found.snapshot["id"], found.snapshot["rows"]) == ("2" * 64, 88)
    assert found.fed == (
        Fed(kind="rows", numbers="1-2,4", batches=3, rows=150, first="one.parquet", last="released 2 two.parquet"),
        Fed(kind="labels", numbers="1-2", batches=2, rows=180, first="one.parquet", last="two.parquet"),
    )


def test_a_version_that_came_back_reigned_twice(ledger: MemoryLedger) -> None:
    crown(ledger, "1", on=8)
    assert origin_of(ledger, "1").model.reigns == (reign(1, day(3), day(5)), reign(3, day(8), None))
    assert origin_of(ledger, "2").model.reigns == (reign(2, day(5), day(8)),)


def test_a_version_that_nobody_knows_is_none(ledger: MemoryLedger) -> None:
    assert of_version(read_facts(ledger, NAME), "9") is None
    assert of_version(read_facts(ledger, "bikes"), "1") is None


def test_a_champion_without_a_gate_s_verdict_is_known_by_its_promotion() -> None:
    ledger = MemoryLedger()
    crown(ledger, "7", on=3)
    found = origin_of(ledger, "7")
    assert (found.model.gate, found.model.bundle_sha256) == (None, "b7" * 32)
    assert (found.asked, found.training, found.snapshot, found.fed) == (None, None, None, ())


def test_an_older_ledger_does_not_say_who_learned_and_nothing_is_guessed(ledger: MemoryLedger) -> None:
    facts = replace(read_facts(ledger, NAME), snapshots=())
    assert of_batch(facts, batch_of(facts, 1), ()).snapshots is None
    found = of_version(facts, "2")
    assert found is not None
    assert (found.snapshot, found.fed, found.model.snapshot) == (None, (), "2" * 64)


def test_before_the_first_retrain_no_model_has_learned() -> None:
    ledger = MemoryLedger()
    finish(ledger, arrive(ledger, "one.parquet", "a1"), "accepted", rows=10)
    found = lineage_of(ledger, 1)
    assert (found.snapshots, found.models) == ((), ())


def test_an_attempt_that_gave_no_model_is_no_version(ledger: MemoryLedger) -> None:
    facts = read_facts(ledger, NAME)
    without = replace(facts.gates[0], subject="i1", body={**facts.gates[0].body, "challenger_version": ""})
    found = of_batch(replace(facts, gates=(without,)), batch_of(facts, 1), ())
    assert (found.models, len(found.snapshots or ())) == ((), 3)


def test_a_reference_table_s_batch_is_followed_like_any_other() -> None:
    ledger = MemoryLedger()
    finish(ledger, arrive(ledger, "one.parquet", "a1"), "accepted", rows=10)
    finish(ledger, arrive(ledger, "april.parquet", "w1", kind="weather"), "accepted", rows=30)
    learn(ledger, "1", batches={"weather": "1", "rows": "1"}, on=3)
    assert [model.version for model in lineage_of(ledger, 1, "weather").models] == ["1"]
    assert [(fed.kind, fed.rows) for fed in origin_of(ledger, "1").fed] == [("rows", 10), ("weather", 30)]
