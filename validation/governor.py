"""May a retrain run now? Cooldown, budget, new rows, breaker and cord; a "not yet" is deferred, never forgotten."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types
from validation.suppression import TakenBack, suppressed_until
from validation.verdict import Verdict

BUDGET_SPAN = timedelta(days=30)
FAILURES = ("failed", "rolled back")  # they count for the breaker
JUDGED = ("promote", "reject", "need evidence", "expired", "rolled back")  # they reached a gate verdict

AttemptOutcome = Literal["promote", "reject", "need evidence", "expired", "failed", "rolled back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Governor:
    """How often a pipeline may retrain (all in data time).

    `cooldown` after an attempt that reached a gate verdict, and after a rollback, whose version may not return before
    its end; at most `max_per_month` attempts in 30 days; at least
    `min_new_rows` mature rows since the last attempt; after `breaker_after` failed or rolled-back attempts in a row
    nothing runs until a person resumes the pipeline.
    """

    cooldown: str | timedelta = "3d"
    max_per_month: int = 8
    min_new_rows: int = 1
    breaker_after: int = 5

    def __post_init__(self) -> None:
        check_types(self, part="governor")
        object.__setattr__(self, "cooldown", duration(self.cooldown, field="governor.cooldown"))
        for name in ("max_per_month", "min_new_rows", "breaker_after"):
            if getattr(self, name) < 1:
                raise DefinitionError(f"governor.{name} must be at least 1, got {getattr(self, name)}")


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
class GovernorVerdict(Verdict):
    """outcome: "run", "defer" (ask again at `until`, or when `condition` holds) or "refuse" (a person must act)."""

    kind: ClassVar[str] = "governor"

    until: datetime | None
    condition: str
    new_rows: int
    attempts_in_budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    outcome: str
    reason: str
    until: datetime | None = None
    condition: str = ""


def judge(
    history: History,
    *,
    policy: Governor,
    pipeline: str,
    subject: str,
    as_of: datetime,
    by_hand: bool = False,
    permitted: bool = False,
) -> GovernorVerdict:
    """Answer a request to retrain; the first rule that objects decides, in the order of DESIGN section 6.

    A person's request (`by_hand`) passes every cooldown, the budget and the count of new rows; never the cord, the
    breaker, or a snapshot that was judged before. One that was `permitted` when it was asked for passes them too, but
    not the cooldown after a rollback, which may have come since. `subject` names the request: the intent's id.
    """
    rules = (
        *(_cord, _breaker, _same_snapshot),
        *(() if by_hand else (_rolled_back,)),
        *(() if by_hand or permitted else (_cooldown, _budget, _new_rows)),
    )
    objections = (rule(history, policy, pipeline, as_of) for rule in rules)
    answer = next((objection for objection in objections if objection), None) or _Answer(
        outcome="run", reason=f"nothing objects: {history.new_rows:,} new rows" + (", asked by hand" if by_hand else "")
    )
    return GovernorVerdict(
        pipeline=pipeline,
        subject=subject,
        outcome=answer.outcome,
        reasons=(answer.reason,),
        data_time=as_of,
        until=answer.until,
        condition=answer.condition,
        new_rows=history.new_rows,
        attempts_in_budget=len(_in_budget(history, as_of)),
    )


def cooldown_of(policy: Governor) -> timedelta:
    """The cooldown as a length of time."""
    return duration(policy.cooldown, field="governor.cooldown")


def _cord(history: History, _policy: Governor, pipeline: str, _as_of: datetime) -> _Answer | None:
    if history.paused is None:
        return None
    return _Answer(
        outcome="refuse", reason=f"the cord is pulled ({history.paused}); when it is solved: andon resume {pipeline}"
    )


def _breaker(history: History, policy: Governor, pipeline: str, _as_of: datetime) -> _Answer | None:
    failures = 0
    for attempt in sorted(history.attempts, key=lambda attempt: attempt.at, reverse=True):
        cleared = history.resumed_at is not None and attempt.at <= history.resumed_at
        if cleared or attempt.outcome not in FAILURES:
            break
        failures += 1
    if failures < policy.breaker_after:
        return None
    return _Answer(
        outcome="refuse",
        reason=f"the last {failures} attempts failed or were rolled back (the breaker opens at "
        f"{policy.breaker_after}); find out why, then: andon resume {pipeline}",
    )


def _same_snapshot(history: History, _policy: Governor, _pipeline: str, _as_of: datetime) -> _Answer | None:
    last = _last_judged(history)
    if last is None or last.snapshot != history.snapshot:
        return None
    newest = f" (the newest row is of {history.newest:%Y-%m-%d %H:%M})" if history.newest else ""
    return _Answer(
        outcome="defer",
        reason=f"nothing new is mature since {last.at:%Y-%m-%d %H:%M}: the snapshot is the one that got the verdict "
        f"{last.outcome!r} then{newest}",
        condition="new mature rows",
    )


def _rolled_back(history: History, policy: Governor, _pipeline: str, as_of: datetime) -> _Answer | None:
    until = suppressed_until(history.taken_back, cooldown=cooldown_of(policy), as_of=as_of)
    if until is None:
        return None
    last = history.taken_back[-1]
    return _Answer(
        outcome="defer",
        reason=f"version {last.version} was rolled back from ({last.why}); the cooldown after it ends at "
        f"{until:%Y-%m-%d %H:%M}",
        until=until,
    )


def _cooldown(history: History, policy: Governor, _pipeline: str, as_of: datetime) -> _Answer | None:
    last = _last_judged(history)
    cooldown = cooldown_of(policy)
    if last is None or as_of >= last.at + cooldown:
        return None
    until = last.at + cooldown
    return _Answer(
        outcome="defer",
        reason=f"the last attempt was at {last.at:%Y-%m-%d %H:%M}; the cooldown of {cooldown} ends at "
        f"{until:%Y-%m-%d %H:%M}",
        until=until,
    )


def _budget(history: History, policy: Governor, _pipeline: str, as_of: datetime) -> _Answer | None:
    recent = _in_budget(history, as_of)
    if len(recent) < policy.max_per_month:
        return None
    until = recent[-policy.max_per_month] + BUDGET_SPAN
    return _Answer(
        outcome="defer",
        reason=f"{len(recent)} attempts in {BUDGET_SPAN.days} days, {policy.max_per_month} are allowed; "
        f"the next may run at {until:%Y-%m-%d %H:%M}",
        until=until,
    )


def _new_rows(history: History, policy: Governor, _pipeline: str, _as_of: datetime) -> _Answer | None:
    if history.new_rows >= policy.min_new_rows:
        return None
    return _Answer(
        outcome="defer",
        reason=f"{history.new_rows:,} new mature rows since the last attempt, {policy.min_new_rows:,} are needed",
        condition=f"at least {policy.min_new_rows} new mature rows",
    )


def _last_judged(history: History) -> Attempt | None:
    judged = [attempt for attempt in history.attempts if attempt.outcome in JUDGED]
    return max(judged, key=lambda attempt: attempt.at, default=None)


def _in_budget(history: History, as_of: datetime) -> list[datetime]:
    """Moments of the attempts that still count, oldest first (also those after `as_of`, when a replay goes back)."""
    return sorted(attempt.at for attempt in history.attempts if attempt.at > as_of - BUDGET_SPAN)
