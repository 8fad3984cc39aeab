"""What differs between two contracts, or between a contract and data, and whom it breaks. Pure.

A change is breaking when data that kept the first contract may break the second (narrowed, retyped, a new column that
is needed), or when what reads the data loses a column. Widening breaks no delivery; a model may see new values by it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

What = Literal["added", "removed", "retyped", "widened", "narrowed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `column` is empty for a rule about the whole frame."""

    column: str
    what: What
    breaking: bool
    detail: str

    def __str__(self) -> str:
        about = f"column {self.column!r}" if self.column else "the frame"
        return f"{about} {self.what}{' (breaking)' if self.breaking else ''}: {self.detail}"


def compare_contracts(before: Any, after: Any) -> tuple[Change, ...]:
    """What the pandera.polars DataFrameSchema `after` asks otherwise than `before`."""
    changes: list[Change] = []
    for name in (*before.columns, *(name for name in after.columns if name not in before.columns)):
        changes += _column(name, before.columns.get(name), after.columns.get(name))
    changes += _flag("strict", bool(before.strict), bool(after.strict), "columns beside the contract's are refused")
    changes += _flag("ordered", before.ordered, after.ordered, "columns must come in the contract's order")
    changes += _keys(before.unique, after.unique)
    return (*changes, *_checks("", _named(before.checks), _named(after.checks)))


def compare_data(contract: Any, columns: Mapping[str, pl.DataType]) -> tuple[Change, ...]:
    """How the columns of data differ from what the DataFrameSchema `contract` asks for."""
    changes = []
    for name, column in contract.columns.items():
        wanted = column.dtype.type if column.dtype is not None else None
        got = columns.get(name)
        if got is None and not column.regex:
            changes.append(_change(name, "removed", column.required, f"the contract has {wanted}, the data has none"))
        elif got is not None and wanted is not None and got != wanted:
            changes.append(
                _change(name, "retyped", not _casts(contract, column), f"{wanted} in the contract, {got} came")
            )
    known = set(contract.columns)
    extra = [name for name in columns if name not in known and not _matches_regex(contract, name)]
    strict = contract.strict is True
    return (*changes, *(_change(name, "added", strict, f"{columns[name]} came, not in the contract") for name in extra))


def _change(column: str, what: What, breaking: bool, detail: str) -> Change:  # noqa: FBT001 - four words of one sentence
    return Change(column=column, what=what, breaking=breaking, detail=detail)


def _casts(contract: Any, column: Any) -> bool:
    return bool(contract.coerce or column.coerce)


def _matches_regex(contract: Any, name: str) -> bool:
    return any(column.regex and re.match(pattern, name) for pattern, column in contract.columns.items())


def _column(name: str, before: Any, after: Any) -> Iterator[Change]:
    if before is None:
        needed = after.required and after.default is None
        yield _change(name, "added", needed, f"{_type(after)}{', needed in every file' if needed else ', optional'}")
        return
    if after is None:
        yield _change(name, "removed", True, f"was {_type(before)}; features that read it fail")  # noqa: FBT003
        return
    if _type(before) != _type(after):
        yield _change(name, "retyped", True, f"{_type(before)} before, {_type(after)} now")  # noqa: FBT003
    yield from _narrower(name, "null", allowed_before=before.nullable, allowed_after=after.nullable)
    yield from _narrower(name, "repeated value", allowed_before=not before.unique, allowed_after=not after.unique)
    yield from _narrower(name, "missing column", allowed_before=not before.required, allowed_after=not after.required)
    yield from _checks(name, _named(before.checks), _named(after.checks))


def _type(column: Any) -> str:
    return str(column.dtype.type) if column.dtype is not None else "any type"


def _narrower(name: str, what: str, *, allowed_before: bool, allowed_after: bool) -> Iterator[Change]:
    if allowed_before and not allowed_after:
        yield _change(name, "narrowed", True, f"a {what} is refused now")  # noqa: FBT003
    if allowed_after and not allowed_before:
        yield _change(name, "widened", False, f"a {what} is allowed now")  # noqa: FBT003


def _flag(name: str, before: bool, after: bool, meaning: str) -> Iterator[Change]:  # noqa: FBT001 - as read
    if before != after:
        what: What = "narrowed" if after else "widened"
        yield _change("", what, after, f"{name}: {meaning}{' now' if after else ' no more'}")


def _keys(before: Any, after: Any) -> Iterator[Change]:
    if before != after:
        what: What = "widened" if not after else "narrowed" if not before else "changed"
        yield _change("", what, bool(after), f"unique: {before or 'nothing'} before, {after or 'nothing'} now")


def _named(checks: Any) -> dict[str, Any]:
    """Checks by name; those of one name are told apart by their place."""
    named: dict[str, Any] = {}
    for check in checks:
        name = check.name or "check"
        named[name if name not in named else f"{name}#{len(named)}"] = check
    return named


def _checks(column: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name, check in before.items():
        if name not in after:
            yield _change(column, "widened", False, f"{name} {_said(check)} is asked no more")  # noqa: FBT003
        elif _said(check) != _said(after[name]):
            what = _direction(check.statistics or {}, after[name].statistics or {})
            told = f"{name}: {_said(check)} before, {_said(after[name])} now"
            yield _change(column, what, what != "widened", told)
    for name, check in after.items():
        if name not in before:
            yield _change(column, "narrowed", True, f"{name} {_said(check)} is asked now")  # noqa: FBT003


def _said(check: Any) -> str:
    statistics = check.statistics or {}
    return ", ".join(f"{name}={value}" for name, value in statistics.items()) or "(as written)"


def _direction(before: Mapping[str, Any], after: Mapping[str, Any]) -> What:
    """Whether the same check allows more now, or less; "changed" where both, or nobody can say."""
    wider, narrower = False, False
    for key in before.keys() | after.keys():
        step = _step(key, before.get(key), after.get(key))
        if step is None:
            return "changed"
        wider, narrower = wider or step > 0, narrower or step < 0
    return "changed" if wider == narrower else "widened" if wider else "narrowed"


def _step(key: str, before: Any, after: Any) -> float | None:
    """Above 0 when `after` allows more, below when less, 0 when the same; None when that cannot be said."""
    if before == after:
        return 0.0
    if key in ("allowed_values", "forbidden_values"):
        more, fewer = set(after) - set(before), set(before) - set(after)
        if more and fewer:
            return None
        return (1.0 if more else -1.0) * (1 if key == "allowed_values" else -1)
    if key in ("include_min", "include_max"):
        return 1.0 if after else -1.0
    if key in ("min_value", "max_value"):
        return _compared(before, after, lower_is_wider=key == "min_value")
    return None


def _compared(before: Any, after: Any, *, lower_is_wider: bool) -> float | None:
    if before is None or after is None:
        return 1.0 if after is None else -1.0
    try:
        return 1.0 if (after < before) == lower_is_wider else -1.0
    except TypeError:
        return None
