"""The rules of a Pandera contract, one by one: each says for every row whether it holds. Decides nothing.

Pandera's own check functions are called, one rule at a time, on the eager frame. `schema.validate(lazy=True)` is not:
it keeps one failure case per broken cell (gigabytes when a whole file is bad), and one check that returns a plain
False crashes it. tests/unit/test_contract.py holds the two to the same answers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import polars as pl

CANARY_ROWS = 2  # two, so that uniqueness can be broken
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """One rule: `holds` gives a boolean for each row, or one boolean for a rule about the frame as a whole.

    `asks` is the rule in words. `columns` are shown in samples. `only_warns`: counted, but no row is set aside.
    `canary`: True when the rule must refuse the second of two rows that hold nothing but nulls.
    """

    name: str
    asks: str
    columns: tuple[str, ...]
    holds: Callable[[pl.DataFrame], pl.Series]
    only_warns: bool = False
    canary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a rule said: `broken` marks bad rows, or is None for a rule about the whole frame; `fault` is empty, or
    says why the whole frame breaks the rule or why the rule could not be asked.
    """

    rule: Rule
    broken: pl.Series | None = None
    fault: str = ""


def schema_of(contract: Any) -> Any:
    """The pandera.polars DataFrameSchema of a contract, which is one or a DataFrameModel."""
    return contract.to_schema() if hasattr(contract, "to_schema") else contract


def column_faults(got: pl.Schema, schema: Any, *, needed: Sequence[str]) -> list[str]:
    """One sentence for each column that is missing, of another type or (strict contracts) unexpected."""
    faults = []
    for name, column in schema.columns.items():
        wanted = column.dtype.type if column.dtype is not None else None
        if name not in got:
            if column.required or name in needed:
                faults.append(f"column {name!r} is missing: expected {wanted or 'any type'}, got none; deliver it")
        elif wanted is not None and got[name] != wanted:
            faults.append(
                f"column {name!r} has the wrong type: expected {wanted}, got {got[name]}; convert it upstream"
            )
    if schema.strict is True:
        faults += [
            f"column {name!r} is not in the strict contract: expected none, got {dtype}; drop it or add it"
            for name, dtype in got.items()
            if name not in schema.columns
        ]
    return faults


def own_rules(*, key: Sequence[str], time: str) -> list[Rule]:
    """What holds for every batch, whatever its contract says: a key in every row, once, and an event time."""
    return [*(_not_null(name) for name in (*key, time)), _unique(tuple(key))]


def with_own(asked: Sequence[Rule], *, key: Sequence[str], time: str) -> list[Rule]:
    """The contract's rules, and of our own those that it does not have."""
    names = {rule.name for rule in asked}
    return [*asked, *(rule for rule in own_rules(key=key, time=time) if rule.name not in names)]


def in_reach(time: str, *, as_of: datetime, ahead: timedelta) -> Rule:
    """The event time is neither before 1900 nor further than `ahead` after the data time.

    One row of the far future would make every window before it look judged; Python cannot even hold the year 10000.
    """
    latest = pl.lit(as_of, dtype=pl.Datetime("us", "UTC")) + ahead
    return Rule(
        name=f"{time}.in_reach",
        asks=f"not before 1900, and at most {ahead} after the data time: source.max_ahead",
        columns=(time,),
        holds=lambda frame: frame.select(pl.col(time).is_between(_EARLIEST, latest).fill_null(value=True)).to_series(),
    )


def rules_of(schema: Any, columns: Iterable[str]) -> list[Rule]:
    """The rules of a pandera.polars DataFrameSchema over the columns that the frame has; names are made unique."""
    present = set(columns)
    rules = [rule for name, column in schema.columns.items() if name in present for rule in _of_column(name, column)]
    uniques = schema.unique or []
    groups = [uniques] if all(isinstance(field, str) for field in uniques) else uniques
    rules += [_unique(tuple(fields)) for fields in groups if fields]
    rules += [_check(check, None) for check in schema.checks]
    return list(_numbered(rules))


def evaluate(rule: Rule, frame: pl.DataFrame) -> Outcome:
    """Ask one rule. Never raises: what user code raises becomes the outcome's fault."""
    try:
        holds = rule.holds(frame)
    except Exception as error:  # noqa: BLE001  # whatever a user's check raises belongs into the verdict
        return Outcome(rule=rule, fault=f"{rule.name} could not be evaluated: {type(error).__name__}: {error}"[:300])
    if holds.len() == frame.height:
        return Outcome(rule=rule, broken=~holds)
    if holds.len() != 1:
        return Outcome(rule=rule, fault=f"{rule.name} answered for {holds.len()} rows, the batch has {frame.height}")
    return Outcome(rule=rule, fault="" if holds.item() else f"the batch as a whole breaks {rule.name} ({rule.asks})")


def canary_lives(rules: Sequence[Rule], schema: pl.Schema) -> bool:
    """False when a row of nothing but nulls passes a rule that must refuse it: then the rules did not run."""
    canary = pl.DataFrame({name: [None] * CANARY_ROWS for name in schema}, schema=schema)
    outcomes = [evaluate(rule, canary) for rule in rules if rule.canary]
    return bool(outcomes) and all(outcome.broken is not None and outcome.broken[-1] for outcome in outcomes)


def _of_column(name: str, column: Any) -> Iterator[Rule]:
    if not column.nullable:
        yield _not_null(name)
    if column.unique:
        yield _unique((name,))
    for check in column.checks:
        yield _check(check, name)


def _not_null(name: str) -> Rule:
    return Rule(
        name=f"{name}.not_null",
        asks="neither null nor NaN",
        columns=(name,),
        holds=lambda frame: frame[name].is_not_null(),
        canary=True,
    )


def _unique(fields: tuple[str, ...]) -> Rule:
    """The first row of a value is kept, all later ones are set aside; null counts as a value, as in Pandera."""
    return Rule(
        name=f"{'+'.join(fields)}.unique",
        asks="each value once; the first in the file counts",
        columns=fields,
        holds=lambda frame: frame.select(pl.struct(fields).is_first_distinct()).to_series(),
        canary=True,
    )


def _check(check: Any, column: str | None) -> Rule:
    label = check.name if check.name and check.name != "<lambda>" else "check"
    return Rule(
        name=f"{column}.{label}" if column else label,
        asks=str(check.error or label)[:200],
        columns=(column,) if column else (),
        holds=partial(_ask_pandera, check, column),
        only_warns=check.raise_warning,
    )


def _ask_pandera(check: Any, column: str | None, frame: pl.DataFrame) -> pl.Series:
    """Pandera's answer with its rule for nulls (a null answer passes when the check ignores nulls)."""
    output: pl.LazyFrame = check(frame.lazy(), column).check_output
    return output.collect().to_series()


def _numbered(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Give the second rule of a name the suffix #2, and so on: `per_rule` limits must name one rule."""
    seen: Counter[str] = Counter()
    for rule in rules:
        seen[rule.name] += 1
        yield rule if seen[rule.name] == 1 else replace(rule, name=f"{rule.name}#{seen[rule.name]}")
