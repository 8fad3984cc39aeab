"""Do the compiled rules run? A few made-up rows are sent through the very query that files are.

A row of nothing but nulls must be set aside by every rule that forbids nulls, its twin by every rule of uniqueness; of
the plain rows beside them, each rule must set aside those that Pandera's own check refuses, and no others.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from validation.asking import Failed, ask, attempt
from validation.columns import RULES, Columns
from validation.dead_letter import Question, bad_rows, suspects
from validation.made_up import made_up
from validation.positions import ROW
from validation.rules import Rule

_TWIN = 4  # the row that is as the one before


def dead_rules(rules: Sequence[Rule], columns: Columns) -> Iterator[str]:
    """One sentence for each rule that does not do its work; none when all is well."""
    rows = made_up(columns.got)
    by_row = [rule for rule in rules if rule.kind == "row"]
    told = attempt(lambda: _told(by_row, columns, rows))
    if isinstance(told, Failed):
        # A check that fails on made-up values may be right about real ones: without it, then.
        by_row = [rule for rule in by_row if rule.must_fail]
        told = attempt(lambda: _told(by_row, columns, rows))
    if isinstance(told, Failed):
        yield f"the rules could not be asked of made-up rows: {told.why}; report this"
        return
    for rule in by_row:
        if rule.must_fail and (0, rule.name) not in told:
            yield f"{rule.name} did not run: a row of nothing but nulls passed it; report this"
            continue
        expected = _pandera_says(rule, columns, rows)
        if expected is not None and expected != {row for row, name in told if name == rule.name}:
            yield f"{rule.name} and Pandera's own check disagree about made-up rows; report this"
    parsed = columns.parsed(rows.lazy()).collect()
    for outcome in ask([rule for rule in rules if rule.kind == "unique"], columns, rows.lazy(), rows=rows.height):
        twin = 1 if outcome.rule.origin else _TWIN
        can_tell = twin == 1 or None not in parsed.select(outcome.rule.columns).row(twin)
        if can_tell and (outcome.found is None or twin not in outcome.found):
            yield f"{outcome.rule.name} did not run: two equal rows passed it; report this"


def _told(rules: Sequence[Rule], columns: Columns, rows: pl.DataFrame) -> set[tuple[int, str]]:
    """Which row breaks which rule."""
    asked = Question(columns=columns, rules=tuple(rules), found={})
    let_through = suspects(asked, rows.lazy()).collect(engine="streaming")
    bad = bad_rows(asked, let_through.lazy()).select(ROW, RULES).collect(engine="streaming")
    return {(row, name) for row, names in bad.iter_rows() for name in names}


def _pandera_says(rule: Rule, columns: Columns, rows: pl.DataFrame) -> set[int] | None:
    """The rows that Pandera's own check refuses; None where it has no say."""
    from pandera.backends.polars.checks import PolarsCheckBackend
    from pandera.constants import CHECK_OUTPUT_KEY

    if rule.check is None:
        return None
    frame = columns.parsed(rows.lazy()).collect().lazy()
    result = attempt(lambda: ~PolarsCheckBackend(rule.check)(frame, rule.key).check_output.collect()[CHECK_OUTPUT_KEY])
    return None if isinstance(result, Failed) else set(result.arg_true())
