"""What a batch's rows say: every rule is asked of every row, the bad ones go to the dead letter. Decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from validation import dead_letter
from validation.asking import Failed, Outcome, ask, attempt, outcome, unasked
from validation.cells import samples
from validation.columns import ROW, Columns
from validation.errors import ContractError
from validation.plan import Plan
from validation.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """`outcomes`: of all rules, in their order. `bad`: rows in the dead letter. `newest`: event time of the newest row
    that is in reach.
    """

    outcomes: tuple[Outcome, ...]
    bad: int
    newest: datetime | None


def find(
    plan: Plan, scan: pl.LazyFrame, *, reach: Rule, rows: int, time: str, path: Path, wants_newest: bool
) -> Findings:
    """Ask the plan's rules, and `reach`, of a scan with `rows` rows. The dead letter is written to `path`."""
    columns, rules = plan.columns, (*plan.rules, reach)
    told = {item.rule.name: item for item in ask(rules, columns, scan, rows=rows)}
    told |= {item.rule.name: item for item in _warned(rules, columns, scan)}
    enforced = [rule for rule in rules if not rule.only_warns]
    found = {rule.name: told[rule.name].found for rule in enforced if rule.name in told}
    marked = {name: positions for name, positions in found.items() if positions is not None and len(positions)}
    bad, failed = _set_aside(columns, scan, enforced, marked, path)
    counts = dead_letter.counts(path) if bad else {}
    told |= {
        rule.name: outcome(rule, rows=counts.get(rule.name, 0)) for rule in enforced if rule.kind == "row"
    } | failed
    newest = columns.parsed(scan).select(pl.col(time).filter(~_broken(reach)).max()) if wants_newest else None
    return Findings(
        outcomes=tuple(told[rule.name] for rule in rules),
        bad=bad,
        newest=None if newest is None else newest.collect(engine="streaming").item(),
    )


def shown(item: Outcome, columns: Columns, scan: pl.LazyFrame, path: Path) -> tuple[str, ...]:
    """A few rows that break the rule, as text."""
    rule = item.rule
    if not rule.only_warns:
        return dead_letter.first_rows(path, rule)
    numbered = columns.without_nan(columns.prepared(scan.with_row_index(ROW)))
    if item.found is None:
        broken = numbered.filter(_broken(rule)).head(dead_letter.MAX_SAMPLES)
    else:
        first = item.found.head(dead_letter.MAX_SAMPLES)
        broken = numbered.filter(pl.col(ROW).is_in(first.implode()))
    cells = [raw for raw in columns.raw() if raw.meta.output_name() in rule.columns]
    return samples(broken.select(ROW, *cells).collect(engine="streaming"), position=ROW)


def _broken(rule: Rule) -> pl.Expr:
    assert rule.broken is not None, "row rules have an expression"  # noqa: S101
    return rule.broken


def _warned(rules: Sequence[Rule], columns: Columns, scan: pl.LazyFrame) -> list[Outcome]:
    """Row rules that only warn are counted on all rows: they send none to the dead letter."""
    warning = [rule for rule in rules if rule.only_warns and rule.kind == "row"]
    frame = columns.without_nan(columns.prepared(scan))
    counted = attempt(lambda: _counts(warning, frame)) if warning else []
    if not isinstance(counted, Failed):
        return [outcome(rule, rows=rows) for rule, rows in zip(warning, counted, strict=True)]
    return [_warned_alone(rule, frame) for rule in warning]


def _warned_alone(rule: Rule, frame: pl.LazyFrame) -> Outcome:
    counted = attempt(lambda: _counts([rule], frame))
    return unasked(rule, counted) if isinstance(counted, Failed) else outcome(rule, rows=counted[0])


def _counts(rules: Sequence[Rule], frame: pl.LazyFrame) -> list[int]:
    sums = [_broken(rule).sum().alias(str(number)) for number, rule in enumerate(rules)]
    return list(frame.select(sums).collect(engine="streaming").row(0))


def _set_aside(
    columns: Columns, scan: pl.LazyFrame, rules: Sequence[Rule], found: dict[str, pl.Series], path: Path
) -> tuple[int, dict[str, Outcome]]:
    """How many rows are bad, and the outcomes of row rules that could not be asked: all others are asked again."""
    written: Any = attempt(lambda: dead_letter.write(dead_letter.bad_rows(columns, scan, rules, found), path))
    if isinstance(written, Failed):
        careful = dead_letter.bad_rows(columns, scan, rules, found, careful=True)
        written = attempt(lambda: dead_letter.write(careful, path))
    if not isinstance(written, Failed):
        return written, {}
    failed = _that_fail(columns, scan, [rule for rule in rules if rule.kind == "row"])
    if not failed:
        raise ContractError(f"the file cannot be read: {written.why}; upload it again")
    left = [rule for rule in rules if rule.name not in failed]
    bad = dead_letter.bad_rows(columns, scan, left, found, careful=True)
    return dead_letter.write(bad, path), failed


def _that_fail(columns: Columns, scan: pl.LazyFrame, rules: Sequence[Rule]) -> dict[str, Outcome]:
    """Which rules cannot be asked; none when the file itself cannot be read."""
    if isinstance(attempt(lambda: [None for _ in scan.collect_batches()]), Failed):
        return {}
    frame = columns.without_nan(columns.prepared(scan))
    asked = ((rule, attempt(lambda rule=rule: _counts([rule], frame))) for rule in rules)  # type: ignore[misc]
    return {rule.name: unasked(rule, answer) for rule, answer in asked if isinstance(answer, Failed)}
