"""The promises of registry/ledger.py about batches, kept by every adapter: memory, SQLite and PostgreSQL."""

import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from registry import chain
from registry.ledger import GONE, Batch, BatchState, Ledger, Settled
from registry.sql import open_ledger
from tests.contract.ledger_world import MONDAY, arrival, claimed, note
from validation.errors import RefusedError, RegistryError
from validation.verdict import Verdict

THOUSAND = [arrival(f"{number:04}.parquet", f"{number:064x}", f"{number} bytes") for number in range(1000)]


def finish(ledger: Ledger, batch: Batch, state: BatchState) -> Batch:
    verdict = note(subject=batch.name, outcome=state)
    (done,) = ledger.finish_batches([(replace(batch, state=state), verdict)], actor="ingest")
    return done


# Claims


def test_batches_are_numbered_by_pipeline_and_kind_in_the_order_of_the_claim(ledger: Ledger) -> None:
    rows = ledger.claim_batches("flights", "rows", [arrival("b", "b"), arrival("a", "a")])
    ledger.claim_batches("flights", "labels", [arrival("c", "c")])
    ledger.claim_batches("flights", "weather", [arrival("d", "d")])
    ledger.claim_batches("bikes", "rows", [arrival("e", "e")])
    (last,) = ledger.claim_batches("flights", "rows", [arrival("f", "f")])

    assert [(item.number, item.name) for item in (*rows, last)] == [(1, "b"), (2, "a"), (3, "f")]
    assert [(item.kind, item.number) for item in ledger.batches("flights")] == [
        ("labels", 1),
        ("rows", 1),
        ("rows", 2),
        ("rows", 3),
        ("weather", 1),
    ]
    assert [item.name for item in ledger.batches(kind="rows")] == ["e", "b", "a", "f"]


def test_a_claimed_batch_comes_back_as_it_was_written(ledger: Ledger) -> None:
    before = ledger.now()
    batch = claimed(ledger, "week\x00 1\ud800.parquet", "aa", "10 bytes")

    assert ledger.batches() == (batch,)
    assert before <= batch.recorded_at <= ledger.now()
    assert batch == Batch(
        pipeline="flights",
        kind="rows",
        number=1,
        name="week\ufffd 1\ufffd.parquet",
        sha256="aa",
        state="claimed",
        rows_in=0,
        rows_accepted=0,
        rows_quarantined=0,
        rows_duplicate=0,
        span=None,
        recorded_at=batch.recorded_at,
        verdict_seq=None,
        stamp="10 bytes",
        settled_seq=None,
    )
    assert claimed(ledger, "week\x00 1\ud800.parquet", "aa", "10 bytes") == batch


def test_no_arrivals_are_no_batches(ledger: Ledger) -> None:
    assert ledger.claim_batches("flights", "rows", []) == ()
    assert ledger.finish_batches([], actor="ingest") == ()
    assert ledger.batches() == ()


