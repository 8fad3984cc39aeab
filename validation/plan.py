"""A contract compiled for files of one shape: columns compared, checks traced, canaries asked. Made once.

The plan depends on the contract and the file's columns, never on its rows.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import polars as pl

from validation.canary import dead_rules
from validation.columns import Columns, compare
from validation.recorder import Unrecorded, is_builtin, recorded
from validation.rules import Rule, own_rules, rules_of, schema_of, with_own

_KEPT = 64  # plans that are remembered
_plans: OrderedDict[tuple[Any, ...], tuple[Any, "Plan"]] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """`faults`: why no file with these columns can be accepted; then there may be no rules."""

    columns: Columns
    rules: tuple[Rule, ...] = ()
    faults: tuple[str, ...] = ()


def plan_of(contract: Any, got: pl.Schema, *, key: Sequence[str], time: str, text: bool = False) -> Plan:
    """The plan for files with columns `got`; `text`: all are text, to be read as the contract's types."""
    schema = schema_of(contract)
    shape = (id(schema), tuple(got.items()), tuple(key), time, text)
    with _lock:
        # The contract is kept beside its plan, so that no other can take its id.
        _, plan = _plans.get(shape, (None, None))
    if plan is None or not _is_current(plan):
        plan = compiled(schema, got, key=key, time=time, text=text)
    with _lock:
        _plans[shape] = (schema, plan)
        _plans.move_to_end(shape)
        while len(_plans) > _KEPT:
            _plans.popitem(last=False)
    return plan


def compiled(schema: Any, got: pl.Schema, *, key: Sequence[str], time: str, text: bool = False) -> Plan:
    """The same, made anew."""
    columns = compare(schema, got, needed=(*key, time), text=text)
    if faults := [*columns.faults, *_unfit(columns, key=key, time=time)]:
        return Plan(columns=columns, faults=tuple(faults))
    asked = rules_of(schema, columns)
    if not asked:
        return Plan(columns=columns, faults=("the contract has no rules, so it proves nothing: add checks to it",))
    rules = with_own(asked, own_rules(key=key, time=time, columns=columns))
    plan = Plan(columns=columns, rules=rules)
    return replace(plan, faults=tuple(dead_rules(rules, columns)))


def _unfit(columns: Columns, *, key: Sequence[str], time: str) -> list[str]:
    """What our own rules need of the columns, whatever the contract says."""
    if columns.faults:
        return []
    faults = [
        f"column {name!r} is missing: the key and the event time are needed; deliver it"
        for name in dict.fromkeys((*key, time))
        if name not in columns.known
    ]
    found = columns.known.get(time)
    if found is not None and not (isinstance(found, pl.Datetime) and found.time_zone == "UTC"):
        faults.append(
            f"column {time!r} is the event time: expected a Datetime in UTC, got {found}; convert it upstream"
        )
    return faults


def _is_current(plan: Plan) -> bool:
    """Whether custom checks still ask what they asked: some look at the clock, or at a list that changed."""
    return all(_asks_the_same(rule, plan.columns.known) for rule in plan.rules)


def _asks_the_same(rule: Rule, known: pl.Schema) -> bool:
    if rule.traced is None or rule.traced.answer is None or rule.check.element_wise or is_builtin(rule.check):
        return True
    before, now = rule.traced.recorded, recorded(rule.check, rule.key, known)
    if isinstance(now, bool | Unrecorded) or isinstance(before, bool | None):
        return now is before
    return before.meta.eq(now)
