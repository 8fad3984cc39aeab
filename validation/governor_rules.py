"""What may speak against a retrain: one rule, one sentence, and when or on which condition it is worth asking again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from validation.governor_policy import Governor, cooldown_of
from validation.suppression import TakenBack, suppressed_until

BUDGET_SPAN = timedelta(days=30)
FAILURES = ("failed", "rolled back")  # they count for the breaker
JUDGED = ("promote", "reject", "need evidence", "expired", "rolled back")  # they reached a gate verdict
# What a deferred wish waits for where no moment is known.
CORD = "the cord is released"
BREAKER = "a person resumes the pipeline"
NEW_ROWS = "new mature rows"

AttemptOutcome = Literal["promote", "reject", "need evidence", "expired", "failed", "rolled back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt to retrain: when (data time), how it ended, and on which snapshot.

    "failed": it never reached a gate verdict; "rolled back": what it promoted was taken back later.
    """

    at: datetime
    outcome: AttemptOutcome
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the governor knows: `paused` is the reason of a pulled cord, or None; `attempts` in any order.

    `snapshot` is what a retrain would run on now, `new_rows` its mature rows since the last attempt, `newest` the event
    time of the last of its rows. `resumed_at`: until when (data time) attempts no longer count for the breaker, since a
    person resumed the pipeline after them.
    """

    attempts: tuple[Attempt, ...]
    snapshot: str
    new_rows: int
    paused: str | None = None
    resumed_at: datetime | None = None
    newest: datetime | None = None
    taken_back: tuple[TakenBack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why not now, and when or on which condition it is worth asking again."""

    reason: str
    until: datetime | None = None
    condition: str = ""


Rule = Callable[[History, Governor, str, datetime], Objection | None]


def cord(history: History, _policy: Governor, pipeline: str, _as_of: datetime) -> Objection | None:
    """A person has stopped the line."""
    if history.paused is None:
        return None
    return Objection(
        reason=f"the cord is pulled ({history.paused}); when it is solved: andon resume {pipeline}", condition=CORD
    )


def breaker(history: History, policy: Governor, pipeline: str, _as_of: datetime) -> Objection | None:
    """Too many attempts in a row have failed or were rolled back."""
    failures = 0
    for attempt in sorted(history.attempts, key=lambda attempt: attempt.at, reverse=True):
        cleared = history.resumed_at is not None and attempt.at <= history.resumed_at
        if cleared or attempt.outcome not in FAILURES:
            break
        failures += 1
    if failures < policy.breaker_after:
        return None
    return Objection(
        reason=f"the last {failures} attempts failed or were rolled back (the breaker opens at "
        f"{policy.breaker_after}); find out why, then: andon resume {pipeline}",
        condition=BREAKER,
    )


def same_snapshot(history: History, _policy: Governor, _pipeline: str, _as_of: datetime) -> Objection | None:
    """What would be learned from got its verdict already; one whose attempt failed may be repeated."""
    last = _last_judged(history)
    if last is None or last.snapshot != history.snapshot:
        return None
    newest = f" (the newest row is of {history.newest:%Y-%m-%d %H:%M})" if history.newest else ""
    return Objection(
        reason=f"nothing new is mature since {last.at:%Y-%m-%d %H:%M}: the snapshot is the one that got the verdict "
        f"{last.outcome!r} then{newest}",
        condition=NEW_ROWS,
    )


def rolled_back(history: History, policy: Governor, _pipeline: str, as_of: datetime) -> Objection | None:
    """The cooldown after a rollback."""
    until = suppressed_until(history.taken_back, cooldown=cooldown_of(policy), as_of=as_of)
    if until is None:
        return None
    last = history.taken_back[-1]
    return Objection(
        reason=f"version {last.version} was rolled back from ({last.why}); the cooldown after it ends at "
        f"{until:%Y-%m-%d %H:%M}",
        until=until,
    )


def cooldown(history: History, policy: Governor, _pipeline: str, as_of: datetime) -> Objection | None:
    """The cooldown after an attempt that reached a gate verdict."""
    last, length = _last_judged(history), cooldown_of(policy)
    if last is None or as_of >= last.at + length:
        return None
    until, days = last.at + length, str(length).removesuffix(", 0:00:00")
    return Objection(
        reason=f"the last attempt was at {last.at:%Y-%m-%d %H:%M}; the cooldown of {days} ends at "
        f"{until:%Y-%m-%d %H:%M}",
        until=until,
    )


def budget(history: History, policy: Governor, _pipeline: str, as_of: datetime) -> Objection | None:
    """The attempts of the last 30 days."""
    recent = in_budget(history, as_of)
    if len(recent) < policy.max_per_month:
        return None
    until = recent[-policy.max_per_month] + BUDGET_SPAN
    return Objection(
        reason=f"{len(recent)} attempts in {BUDGET_SPAN.days} days, {policy.max_per_month} are allowed; "
        f"the next may run at {until:%Y-%m-%d %H:%M}",
        until=until,
    )


def new_rows(history: History, policy: Governor, _pipeline: str, _as_of: datetime) -> Objection | None:
    """Too little has come since the last attempt."""
    if history.new_rows >= policy.min_new_rows:
        return None
    return Objection(
        reason=f"{history.new_rows:,} new mature rows since the last attempt, {policy.min_new_rows:,} are needed",
        condition=f"at least {policy.min_new_rows:,} {NEW_ROWS}",
    )


def _last_judged(history: History) -> Attempt | None:
    judged = [attempt for attempt in history.attempts if attempt.outcome in JUDGED]
    return max(judged, key=lambda attempt: attempt.at, default=None)


def in_budget(history: History, as_of: datetime) -> list[datetime]:
    """Moments of the attempts that still count, oldest first (also those after `as_of`, when a replay goes back)."""
    return sorted(attempt.at for attempt in history.attempts if attempt.at > as_of - BUDGET_SPAN)
