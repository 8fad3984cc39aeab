from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.errors import DefinitionError
from validation.governor import (
    BUDGET_SPAN,
    JUDGED,
    Attempt,
    Governor,
    GovernorVerdict,
    History,
    budget_left,
    earliest,
    judge,
    judge_without_rows,
    objections,
)
from validation.suppression import TakenBack, suppressed, suppressed_until

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
POLICY = Governor(cooldown="3d", max_per_month=3, min_new_rows=100, breaker_after=2)


def attempt(days_ago: float, outcome: Any = "reject", snapshot: str = "old") -> Attempt:
    return Attempt(at=NOON - timedelta(days=days_ago), outcome=outcome, snapshot=snapshot)


def judged(
    *attempts: Attempt, by_hand: bool = False, permitted: bool = False, as_of: datetime = NOON, **facts: Any
) -> GovernorVerdict:
    known: dict[str, Any] = {"snapshot": "new", "new_rows": 100} | facts
    history = History(attempts=attempts, **known)
    asked = {"by_hand": by_hand, "permitted": permitted}
    return judge(history, policy=POLICY, pipeline="flights", subject="intent-1", as_of=as_of, **asked)


def taken_back(days_ago: float, *, version: str = "7", sha256: str = "ab", known: float | None = None) -> TakenBack:
    return TakenBack(
        version=version,
        bundle_sha256=sha256,
        at=NOON - timedelta(days=days_ago),
        why="complaints",
        known=None if known is None else NOON - timedelta(days=known),
    )


def test_a_first_retrain_runs() -> None:
    verdict = judged()
    assert (verdict.outcome, verdict.until, verdict.condition) == ("run", None, "")
    assert verdict.reasons == ("nothing objects: 100 new rows",)


def test_a_pulled_cord_makes_everybody_wait_until_it_is_released() -> None:
    verdict = judged(paused="wrong labels since May", by_hand=True)
    assert (verdict.outcome, verdict.until, verdict.condition) == ("defer", None, "the cord is released")
    assert verdict.reasons == ("the cord is pulled (wrong labels since May); when it is solved: andon resume flights",)


@pytest.mark.parametrize(
    ("attempts", "outcome"),
    [
        ([attempt(20, "failed"), attempt(10, "rolled back")], "defer"),
        ([attempt(10, "failed"), attempt(20, "failed"), attempt(25, "promote")], "defer"),
        ([attempt(10, "failed")], "run"),
        ([attempt(40, "failed"), attempt(15, "reject"), attempt(10, "failed")], "run"),
    ],
)
def test_the_breaker_opens_after_failures_in_a_row(attempts: list[Attempt], outcome: str) -> None:
    assert judged(*attempts).outcome == outcome


def test_a_person_closes_the_breaker() -> None:
    failures = (attempt(20, "failed"), attempt(10, "failed"))
    waits = judged(*failures, by_hand=True)
    assert (waits.outcome, waits.until, waits.condition) == ("defer", None, "a person resumes the pipeline")
    assert waits.reasons[0].startswith("the last 2 attempts failed or were rolled back (the breaker opens at 2)")
    assert waits.reasons[0].endswith("andon resume flights")
    assert judged(*failures, resumed_at=NOON - timedelta(days=10)).outcome == "run"
    assert judged(*failures, resumed_at=NOON - timedelta(days=11)).outcome == "run"
    assert judged(*failures, resumed_at=NOON - timedelta(days=21)).outcome == "defer"


def test_a_judged_snapshot_is_not_judged_again_but_a_failure_may_be_repeated() -> None:
    verdict = judged(attempt(10, "reject", "new"), by_hand=True)
    assert (verdict.outcome, verdict.condition) == ("defer", "new mature rows")
    since = "nothing new is mature since 2013-05-22 12:00: the snapshot is the one that got the verdict 'reject' then"
    assert verdict.reasons == (since,)
    newest = judged(attempt(10, "reject", "new"), newest=NOON - timedelta(days=12), by_hand=True)
    assert newest.reasons == (f"{since} (the newest row is of 2013-05-20 12:00)",)
    assert judged(attempt(0.1, "failed", "new")).outcome == "run"


