"""The ledger in words, the standing of its versions, and a model store that is made to say both."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.chain import GENESIS, follow
from registry.ledger import Champion, Change, Recorded
from registry.memory import MemoryLedger
from registry.projection import clear_abandoned, project_story
from registry.rules import announcement
from registry.standing import known_versions, standing
from registry.store import Submission
from registry.story import entries, is_routine, person, story
from tests.fakes import FolderStore
from validation.deeds import Cord, Question, Repair, Reply
from validation.verdict import Verdict

DAY = datetime(2013, 4, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def gate(
    version: str, outcome: str, why: str = "a gain of 2 %", *, seq: int = 1, day: int = 0, **body: Any
) -> Recorded:
    """A gate's verdict as the ledger holds it."""
    return Recorded(
        seq=seq,
        kind="gate",
        pipeline="trips",
        subject=version,
        outcome=outcome,
        reasons=(why,),
        body={"challenger_version": version, "intent": "i1", **body},
        data_time=DAY + timedelta(days=day),
        actor="flow@host:17",
        recorded_at=NOW,
        prev_hash=GENESIS,
        hash="",
    )


def crowned(*changes: tuple[str, str]) -> tuple[Champion, ...]:
    """Champions by (kind, version), one a day."""
    rows: list[Champion] = []
    for day, (kind, version) in enumerate(changes):
        change = Change(
            pipeline="trips",
            kind=kind,  # type: ignore[arg-type]  # literals of the tests
            version=version,
            bundle_sha256="ab",
            trained_until=DAY,
            why=f"{kind} of {version}",
            data_time=DAY + timedelta(days=day),
            actor="ann@host:9",
        )
        before = rows[-1].change.version if rows else None
        rows.append(Champion(epoch=day + 1, change=change, from_version=before, recorded_at=NOW))
    return tuple(rows)


def recorded(*verdicts: Verdict, actor: str = "ann@host:9") -> tuple[Recorded, ...]:
    head, found = None, list[Recorded]()
    for verdict in verdicts:
        head = follow(head, verdict, actor=actor, now=NOW)
        found.append(head)
    return tuple(found)


def about(kind: type[Verdict], subject: str, outcome: str, **more: Any) -> Verdict:
    said: dict[str, Any] = {"pipeline": "trips", "subject": subject, "outcome": outcome, "reasons": ("it had to be",)}
    return kind(**said, data_time=DAY, **more)


QUESTION = about(Question, "6", "asked", intent="i1", gate=1, why="always", deadline=NOW)

ROWS = crowned(("promotion", "1"), ("forced", "2"), ("adoption", "3"), ("rollback", "2"))

