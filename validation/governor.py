"""May a retrain run now? Cooldown, budget, new rows, breaker and cord; a "not yet" is deferred, never forgotten."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from validation import governor_rules as rules
from validation.governor_policy import Governor, cooldown_of
from validation.governor_rules import (
    BREAKER,
    BUDGET_SPAN,
    CORD,
    JUDGED,
    NEW_ROWS,
    Attempt,
    AttemptOutcome,
    History,
    Objection,
    Rule,
)
from validation.verdict import Verdict

__all__ = [
    "BREAKER",
    "BUDGET_SPAN",
    "CORD",
    "JUDGED",
    "NEW_ROWS",
    "Attempt",
    "AttemptOutcome",
    "Governor",
    "GovernorVerdict",
    "History",
    "Objection",
    "budget_left",
    "cooldown_of",
    "earliest",
    "judge",
    "judge_without_rows",
    "objections",
]

# No cord and no breaker is passed by anybody. What rests on the ledger alone is asked before what needs a snapshot.
_LASTING: tuple[Rule, ...] = (rules.cord, rules.breaker)
_TIMED: tuple[Rule, ...] = (rules.rolled_back, rules.cooldown, rules.budget)
_WITHOUT_ROWS: tuple[Rule, ...] = (*_LASTING, *_TIMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorVerdict(Verdict):
    """outcome: "run" or "defer": ask again at `until`, or when `condition` holds. No wish is refused for good; in older
    ledgers "refuse" is one for which a person had to act.
    """

    kind: ClassVar[str] = "governor"

    until: datetime | None
    condition: str
    new_rows: int
    attempts_in_budget: int


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
    """Answer a request to retrain; the first rule that objects decides.

    A person's request (`by_hand`) passes every cooldown, the budget and the count of new rows; never the cord, the
    breaker, or a snapshot that was judged before. One that was `permitted` when it was asked for passes them too, but
    not the cooldown after a rollback, which may have come since. `subject` names the request: the intent's id.
    """
    asked = (
        *_LASTING,
        *(() if by_hand else (rules.rolled_back,)),
        *(() if by_hand or permitted else (rules.cooldown, rules.budget)),
        rules.same_snapshot,
        *(() if by_hand or permitted else (rules.new_rows,)),
    )
    no = next(_objections(asked, history, policy, pipeline, as_of), None)
    hand = ", asked by hand" if by_hand else ""
    return _verdict(
        no or Objection(reason=f"nothing objects: {history.new_rows:,} new rows{hand}"),
        history,
        outcome="defer" if no else "run",
        pipeline=pipeline,
        subject=subject,
        as_of=as_of,
    )


def judge_without_rows(
    history: History, *, policy: Governor, pipeline: str, subject: str, as_of: datetime
) -> GovernorVerdict | None:
    """The no that is one whatever has come since; None where it depends on the rows. For a history without a snapshot:
    to take one is expensive, and these rules do not look at it.
    """
    no = next(_objections(_WITHOUT_ROWS, history, policy, pipeline, as_of), None)
    found = {"outcome": "defer", "pipeline": pipeline, "subject": subject}
    return _verdict(no, history, **found, as_of=as_of) if no else None


def objections(history: History, *, policy: Governor, pipeline: str, as_of: datetime) -> tuple[Objection, ...]:
    """All that speaks against a retrain now, whatever rows there are: of each rule the objection it has."""
    return tuple(_objections(_WITHOUT_ROWS, history, policy, pipeline, as_of))


def earliest(history: History, *, policy: Governor, pipeline: str, as_of: datetime) -> datetime:
    """The first moment from `as_of` on at which neither cooldowns nor the budget object; cord, breaker and rows aside,
    of which nobody knows the end.
    """
    moment = as_of
    while ends := [item.until for item in _objections(_TIMED, history, policy, pipeline, moment) if item.until]:
        moment = max(ends)
    return moment


def budget_left(history: History, *, policy: Governor, as_of: datetime) -> int:
    """How many attempts the budget still allows at `as_of`; never below 0."""
    return max(policy.max_per_month - len(rules.in_budget(history, as_of)), 0)


def _verdict(
    answer: Objection, history: History, *, outcome: str, pipeline: str, subject: str, as_of: datetime
) -> GovernorVerdict:
    return GovernorVerdict(
        pipeline=pipeline,
        subject=subject,
        outcome=outcome,
        reasons=(answer.reason,),
        data_time=as_of,
        until=answer.until,
        condition=answer.condition,
        new_rows=history.new_rows,
        attempts_in_budget=len(rules.in_budget(history, as_of)),
    )


def _objections(
    asked: Iterable[Rule], history: History, policy: Governor, pipeline: str, as_of: datetime
) -> Iterator[Objection]:
    found = (rule(history, policy, pipeline, as_of) for rule in asked)
    return (objection for objection in found if objection is not None)