@pytest.mark.parametrize(("days_ago", "outcome"), [(2.9, "defer"), (3, "run"), (-1, "defer")])
def test_a_cooldown_follows_each_verdict(days_ago: float, outcome: str) -> None:
    verdict = judged(attempt(days_ago))
    assert verdict.outcome == outcome
    assert verdict.until == (NOON - timedelta(days=days_ago - 3) if outcome == "defer" else None)


def test_the_budget_is_for_thirty_days() -> None:
    spent = judged(attempt(29), attempt(20), attempt(10))
    assert (spent.outcome, spent.until, spent.attempts_in_budget) == ("defer", NOON + timedelta(days=1), 3)
    assert spent.reasons == ("3 attempts in 30 days, 3 are allowed; the next may run at 2013-06-02 12:00",)
    assert judged(attempt(30), attempt(20), attempt(10)).outcome == "run"
    assert judged(attempt(29), attempt(28), attempt(20), attempt(10)).until == NOON + timedelta(days=2)


def test_too_few_new_rows_wait_for_more() -> None:
    verdict = judged(new_rows=99)
    assert (verdict.outcome, verdict.condition) == ("defer", "at least 100 new mature rows")
    assert verdict.reasons == ("99 new mature rows since the last attempt, 100 are needed",)


def test_a_moment_is_told_before_a_condition() -> None:
    """The cooldown's end is known; that nothing new is there by then is not."""
    verdict = judged(attempt(1, "reject", "new"), new_rows=0)
    assert (verdict.until, verdict.condition) == (NOON + timedelta(days=2), "")


@pytest.mark.parametrize(
    "facts",
    [
        {"attempts": (attempt(2),)},
        {"attempts": (attempt(29, "failed"), attempt(20), attempt(10, "failed"))},
        {"attempts": (), "paused": "stop"},
        {"attempts": (attempt(5, "failed"), attempt(4, "failed"))},
        {"attempts": (), "taken_back": (taken_back(1),)},
        {"attempts": ()},
        {"attempts": (attempt(10, "reject", "new"),)},
    ],
)
def test_what_the_ledger_answers_alone_needs_no_snapshot_and_is_the_same(facts: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"policy": POLICY, "pipeline": "flights", "subject": "intent-1", "as_of": NOON}
    whole = judge(History(snapshot="new", new_rows=0, **facts), **asked)
    alone = judge_without_rows(History(snapshot="", new_rows=0, **facts), **asked)
    assert whole.outcome == "defer"
    assert alone == (None if "new mature rows" in whole.condition else whole)


def test_all_objections_are_told_and_what_the_budget_still_allows() -> None:
    history = History(
        attempts=(attempt(1, "failed"), attempt(2, "rolled back")), snapshot="", new_rows=0, paused="stop"
    )
    found = objections(history, policy=POLICY, pipeline="flights", as_of=NOON)
    assert [(item.until, item.condition) for item in found] == [
        (None, "the cord is released"),
        (None, "a person resumes the pipeline"),
        (NOON + timedelta(days=1), ""),
    ]
    assert [budget_left(history, policy=POLICY, as_of=NOON + timedelta(days=days)) for days in (0, 28, 30)] == [1, 2, 3]
    many = History(attempts=tuple(map(attempt, range(9))), snapshot="", new_rows=0)
    assert budget_left(many, policy=POLICY, as_of=NOON) == 0


@pytest.mark.parametrize(
    ("facts", "days"),
    [
        ({"attempts": ()}, 0),
        ({"attempts": (attempt(2),)}, 1),
        ({"attempts": (), "taken_back": (taken_back(1),)}, 2),
        ({"attempts": (attempt(29, "failed"), attempt(20), attempt(1))}, 2),
        ({"attempts": (attempt(29, "failed"), attempt(28), attempt(27), attempt(4))}, 2),  # one that was by hand
        ({"attempts": (attempt(29.5), attempt(29), attempt(28.5), attempt(28), attempt(4))}, 1.5),
    ],
)
@pytest.mark.parametrize("paused", [None, "stop"])
def test_the_earliest_moment_is_the_end_of_cooldowns_and_budget(
    facts: dict[str, Any], days: float, paused: str | None
) -> None:
    history = History(snapshot="new", new_rows=0, paused=paused, **facts)
    asked: dict[str, Any] = {"policy": POLICY, "pipeline": "flights"}
    moment = earliest(history, as_of=NOON, **asked)
    assert moment == NOON + timedelta(days=days)
    timed = [item for item in objections(history, as_of=moment, **asked) if item.until]
    assert timed == []