SENTENCES = [
    (gate("6", "promote"), "the gate passed version 6", "good"),
    (gate("6", "promote", mode="dry_run"), "the gate passed version 6, in a dry run: nothing is promoted", "good"),
    (gate("6", "reject"), "the gate rejected version 6", "bad"),
    (gate("i1", "reject", challenger_version=""), "the gate rejected the attempt i1", "bad"),
    (
        gate("6", "need evidence", look=2, max_looks=3),
        "the gate needs more evidence on version 6, look 2 of 3",
        "asks",
    ),
    (gate("6", "expired"), "the gate found no proof for version 6 in any of its looks", "bad"),
    (gate("6", "puzzled"), "the gate said 'puzzled' of version 6", "asks"),
    *(
        (record, text, tone)
        for record, text, tone in zip(
            recorded(
                *(announcement(row) for row in ROWS),
                about(Cord, "trips", "paused"),
                about(Cord, "trips", "resumed"),
                QUESTION,
                about(Reply, "6", "approved", question=7, intent="i1"),
                about(Reply, "6", "rejected", question=7, intent="i1"),
                about(Reply, "6", "timed out", question=7, intent="i1"),
                about(Repair, "alias champion", "repaired"),
                about(Repair, "scorer", "reported"),
                about(Verdict, "a note", "made"),
            ),
            (
                "version 1 became champion (epoch 1)",
                "version 2 was FORCED past the gate: it is champion in place of version 1 (epoch 2)",
                "version 3 was adopted, whose alias was moved by hand: champion in place of version 2 (epoch 3)",
                "rolled back from version 3 to version 2 (epoch 4)",
                "ann@host stopped the line: nothing is retrained or promoted",
                "ann@host let the line run again",
                "a person is asked whether version 6 may become champion, until 2026-11-21 06:00",
                "ann@host approved version 6",
                "ann@host rejected version 6",
                "nobody answered about version 6 in time, which is a no",
                "reconcile repaired: alias champion",
                "reconcile reports: scorer",
                "note a note: made",
            ),
            ("good", "bad", "asks", "bad", "bad", "good", "asks", "good", "bad", "bad", "plain", "asks", "plain"),
            strict=True,
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("2013-04-08T00:00:00.000001+00:00", "2013-04-08 00:00"),
        ("ab" * 32, "abababababab"),
        ("Tuesday.parquet", "Tuesday.parquet"),
        ("flights-20130401T000000-df55d7", "flights-20130401T000000-df55d7"),
    ],
)
def test_windows_and_digests_are_said_as_people_say_them(subject: str, said: str) -> None:
    (entry,) = entries([replace(gate("1", "quiet"), kind="drift", subject=subject)])
    assert entry.text == f"drift {said}: quiet"


@pytest.mark.parametrize(("record", "text", "tone"), SENTENCES, ids=[text for _, text, _ in SENTENCES])
def test_each_verdict_is_a_sentence(record: Recorded, text: str, tone: str) -> None:
    (entry,) = entries([record])
    assert (entry.text, entry.tone, entry.seq) == (text, tone, record.seq)


def test_a_promotion_names_the_gates_verdict_and_does_not_repeat_it() -> None:
    why = "promotion of 1"
    (row,) = crowned(("promotion", "1"))
    (promotion,) = recorded(announcement(row))
    judged = gate("1", "promote", why, seq=0)
    passed, crown = entries([judged, promotion], asked={"i1": "the days got longer"})
    assert passed.why == (why, "asked for: the days got longer")
    assert crown.why == ("by verdict no. 0",)
    assert entries([promotion])[0].why == (why,), "a gate that is not at hand is not guessed"


NUMBERS: dict[str, Any] = {
    "champion_is": "champion",
    "champion_version": "6",
    "champion_loss": 0.5,
    "gain": 0.01,
    "gain_share": 0.02,
    "lower": 0.005,
    "upper": None,
    "rows": 6_000,
    "blocks": 7,
    "slices": [{"column": "zone", "value": "A", "gain": -0.004, "rows": 300, "worse": False}],
}
SENTENCE = "the challenger's loss is 0.49000 against 0.50000, a gain of +2.00% (bounds, at alpha 0.2): proven above 0"


def test_the_gates_numbers_are_told_in_short_as_shares_of_the_champions_loss() -> None:
    (entry,) = entries([gate("7", "promote", SENTENCE, **NUMBERS, asks="approval is always asked for")])
    assert entry.why == (
        "gain +2.00% over version 6 (+1.00% to unknown, 6,000 rows in 7 blocks): proven above 0",
        "the worst slice is zone = A: -0.80% on 300 rows, not proven",
        "a person is asked: approval is always asked for",
    )
    (first,) = entries([gate("7", "reject", SENTENCE, **NUMBERS | {"champion_is": "unable"})])
    assert first.why == ("gain +2.00% over the base rate (+1.00% to unknown, 6,000 rows in 7 blocks): proven above 0",)
    olds: tuple[dict[str, Any], ...] = ({}, NUMBERS | {"gain": None}, NUMBERS | {"champion_loss": 0.0})
    for old in olds:
        (entry,) = entries([gate("7", "reject", SENTENCE, **old)])
        assert entry.why == (SENTENCE,), "what an older ledger does not have is not made up"


def test_an_open_question_says_how_to_answer_it() -> None:
    asked, answered = recorded(QUESTION, about(Reply, "6", "approved", question=1, intent="i1"))
    assert entries([asked])[0].why[-1] == "to answer: andon approve trips 6 --why ... (or reject)"
    assert entries([asked, answered])[0].why == ("it had to be",)


def test_what_happens_every_day_is_routine_and_what_nobody_foresaw_is_not() -> None:
    kinds = ("contract", "score", "drift", "performance", "watch", "snapshot", "training")
    assert all(is_routine(of_kind(kind)) for kind in kinds)
    assert not any(is_routine(of_kind(kind)) for kind in ("gate", "note", "answer", "cord", "brand new"))
    assert is_routine(of_kind("governor", "run"))
    assert not is_routine(of_kind("governor", "defer"))


def of_kind(kind: str, outcome: str = "fine") -> Recorded:
    return replace(gate("1", outcome), kind=kind)


@pytest.mark.parametrize(("actor", "who"), [("ann@host:9", "ann@host"), ("ann", "ann"), ("a:b", "a:b"), (":7", "")])
def test_a_person_has_no_process(actor: str, who: str) -> None:
    assert person(actor) == who


def statuses(verdicts: list[Recorded], *changes: tuple[str, str]) -> dict[str, str]:
    return {version: tags["andon.status"] for version, tags in standing(verdicts, crowned(*changes)).items()}


def test_each_version_has_one_status() -> None:
    gates = [
        gate(str(n), outcome, seq=n)
        for n, outcome in enumerate(("promote",) * 3 + ("reject", "expired", "need evidence"), 1)
    ]
    assert statuses([*gates, gate("7", "need evidence", seq=7)], ("promotion", "1"), ("promotion", "2")) == {
        "1": "was champion",
        "2": "champion",
        "3": "superseded",
        "4": "rejected",
        "5": "expired",
        "6": "superseded",
        "7": "challenger",
    }
    assert statuses(gates[:2], ("promotion", "1"), ("promotion", "2"), ("rollback", "1")) == {
        "1": "champion",
        "2": "rolled back",
    }
    (no,) = recorded(about(Reply, "7", "timed out", question=7, intent="i1"))
    assert statuses([gate("7", "promote"), no]) == {"7": "rejected"}
    assert statuses([gate("i1", "reject", challenger_version="")]) == {}


def test_the_tags_say_who_why_when_and_for_ever_that_a_version_was_forced() -> None:
    gates = [gate("1", "promote", seq=11), gate("2", "reject", seq=12)]
    rows = crowned(("promotion", "1"), ("forced", "2"), ("rollback", "1"), ("promotion", "2"))
    found = standing(gates, rows)
    assert found["2"] == {
        "andon.status": "champion",
        "andon.how": "promoted",
        "andon.epoch": "4",
        "andon.by": "ann@host:9",
        "andon.why": "promotion of 2",
        "andon.decided_at": "2013-04-04 00:00",
        "andon.evidence": "12",
        "andon.forced": "2013-04-02 00:00 by ann@host:9: forced of 2",
    }
    assert found["1"]["andon.how"] == "put back by a rollback"
    assert found["1"]["andon.until"] == "2013-04-04 00:00"
    assert standing(gates, rows[:3])["2"]["andon.why"] == "rollback of 1", "of what was rolled back, why it was"
    assert known_versions([*gates, gate("i1", "reject", challenger_version="")], rows) == {"1", "2"}


KINDS = st.sampled_from(["promotion", "rollback", "forced", "adoption"])


@given(st.lists(st.tuples(KINDS, st.sampled_from("123456")), max_size=12))
def test_exactly_the_newest_row_is_champion_and_a_forced_version_stays_marked(changes: list[tuple[str, str]]) -> None:
    rows = crowned(*(change for change, _ in itertools.groupby(changes)))
    found = standing([], rows)
    champions = [version for version, tags in found.items() if tags["andon.status"] == "champion"]
    assert champions == ([rows[-1].change.version] if rows else [])
    forced = {row.change.version for row in rows if row.change.kind == "forced"}
    assert {version for version, tags in found.items() if "andon.forced" in tags} == forced


def test_the_story_is_told_newest_first_a_promotion_with_its_gates_reasons() -> None:
    rows = crowned(("promotion", "1"), ("forced", "2"))
    crowns = recorded(gate_free(), *(announcement(row) for row in rows))
    told = story(
        [gate("1", "promote", "better by 2 %", seq=0), *crowns, gate("3", "reject", "worse", seq=9, day=5)], rows
    )
    assert told == (
        "**Champion: version 2** since 2013-04-02 00:00 (epoch 2). It was forced past the gate.\n\n"
        "- **2013-04-06 00:00** the gate rejected version 3: worse\n"
        "- **2013-04-02 00:00** version 2 was FORCED past the gate: it is champion in place of version 1 (epoch 2): "
        "forced of 2\n"
        "- **2013-04-01 00:00** version 1 became champion (epoch 1): better by 2 %"
    )


def gate_free() -> Verdict:
    return about(Verdict, "a note", "made")


def test_there_is_a_story_before_there_is_a_champion() -> None:
    assert story([], ()) == "**There is no champion yet.**\n"


@given(st.lists(st.text(max_size=900), max_size=30))
def test_a_story_fits_into_the_store_and_says_what_is_left_out(reasons: list[str]) -> None:
    told = story([gate(str(n), "reject", why, seq=n) for n, why in enumerate(reasons)], ())
    assert len(told) <= 5_000
    shown = sum(f"the gate rejected version {n}" in told for n in reversed(range(len(reasons))))
    assert shown == len(reasons) or "earlier decisions: `andon history trips`" in told


def a_store(tmp_path: Path, versions: int) -> FolderStore:
    folder = FolderStore(tmp_path / "store")
    (tmp_path / "bundle").mkdir()
    for number in range(1, versions + 1):
        place, sha256 = tmp_path / "bundle", str(number)
        folder.register(
            Submission(pipeline="trips", bundle=place, bundle_sha256=sha256, intent="i", attempt=1, verdict="promote")
        )
    return folder


def test_the_store_is_made_to_say_what_the_ledger_says_and_told_once(tmp_path: Path) -> None:
    ledger, store = MemoryLedger(), a_store(tmp_path, 3)
    assert project_story(ledger, store, "trips") == (
        "the story of 'trips' in the model store was not the ledger's: it is written anew",
    )
    for epoch, row in enumerate(crowned(("promotion", "1"), ("promotion", "2"), ("promotion", "9"))):
        ledger.crown(row.change, expected_epoch=epoch)
    tags, text = project_story(ledger, store, "trips")
    assert tags == (
        "the tags of versions 1, 2 of 'trips' did not say what the ledger says: repaired (of version 2 "
        "andon.status said nothing, the ledger says 'was champion')"
    ), "version 9 is not in the store any more"
    assert "story" in text
    assert project_story(ledger, store, "trips") == ()

    store.tell("trips", "1", tags={"andon.status": "champion"})
    store.describe("trips", "version 1 is the best")
    assert len(project_story(ledger, store, "trips")) == 2
    assert store.shown("trips").tags["1"]["andon.status"] == "was champion"
    assert store.shown("trips").story.startswith("**Champion: version 9**")
    assert project_story(ledger, store, "trips") == ()


def test_what_the_ledger_does_not_know_was_left_by_a_dead_attempt(tmp_path: Path) -> None:
    ledger, store = MemoryLedger(), a_store(tmp_path, 2)
    (row,) = crowned(("promotion", "1"))
    ledger.crown(row.change, expected_epoch=0)
    assert clear_abandoned(ledger, store, "trips", mark=False) == clear_abandoned(ledger, store, "trips")
    assert clear_abandoned(ledger, store, "trips") == ()
    assert store.aliases("trips")["challenger"] == "1"


def test_a_story_of_nothing_is_not_written(tmp_path: Path) -> None:
    assert project_story(MemoryLedger(), FolderStore(tmp_path), "trips") == ()