@pytest.mark.parametrize("at_once", [True, False])
def test_the_same_bytes_are_one_batch_and_under_another_name_a_duplicate(ledger: Ledger, at_once: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    files = [arrival("a", "aa"), arrival("b", "aa"), arrival("a", "bb"), arrival("a", "aa"), arrival("b", "aa")]
    calls = [files] if at_once else [[file] for file in files]

    found = [batch for call in calls for batch in ledger.claim_batches("flights", "rows", call)]

    told = [(item.number, item.name, item.sha256, item.state, item.verdict_seq) for item in found]
    assert told[:3] == [
        (1, "a", "aa", "claimed", None),
        (2, "b", "aa", "duplicate", None),
        (3, "a", "bb", "claimed", None),
    ]
    assert found[3:] == found[:2]
    assert ledger.batches() == tuple(found[:3])


def test_the_same_bytes_of_another_kind_or_pipeline_are_no_duplicate(ledger: Ledger) -> None:
    claimed(ledger, "a", "aa")
    (label,) = ledger.claim_batches("flights", "labels", [arrival("b", "aa")])
    (bike,) = ledger.claim_batches("bikes", "rows", [arrival("b", "aa")])
    assert (label.state, bike.state) == ("claimed", "claimed")


@pytest.mark.parametrize("outcome", ["refused", "dropped"])
def test_bytes_of_which_nothing_was_taken_are_judged_anew_under_another_name(ledger: Ledger, outcome: str) -> None:
    first = claimed(ledger, "a", "aa")
    if outcome == "refused":
        done = finish(ledger, first, "refused")
    else:
        done = ledger.settle_batch(finish(ledger, first, "suspect"), note(), state="dropped", actor="ann")

    assert claimed(ledger, "a", "aa") == done
    assert claimed(ledger, "b", "aa").state == "claimed"
    assert claimed(ledger, "c", "aa").state == "duplicate"


def test_a_duplicate_that_waits_takes_the_place_of_a_twin_of_which_nothing_was_taken(ledger: Ledger) -> None:
    """The first file was taken away before it was judged: its bytes must not be lost with it."""
    files = [arrival(name, "aa") for name in "abc"]
    gone, *_ = ledger.claim_batches("flights", "rows", files)
    finish(ledger, gone, "refused")

    second, third = ledger.claim_batches("flights", "rows", files[1:])

    assert [(item.number, item.name, item.state) for item in (second, third)] == [
        (2, "b", "claimed"),
        (3, "c", "duplicate"),
    ]
    assert ledger.batches()[1:] == (second, third)


def test_a_duplicate_that_was_told_stays_one_and_bars_nobody(ledger: Ledger) -> None:
    """Refused by a contract that is mended later; then the file comes once more under a third name."""
    first, twin = ledger.claim_batches("flights", "rows", [arrival("a", "aa"), arrival("b", "aa")])
    finish(ledger, first, "refused")
    finish(ledger, twin, "duplicate")
    assert claimed(ledger, "b", "aa").state == "duplicate"
    assert claimed(ledger, "c", "aa").state == "claimed"


def test_a_suspect_batch_has_duplicates_too(ledger: Ledger) -> None:
    finish(ledger, claimed(ledger, "a", "aa"), "suspect")
    assert claimed(ledger, "b", "aa").state == "duplicate"


def test_a_new_stamp_is_kept_and_changes_nothing_else(ledger: Ledger) -> None:
    open_one, done = claimed(ledger, "a", "aa", "10 bytes, monday"), claimed(ledger, "b", "bb", "10 bytes, monday")
    done = finish(ledger, done, "accepted")

    touched = [arrival("b", "bb", "10 bytes, tuesday"), arrival("a", "aa", "10 bytes, friday"), arrival("c", "cc")]
    found = ledger.claim_batches("flights", "rows", touched)

    assert found[:2] == (replace(done, stamp="10 bytes, tuesday"), replace(open_one, stamp="10 bytes, friday"))
    assert set(ledger.batches()) == set(found)
    assert claimed(ledger, "a", "aa") == found[1], "an arrival without a stamp forgets none"


def test_a_batch_that_waits_keeps_the_newest_stamp_when_it_is_finished(ledger: Ledger) -> None:
    batch = claimed(ledger, "a", "aa", "monday")
    claimed(ledger, "a", "aa", "tuesday")
    assert finish(ledger, batch, "accepted").stamp == "tuesday"


def test_threads_that_claim_the_same_file_get_the_same_batch(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: claimed(ledger, "a", "aa"), range(8)))
    assert set(found) == set(ledger.batches())
    assert len(ledger.batches()) == 1


def claim_of_a_process(url: str, processes: int, backwards: bool) -> tuple[Batch, ...]:  # noqa: FBT001 - mapped
    ledger = open_ledger(url)
    ledger.record(note("start"), actor="ready")
    while len(ledger.verdicts("start")) < processes:
        time.sleep(0.001)
    files = THOUSAND[::-1] if backwards else THOUSAND
    return tuple(
        batch for start in range(0, 1000, 100) for batch in ledger.claim_batches("flights", "rows", files[start:][:100])
    )


def test_of_two_processes_that_claim_a_thousand_files_at_once_both_get_the_same_batches(url: str) -> None:
    open_ledger(url)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        one, two = pool.map(claim_of_a_process, [url] * 2, [2] * 2, [False, True])

    kept = open_ledger(url).batches()
    assert set(one) == set(two) == set(kept)
    assert [batch.number for batch in kept] == list(range(1, 1001))
    assert {batch.name for batch in kept} == {file.name for file in THOUSAND}
    assert {batch.state for batch in kept} == {"claimed"}


def test_batches_are_found_by_their_states(ledger: Ledger) -> None:
    states: Sequence[BatchState] = ("accepted", "suspect", "refused", "accepted")
    done = [finish(ledger, claimed(ledger, f"{n}", f"{n}"), state) for n, state in enumerate(states)]
    waiting = claimed(ledger, "waiting", "waiting")

    assert ledger.batches("flights", kind="rows", states=("accepted",)) == (done[0], done[3])
    assert ledger.batches(states=("suspect", "claimed")) == (done[1], waiting)
    assert ledger.batches("flights", states=("dropped",)) == ()


# Finishing


