"""What people read of a rollout: `andon why`, `andon status`, `andon history` and the model store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry.chain import GENESIS
from registry.ledger import Champion, Change, Recorded
from registry.rollout_words import standing_words
from registry.standing import standing
from registry.story import entries, is_routine, story

DAY = datetime(2013, 4, 14, tzinfo=UTC)


def row(kind: str, outcome: str, *reasons: str, version: str = "7", epoch: int = 2, seq: int = 2) -> Recorded:
    until = (DAY + timedelta(days=7)).isoformat()
    body: dict[str, Any] = {"epoch": epoch, "until": until, "since": DAY.isoformat()}
    return Recorded(
        seq=seq, kind=kind, pipeline="trips", subject=version, outcome=outcome, reasons=reasons, body=body,
        data_time=DAY, actor="flow@host:1", recorded_at=DAY, prev_hash=GENESIS, hash="",
    )  # fmt: skip


def reign(version: str, *, epoch: int = 2, kind: Any = "promotion", actor: str = "flow@host:1") -> Champion:
    change = Change(
        pipeline="trips", kind=kind, version=version, bundle_sha256="ab", trained_until=DAY, why="a gain",
        data_time=DAY, actor=actor,
    )  # fmt: skip
    return Champion(epoch=epoch, change=change, from_version=None, recorded_at=DAY)


SILENT = row("shadow", "started", "version 7 answers in the shadow until 2013-04-21, then it takes over unless ...")
WATCHED = row("probation", "started", "version 6 is watched until 2013-04-21; version 5 ...", version="6")


@pytest.mark.parametrize(
    ("shadow", "probation", "told"),
    [
        (None, None, ()),
        (SILENT, WATCHED, (SILENT.reasons[0], WATCHED.reasons[0])),
        (row("shadow", "started", "x", epoch=1), row("probation", "fine", "x", epoch=1), ()),
        (
            row("shadow", "failed", "it failed on 3 of 9 rows"),
            None,
            ("version 7 failed in the shadow, and is not promoted: it failed on 3 of 9 rows",),
        ),
        (
            row("shadow", "ended", "the cord is pulled"),
            row("probation", "fine", "0 of 9 answers failed", version="6"),
            (
                "version 7 answers in the shadow no more: the cord is pulled",
                "version 6 was watched, and is fine: 0 of 9 answers failed",
            ),
        ),
        (
            None,
            row("probation", "told", "9 of 9 answers failed", "a person decides: andon rollback trips", version="6"),
            (
                (
                    "version 6 is worse, and a person must decide: 9 of 9 answers failed; a person decides: andon "
                    "rollback trips"
                ),
            ),
        ),
    ],
)
def test_how_it_stands_is_told_of_the_reign_that_is(
    shadow: Recorded | None, probation: Recorded | None, told: tuple[str, ...]
) -> None:
    assert standing_words(shadow, probation, reign("6")) == told
    assert standing_words(shadow, probation, None) == ()


@pytest.mark.parametrize(
    ("record", "text", "tone"),
    [
        (SILENT, "version 7 answers in the shadow until 2013-04-21, then it takes over", "plain"),
        (row("shadow", "passed"), "version 7 has passed its time in the shadow", "good"),
        (row("shadow", "failed"), "version 7 failed in the shadow, and is not promoted", "bad"),
        (row("shadow", "ended"), "version 7 answers in the shadow no more", "plain"),
        (row("probation", "started"), "version 7 is watched until 2013-04-21", "plain"),
        (row("probation", "waits for labels"), "version 7 was watched; labels are still to come", "plain"),
        (row("probation", "fine"), "version 7 was watched, and is fine", "good"),
        (row("probation", "roll back"), "version 7 is worse than the one before, which is put back", "bad"),
        (row("probation", "told"), "version 7 is worse, and a person must decide", "asks"),
    ],
)
def test_each_word_is_a_sentence_in_the_history(record: Recorded, text: str, tone: str) -> None:
    (entry,) = entries([record])
    assert (entry.text, entry.tone) == (text, tone)


def test_that_a_watch_begins_is_routine_and_what_comes_of_it_is_not() -> None:
    assert is_routine(WATCHED)
    assert not any(is_routine(row("probation", word)) for word in ("fine", "roll back", "told"))
    assert not is_routine(SILENT)


def test_what_failed_in_the_shadow_is_rejected_in_the_model_store_also_after_a_persons_yes() -> None:
    gate = row("gate", "promote", "a gain", seq=1)
    gate.body["challenger_version"] = "7"  # type: ignore[index]  # a dictionary
    yes = row("answer", "approved", "good", seq=2)
    no = row("shadow", "failed", "it failed on 3 of 9 rows", seq=3)
    tags = standing([gate, yes, no], [reign("6")])["7"]
    assert (tags["andon.status"], tags["andon.why"]) == ("rejected", "it failed on 3 of 9 rows")
    assert standing([gate, yes, row("shadow", "started", seq=3)], [reign("6")])["7"]["andon.status"] == "challenger"
    assert "version 7 failed in the shadow, and is not promoted: it failed" in story([gate, yes, no], [reign("6")])


def test_who_rolled_back_by_itself_is_no_person() -> None:
    from dataclasses import replace

    back = replace(row("rollback", "rolled_back", "found errors", version="5"), actor="watch")
    back.body.update(from_version="6", epoch=3)  # type: ignore[attr-defined]  # a dictionary
    assert entries([back])[0].text == "rolled back by itself from version 6 to version 5 (epoch 3)"
    assert entries([replace(back, actor="bob")])[0].text == "rolled back from version 6 to version 5 (epoch 3)"
