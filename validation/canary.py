"""Do the compiled rules run? A few made-up rows are sent through the very query that files are.

A row of nothing but nulls must be set aside by every rule that forbids nulls, its twin by every rule of uniqueness; of
the plain rows beside them, each rule must set aside those that Pandera's own check refuses, and no others.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from validation.asking import Failed, ask, attempt
from validation.columns import RULES, Columns
from validation.dead_letter import Question, bad_rows, suspects
from validation.positions import ROW
from validation.rules import Rule

_PLAIN: dict[Any, tuple[Any, Any]] = {
    pl.String: ("", "a"),
    pl.Boolean: (False, True),
    pl.Date: (date(1970, 1, 1), date(2000, 2, 29)),
    pl.Time: (time(0), time(12, 30)),
    pl.Duration: (timedelta(0), timedelta(hours=1)),
}
_MOMENTS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 2, 29, 12, tzinfo=UTC))
_NULLS = 2  # rows of nothing but nulls: two, so that uniqueness can be broken
_TWIN = 4  # the row that is as the one before


def canary(schema: pl.Schema) -> pl.DataFrame:
    """Two rows of nothing but nulls, then two of plain values, and the last of them once more."""
    return pl.DataFrame([pl.Series(name, _cells(dtype), dtype=dtype) for name, dtype in schema.items()])


def dead_rules(rules: Sequence[Rule], columns: Columns) -> Iterator[str]:
    """One sentence for each rule that does not do its work; none when all is well."""
    rows = canary(columns.got)
    by_row = [rule for rule in rules if rule.kind == "row"]
    told = attempt(lambda: _told(by_row, columns, rows))
    if isinstance(told, Failed):
        # A check that fails on made-up values may be right about real ones: without it, then.
        by_row = [rule for rule in by_row if rule.must_fail]
        told = _told(by_row, columns, rows)
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


def _cells(dtype: pl.DataType) -> list[Any]:
    plain: tuple[Any, Any] = (None, None)
    if dtype.is_numeric() and not isinstance(dtype, pl.Decimal):
        plain = (0, 1)
    elif isinstance(dtype, pl.Datetime):
        plain = _MOMENTS if dtype.time_zone else (_MOMENTS[0].replace(tzinfo=None), _MOMENTS[1].replace(tzinfo=None))
    else:
        plain = _PLAIN.get(type(dtype), plain)
    return [*[None] * _NULLS, *plain, plain[1]]