def test_batches_are_finished_once_each_together_with_its_verdict(ledger: Ledger) -> None:
    one, two = ledger.claim_batches("flights", "rows", [arrival("a", "aa"), arrival("b", "bb")])
    final = replace(
        one,
        state="accepted",
        rows_in=10,
        rows_accepted=7,
        rows_quarantined=2,
        rows_duplicate=1,
        span=(MONDAY, MONDAY + timedelta(microseconds=1)),
    )
    verdicts = [note(subject="b", outcome="refuse"), note(subject="a", outcome="accept")]

    done = ledger.finish_batches([(replace(two, state="refused"), verdicts[0]), (final, verdicts[1])], actor="ingest")

    assert done == (replace(two, state="refused", verdict_seq=1), replace(final, verdict_seq=2))
    assert ledger.batches() == done[::-1]
    records = ledger.verdicts()
    assert [(item.seq, item.subject, item.outcome, item.actor) for item in records] == [
        (1, "b", "refuse", "ingest"),
        (2, "a", "accept", "ingest"),
    ]
    assert chain.verify(records) is None
    assert claimed(ledger, "a", "aa") == done[1]


def test_those_that_are_finished_already_are_returned_as_they_are(ledger: Ledger) -> None:
    batches = ledger.claim_batches("flights", "rows", [arrival(name, name) for name in "abc"])
    suspect = finish(ledger, batches[1], "suspect")
    again: list[tuple[Batch, Verdict]] = [
        (replace(batch, state="accepted", rows_in=5), note(subject=batch.name)) for batch in (*batches, batches[2])
    ]

    done = ledger.finish_batches(again, actor="ingest")

    assert [(item.name, item.state, item.verdict_seq) for item in done] == [
        ("a", "accepted", 2),
        ("b", "suspect", 1),
        ("c", "accepted", 3),
        ("c", "accepted", 3),
    ]
    assert done[1] == suspect
    assert ledger.batches() == done[:3]
    assert [item.subject for item in ledger.verdicts()] == ["b", "a", "c"]


def test_batches_of_several_kinds_are_finished_in_one_call(ledger: Ledger) -> None:
    (rows,) = ledger.claim_batches("flights", "rows", [arrival("a", "aa")])
    (labels,) = ledger.claim_batches("flights", "labels", [arrival("a", "bb")])
    done = ledger.finish_batches([(replace(item, state="accepted"), note()) for item in (rows, labels)], actor="me")
    assert set(ledger.batches(states=("accepted",))) == set(done)


def test_a_duplicate_is_told_once(ledger: Ledger) -> None:
    claimed(ledger, "a", "aa")
    twin = claimed(ledger, "b", "aa")

    finish(ledger, twin, "duplicate")
    done = finish(ledger, twin, "duplicate")

    assert (done.state, done.verdict_seq) == ("duplicate", 1)
    assert len(ledger.verdicts()) == 1


@pytest.mark.parametrize("state", ["claimed", "dropped"])
def test_a_call_with_a_state_that_is_not_final_writes_nothing(ledger: Ledger, state: BatchState) -> None:
    one, two = ledger.claim_batches("flights", "rows", [arrival("a", "aa"), arrival("b", "bb")])
    with pytest.raises(RefusedError, match=rf"batch 2 of 'flights' \(rows, b\) cannot be finished as {state}; give"):
        ledger.finish_batches([(replace(one, state="accepted"), note()), (replace(two, state=state), note())], actor="")

    assert ledger.batches() == (one, two)
    assert ledger.verdicts() == ()


def test_a_call_with_an_unknown_batch_writes_nothing(ledger: Ledger) -> None:
    one = replace(claimed(ledger, "a", "aa"), state="accepted")
    with pytest.raises(RegistryError, match=r"knows no batch 7 of 'flights'.*ANDON_LEDGER_URL"):
        ledger.finish_batches([(one, note()), (replace(one, number=7), note())], actor="ingest")
    with pytest.raises(RegistryError, match="knows no batch 7 of 'flights'"):
        ledger.settle_batch(replace(one, number=7), note(), state="dropped", actor="ann")

    assert [batch.state for batch in ledger.batches()] == ["claimed"]
    assert ledger.verdicts() == ()


def test_a_span_without_a_time_zone_is_refused(ledger: Ledger) -> None:
    naive = MONDAY.replace(tzinfo=None)
    batch = replace(claimed(ledger, "a", "aa"), state="accepted", span=(naive, naive))
    with pytest.raises(RegistryError, match="span must have a time zone"):
        ledger.finish_batches([(batch, note())], actor="ingest")
    assert ledger.verdicts() == ()


# Suspects


