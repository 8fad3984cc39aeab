"""What a batch's rows say: every rule is asked of every row, the bad ones go to the dead letter. Decides nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from validation import dead_letter
from validation.asking import Failed, Outcome, ask, attempt, outcome, unasked
from validation.cells import told
from validation.columns import Columns
from validation.plan import Plan
from validation.positions import ROW, Marked
from validation.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """`outcomes`: of all rules, in their order; `samples`: a few broken rows as text, by rule. `bad`: rows in the dead
    letter. `newest`: event time of the newest row that is in reach.
    """

    outcomes: tuple[Outcome, ...]
    samples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bad: int
    newest: datetime | None


def find(
    plan: Plan, scan: pl.LazyFrame, *, reach: Rule, rows: int, time: str, path: Path, wants_newest: bool
) -> Findings:
    """Ask the plan's rules, and `reach`, of a scan with `rows` rows. The dead letter is written to `path`."""
    columns, rules = plan.columns, (*plan.rules, reach)
    said = {item.rule.name: item for item in (*ask(rules, columns, scan, rows=rows), *_warned(rules, columns, scan))}
    enforced = [rule for rule in rules if not rule.only_warns]
    found = {rule.name: said[rule.name].found for rule in enforced if rule.name in said}
    marked = {
        name: Marked(name=name, positions=positions, rows=rows)
        for name, positions in found.items()
        if positions is not None and len(positions)
    }
    asked = dead_letter.Question(columns=columns, rules=tuple(enforced), found=marked)
    bad, failed = _set_aside(asked, scan, path)
    broken = dead_letter.broken_rules(path, [rule.name for rule in enforced]) if bad else {}
    samples = dead_letter.samples(path, broken, {rule.name: rule.columns for rule in enforced}) if bad else {}
    said |= {rule.name: outcome(rule, rows=_rows(broken, rule)) for rule in enforced if rule.kind == "row"} | failed
    newest = columns.parsed(scan).select(pl.col(time).filter(~_broken(reach)).max()) if wants_newest else None
    return Findings(
        outcomes=tuple(said[rule.name] for rule in rules),
        samples=samples | dict(_warned_samples(said.values(), columns, scan)),
        bad=bad,
        newest=None if newest is None else newest.collect(engine="streaming").item(),
    )


def is_readable(scan: pl.LazyFrame) -> bool:
    """Whether the file can be read to its end, without asking anything of it."""
    return not isinstance(attempt(lambda: [None for _ in scan.collect_batches()]), Failed)


def _rows(broken: Mapping[str, dead_letter.Broken], rule: Rule) -> int:
    return broken[rule.name].rows if rule.name in broken else 0


def _broken(rule: Rule) -> pl.Expr:
    assert rule.broken is not None, "row rules have an expression"  # noqa: S101
    return rule.broken


def _warned_samples(
    outcomes: Sequence[Outcome] | Any, columns: Columns, scan: pl.LazyFrame
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Rows that break a rule that only warns: they are in no dead letter."""
    numbered = columns.without_nan(columns.prepared(scan.with_row_index(ROW)))
    for item in outcomes:
        rule = item.rule
        if not rule.only_warns or not item.rows:
            continue
        if item.found is None:
            broken = numbered.filter(_broken(rule)).head(dead_letter.MAX_SAMPLES)
        else:
            broken = numbered.filter(pl.col(ROW).is_in(item.found.head(dead_letter.MAX_SAMPLES).implode()))
        cells = [raw for raw in columns.raw(is_without_nan=True) if raw.meta.output_name() in rule.columns]
        yield rule.name, told(broken.select(ROW, *cells).collect(engine="streaming"))


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


def _set_aside(asked: dead_letter.Question, scan: pl.LazyFrame, path: Path) -> tuple[int, dict[str, Outcome]]:
    """How many rows are bad, and the outcomes of row rules that could not be asked: all others are asked again."""
    written: Any = attempt(lambda: dead_letter.write(asked, scan, path))
    if isinstance(written, Failed):
        asked = replace(asked, careful=True)
        written = attempt(lambda: dead_letter.write(asked, scan, path))
    if not isinstance(written, Failed):
        return written, {}
    failed = _that_fail(asked.columns, scan, [rule for rule in asked.rules if rule.kind == "row"])
    left = tuple(rule for rule in asked.rules if rule.name not in failed)
    return dead_letter.write(replace(asked, rules=left), scan, path), failed


def _that_fail(columns: Columns, scan: pl.LazyFrame, rules: Sequence[Rule]) -> dict[str, Outcome]:
    """Which rules cannot be asked; none when it is for another reason that the query failed."""
    if not is_readable(scan):
        return {}
    frame = columns.without_nan(columns.prepared(scan))
    asked = ((rule, attempt(lambda rule=rule: _counts([rule], frame))) for rule in rules)  # type: ignore[misc]
    return {rule.name: unasked(rule, answer) for rule, answer in asked if isinstance(answer, Failed)}
