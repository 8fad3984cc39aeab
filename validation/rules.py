"""The rules of a Pandera contract, one by one, and our own beside them. Reads no data, decides nothing.

Each check of the contract is traced once (validation/tracing.py); names are made unique, since limits name rules.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

import polars as pl

from validation.columns import Columns
from validation.conversion import dtype_of, is_schema
from validation.tracing import Probes, Traced, trace

Kind = Literal["row", "mask", "whole", "unique", "nested", "alone"]
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_SHOWN = 4  # columns in a sample of a rule over many
_MAX_ASKS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where Pandera would report the rule: column, check in words, the check's number, and at most how often."""

    column: str | None
    check: str
    index: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """One rule. `kind`: "row" rules are asked of every row in one pass; "mask" rules look at other rows, "whole" rules
    at the frame, "unique" at the values of `columns`; "nested" (a schema in a struct) and "alone" are left to Pandera.

    `broken`: true where a row, or for "whole" the frame, breaks it; false or null where it does not. `asks` is the rule
    in words, `columns` are shown in samples. `only_warns`: counted, but no row is set aside. `must_fail`: a row of
    nothing but nulls (for "unique": two) breaks it. `check`, `key`: what is left to Pandera, and `why`.
    """

    name: str
    asks: str
    kind: Kind
    columns: tuple[str, ...] = ()
    broken: pl.Expr | None = None
    only_warns: bool = False
    must_fail: bool = False
    check: Any = None
    key: str = "*"
    why: str = ""
    traced: Traced | None = None
    origin: Origin | None = None


def schema_of(contract: Any) -> Any:
    """The pandera.polars DataFrameSchema of a contract, which is one or a DataFrameModel."""
    return contract.to_schema() if hasattr(contract, "to_schema") else contract


def rules_of(schema: Any, columns: Columns) -> list[Rule]:
    """The rules of a pandera.polars DataFrameSchema over the columns that the file has."""
    probes = Probes.of(columns.known)
    rules = [rule for name, column in columns.governed for rule in _of_column(schema, name, column, columns, probes)]
    rules += [_unique(fields, origin=Origin(column=schema.name, check="multiple_fields_uniqueness"))
              for fields in _groups(schema, columns.known.names())]  # fmt: skip
    rules += [_of_check(check, None, index, probes, origin=schema.name) for index, check in enumerate(schema.checks)]
    return rules


def own_rules(*, key: Sequence[str], time: str, columns: Columns) -> list[Rule]:
    """What holds for every batch, whatever its contract says: a key in every row, once, and an event time."""
    return [*(_not_null(name, columns) for name in dict.fromkeys((*key, time))), _unique(tuple(key))]


def with_own(asked: Sequence[Rule], own: Sequence[Rule]) -> tuple[Rule, ...]:
    """The contract's rules, and of our own those that it does not have; a check that only has such a name is none."""
    there = {(rule.asks, rule.columns) for rule in asked if rule.check is None}
    return tuple(_numbered([*asked, *(rule for rule in own if (rule.asks, rule.columns) not in there)]))


def in_reach(time: str, *, as_of: datetime, ahead: timedelta, taken: Sequence[Rule] = ()) -> Rule:
    """The event time is neither before 1900 nor further than `ahead` after the data time.

    One row of the far future would make every window before it look judged; Python cannot even hold the year 10000.
    """
    latest = pl.lit(as_of, dtype=pl.Datetime("us", "UTC")) + ahead
    holds = pl.col(time).is_between(_EARLIEST, latest).fill_null(value=True)
    *_, name = _unique_names([*(rule.name for rule in taken), f"{time}.in_reach"])
    return Rule(
        name=name,
        asks=f"not before 1900, and at most {ahead} after the data time: source.max_ahead",
        kind="row",
        columns=(time,),
        broken=~holds,
    )


def rule_names(schema: Any, *, key: Sequence[str], time: str) -> list[str]:
    """The names of all rules that a file can break, for limits to name; columns of a pattern by the pattern."""
    names = [name for column, item in schema.columns.items() for name in _names_of_column(schema, column, item)]
    names += [f"{'+'.join(fields)}.unique" for fields in _groups(schema, None)]
    names += [_label(check) for check in schema.checks]
    counted = list(_unique_names(names))
    own = [*(f"{name}.not_null" for name in (*key, time)), f"{'+'.join(key)}.unique", f"{time}.in_reach"]
    return sorted({*counted, *own})


def is_named(name: str, names: Sequence[str], schema: Any) -> bool:
    """Whether a file can have a rule of this name; the columns of a pattern are named by themselves there."""
    column, _, rest = name.partition(".")
    patterns = [pattern for pattern, item in schema.columns.items() if item.regex and re.fullmatch(pattern, column)]
    return name in names or any(f"{pattern}.{rest}" in names for pattern in patterns)