def test_a_person_passes_cooldown_budget_and_new_rows() -> None:
    verdict = judged(attempt(3), attempt(2), attempt(1), new_rows=0, by_hand=True)
    assert verdict.outcome == "run"
    assert verdict.reasons == ("nothing objects: 0 new rows, asked by hand",)


def test_what_was_permitted_passes_them_too_but_not_the_cooldown_after_a_rollback() -> None:
    assert judged(attempt(3), attempt(2), attempt(1), new_rows=0, permitted=True).outcome == "run"
    verdict = judged(permitted=True, taken_back=(taken_back(2),))
    assert (verdict.outcome, verdict.until) == ("defer", NOON + timedelta(days=1))
    assert verdict.reasons == (
        "version 7 was rolled back from (complaints); the cooldown after it ends at 2013-06-02 12:00",
    )
    assert judged(by_hand=True, taken_back=(taken_back(2),)).outcome == "run"


@pytest.mark.parametrize(
    ("rollback", "until"),
    [
        (taken_back(2.9), 0.1),
        (taken_back(3), None),
        (taken_back(0), 3),
        (taken_back(-4_000, known=1), 2),  # typed today, in a replay of years ago: in the order of the ledger
        (taken_back(-4_000, known=3), None),
        (taken_back(-4_000, known=-2), 5),  # the replay has gone back since
        (taken_back(-4_000), None),
        (taken_back(1, known=60), 2),  # a quiet pipeline, whose newest data is old
    ],
)
def test_the_cooldown_after_a_rollback_counts_in_the_data_time_of_who_asks(
    rollback: TakenBack, until: float | None
) -> None:
    end = suppressed_until([rollback], cooldown=timedelta(days=3), as_of=NOON)
    assert end == (None if until is None else NOON + timedelta(days=until))


@pytest.mark.parametrize(
    ("version", "sha256", "told"),
    [
        ("7", "new bytes", "version 7 was rolled back from (complaints) and may not return before 2013-06-03 12:00"),
        ("8", "ab", "version 8, which has the bytes of version 7, was rolled back from (complaints)"),
        ("8", "cd", None),
    ],
)
def test_a_version_or_its_bytes_do_not_return_within_the_cooldown(version: str, sha256: str, told: str | None) -> None:
    found = suppressed(
        [taken_back(1), taken_back(0.5, version="6", sha256="ef")],
        cooldown=timedelta(days=3),
        version=version,
        bundle_sha256=sha256,
        as_of=NOON,
    )
    assert (found is None) == (told is None)
    assert found is None or told is None or found.startswith(told)


requests = st.lists(
    st.tuples(
        st.floats(0, 5),
        st.sampled_from(["promote", "reject", "need evidence", "expired", "failed", "rolled back"]),
        st.integers(0, 3),
        st.integers(0, 200),
        st.sampled_from([None, None, None, "stop"]),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(requests=requests)
def test_whatever_happens_limits_hold_and_nothing_is_forgotten(requests: list[tuple[Any, ...]]) -> None:
    now, done = NOON, list[Attempt]()
    for days, outcome, snapshot, rows, paused in requests:
        now += timedelta(days=days)
        history = History(attempts=tuple(done), snapshot=f"{snapshot}", new_rows=rows, paused=paused)
        verdict = judge(history, policy=POLICY, pipeline="flights", subject="i", as_of=now)
        if verdict.outcome == "defer":
            assert verdict.until or verdict.condition
            assert verdict.until is None or verdict.until > now
        if verdict.outcome == "run":
            assert all(now - old.at >= timedelta(days=3) for old in done if old.outcome in JUDGED)
            assert paused is None
            done.append(Attempt(at=now, outcome=outcome, snapshot=f"{snapshot}"))
            assert sum(old.at > now - BUDGET_SPAN for old in done) <= POLICY.max_per_month


def test_a_policy_has_sensible_limits() -> None:
    with pytest.raises(DefinitionError, match=r"governor\.max_per_month must be at least 1, got 0"):
        Governor(max_per_month=0)
    with pytest.raises(DefinitionError, match=r"governor\.cooldown must be a duration"):
        Governor(cooldown="soon")