@pytest.mark.parametrize("state", ["accepted", "dropped"])
def test_a_person_settles_a_suspect_batch_once(ledger: Ledger, state: Settled) -> None:
    suspect = finish(ledger, claimed(ledger, "a", "aa"), "suspect")

    done = ledger.settle_batch(replace(suspect, rows_accepted=3), note(outcome=state), state=state, actor="ann")

    assert done == replace(suspect, state=state, rows_accepted=3, settled_seq=2)
    assert ledger.batches() == (done,)
    assert [(item.seq, item.outcome, item.actor) for item in ledger.verdicts()] == [
        (1, "suspect", "ingest"),
        (2, state, "ann"),
    ]
    with pytest.raises(RefusedError, match=rf"is {state}, not suspect.*andon lineage flights --batch 1"):
        ledger.settle_batch(suspect, note(), state="accepted", actor="bob")
    assert finish(ledger, suspect, "accepted") == done
    assert len(ledger.verdicts()) == 2


@pytest.mark.parametrize("state", ["accepted", "refused", "duplicate"])
def test_only_a_suspect_batch_can_be_settled(ledger: Ledger, state: BatchState) -> None:
    batch = claimed(ledger, "a", "aa")
    with pytest.raises(RefusedError, match="is claimed, not suspect: there is nothing to release or drop"):
        ledger.settle_batch(batch, note(), state="accepted", actor="ann")

    done = finish(ledger, batch, state)
    with pytest.raises(RefusedError, match=f"is {state}, not suspect"):
        ledger.settle_batch(replace(done, state="suspect"), note(), state="dropped", actor="ann")

    assert ledger.batches() == (done,)
    assert len(ledger.verdicts()) == 1


# Size, and age


def test_a_thousand_files_are_claimed_and_finished_in_a_few_statements(ledger: Ledger) -> None:
    began = time.perf_counter()
    batches = ledger.claim_batches("flights", "rows", THOUSAND)
    done = ledger.finish_batches([(replace(batch, state="accepted"), note()) for batch in batches], actor="ingest")
    seconds = time.perf_counter() - began

    assert ledger.batches() == done
    assert [batch.verdict_seq for batch in done] == list(range(1, 1001))
    assert chain.verify(ledger.verdicts()) is None
    assert seconds < 10, "0.2 s on a quiet machine; one transaction for each file would take far longer"


BEFORE_STAMPS = """
CREATE TABLE andon_batches (
    pipeline TEXT NOT NULL, kind TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL,
    state TEXT NOT NULL, rows_in BIGINT NOT NULL, rows_accepted BIGINT NOT NULL, rows_quarantined BIGINT NOT NULL,
    rows_duplicate BIGINT NOT NULL, first_time DATETIME, last_time DATETIME, recorded_at DATETIME NOT NULL,
    verdict_seq BIGINT REFERENCES andon_verdicts (seq), PRIMARY KEY (pipeline, kind, number),
    UNIQUE (pipeline, kind, sha256, name)
);
INSERT INTO andon_batches VALUES ('flights', 'rows', 1, 'a', 'aa', 'accepted', 5, 5, 0, 0, null, null, '2013-04-01', 1)
"""


def test_a_ledger_of_an_older_andon_gets_the_new_columns_and_keeps_its_batches(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_ledger(url).record(note(), actor="ingest")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old:
        old.executescript(f"DROP TABLE andon_batches; {BEFORE_STAMPS}")

    ledger = open_ledger(url)

    (batch,) = ledger.batches()
    assert (batch.name, batch.rows_in, batch.verdict_seq, batch.stamp, batch.settled_seq) == ("a", 5, 1, "", None)
    assert claimed(ledger, "a", "aa", "10 bytes") == replace(batch, stamp="10 bytes")
    assert finish(ledger, claimed(ledger, "b", "bb"), "suspect").verdict_seq == 2


def test_a_batch_whose_file_was_gone_is_claimed_again_when_the_file_lands_again(ledger: Ledger) -> None:
    """With the same stamp too, as in S3, whose stamps know the bytes alone."""
    batch = claimed(ledger, "a", "aa", "monday")
    gone = finish(ledger, replace(batch, stamp=GONE), "refused")
    assert (gone.stamp, gone.state) == (GONE, "refused")
    again = claimed(ledger, "a", "aa", "monday")
    assert again == batch
    assert finish(ledger, again, "accepted").verdict_seq != gone.verdict_seq
    assert claimed(ledger, "a", "aa", "tuesday").state == "accepted"


def test_what_was_gone_is_a_duplicate_where_its_bytes_have_come_under_another_name(ledger: Ledger) -> None:
    finish(ledger, replace(claimed(ledger, "a", "aa"), stamp=GONE), "refused")
    assert claimed(ledger, "b", "aa").state == "claimed"
    again = claimed(ledger, "a", "aa", "tuesday")
    assert (again.number, again.state, again.verdict_seq) == (1, "duplicate", None)