def _names_of_column(schema: Any, name: str, column: Any) -> Iterator[str]:
    if dtype_of(schema, column) is not None:
        yield f"{name}.type"
    if is_schema(dtype_of(schema, column)):
        yield f"{name}.schema"
    if not column.nullable:
        yield f"{name}.not_null"
    if column.unique:
        yield f"{name}.unique"
    yield from (f"{name}.{_label(check)}" for check in column.checks)


def _of_column(schema: Any, name: str, column: Any, columns: Columns, probes: Probes) -> Iterator[Rule]:
    dtype, typed = dtype_of(schema, column), columns.is_typed(name)
    if typed is not None:
        yield _typed(name, typed, dtype, schema)
    if is_schema(dtype):
        yield _nested(name, dtype, schema)
    if not column.nullable:
        yield _not_null(name, columns)
    if column.unique:
        yield _unique((name,), origin=Origin(column=name, check="field_uniqueness"))
    for index, check in enumerate(column.checks):
        yield _of_check(check, name, index, probes, origin=name)


def _typed(name: str, typed: pl.Expr, dtype: Any, schema: Any) -> Rule:
    wanted = dtype.type if dtype is not None else "a number"
    check = f"coerce_dtype('{ {key: column.dtype for key, column in schema.columns.items()} }')"
    return Rule(
        name=f"{name}.type", asks=f"can be read as {wanted}", kind="row", columns=(name,), broken=~typed,
        origin=Origin(column=schema.name, check=check),
    )  # fmt: skip


def _nested(name: str, dtype: Any, schema: Any) -> Rule:
    check = f"coerce_dtype('{ {key: column.dtype for key, column in schema.columns.items()} }')"
    return Rule(
        name=f"{name}.schema", asks="keeps the schema of its fields", kind="nested", columns=(name,), check=dtype,
        key=name, why="a schema inside a struct is left to Pandera", origin=Origin(column=schema.name, check=check),
    )  # fmt: skip


def _not_null(name: str, columns: Columns) -> Rule:
    missing, typed = pl.col(name).is_null(), columns.is_typed(name)
    return Rule(
        name=f"{name}.not_null", asks="neither null nor NaN", kind="row", columns=(name,),
        must_fail=not columns.is_filled(name),
        broken=missing if typed is None else missing & typed, origin=Origin(column=name, check="not_nullable"),
    )  # fmt: skip


def _unique(fields: tuple[str, ...], *, origin: Origin | None = None) -> Rule:
    """The first row of a value is kept, all later ones are set aside.

    Null counts as a value, as in Pandera; for our own rule about keys, which has no origin, it is no key.
    """
    return Rule(
        name=f"{'+'.join(fields)}.unique", asks="each value once; the first in the file counts", kind="unique",
        columns=fields, must_fail=True, origin=origin,
    )  # fmt: skip


def _groups(schema: Any, present: Sequence[str] | None) -> list[tuple[str, ...]]:
    uniques = schema.unique or []
    groups = [uniques] if all(isinstance(field, str) for field in uniques) else uniques
    there = (tuple(field for field in fields if present is None or field in present) for fields in groups)
    return [fields for fields in there if fields]


def _of_check(check: Any, column: str | None, index: int, probes: Probes, *, origin: str | None) -> Rule:
    key = column or "*"
    traced = trace(check, key, probes)
    label = _label(check)
    return Rule(
        name=f"{column}.{label}" if column else label,
        asks=str(check.error or label)[:_MAX_ASKS],
        kind=traced.kind,
        columns=(column,) if column else traced.columns[:_SHOWN],
        broken=_broken(traced, ignore_na=check.ignore_na),
        only_warns=check.raise_warning,
        check=check,
        key=key,
        why=traced.why,
        traced=traced,
        origin=Origin(
            column=origin, check=str(check.error or check.name or check), index=index, at_most=check.n_failure_cases
        ),
    )


def _broken(traced: Traced, *, ignore_na: bool) -> pl.Expr | None:
    """A null answer passes when the check ignores nulls, and fails when it does not.

    NOTE: never `answer | answer.is_null()`, as Pandera writes it: that evaluates every regex twice.
    """
    if traced.answer is None:
        return None
    broken = ~(pl.lit(traced.answer) if isinstance(traced.answer, bool) else traced.answer)
    return broken if ignore_na else broken.fill_null(value=True)


def _label(check: Any) -> str:
    return str(check.name) if check.name and check.name != "<lambda>" else "check"


def _numbered(rules: Sequence[Rule]) -> Iterator[Rule]:
    """Give the second rule of a name the suffix #2, and so on: `per_rule` limits must name one rule."""
    for rule, name in zip(rules, _unique_names(rule.name for rule in rules), strict=True):
        yield replace(rule, name=name)


def _unique_names(names: Iterable[str]) -> Iterator[str]:
    seen = set[str]()
    for name in names:
        numbered = (name if number == 1 else f"{name}#{number}" for number in count(1))
        free = next(candidate for candidate in numbered if candidate not in seen)
        seen.add(free)
        yield free
