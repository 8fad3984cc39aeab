"""What a contract says, as one digest: the same in every process, another one as soon as a rule changes."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import polars as pl

from validation.recorder import is_builtin
from validation.rules import schema_of

_PLAIN = (str, bytes, int, float, bool, type(None), date, time, timedelta, Decimal)
_DEEPEST = 6  # functions within functions
_KEPT = 64  # fingerprints that are remembered
_known: dict[int, tuple[Any, str]] = {}


def contract_fingerprint(contract: Any) -> str:
    """sha256 over columns, types, nullability, uniqueness and checks: their values, and the source text of custom ones
    with the plain values that they use.

    A contract that cannot be read has a fingerprint as well, so that every verdict can carry one.
    """
    schema = schema_of(contract)
    if not hasattr(schema, "columns"):
        return _digest([repr(type(contract))])
    known = _known.get(id(schema))  # the schema is kept beside it, so that no other can take its id
    if known is None:
        while len(_known) >= _KEPT:
            _known.pop(next(iter(_known)), None)
        known = _known[id(schema)] = (schema, _digest(_schema(schema)))
    return known[1]


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _schema(schema: Any) -> dict[str, Any]:
    frame = ("coerce", "strict", "ordered", "unique", "add_missing_columns")
    return {
        "columns": [[name, _column(column)] for name, column in schema.columns.items()],
        "dtype": str(schema.dtype),
        "checks": [_check(check) for check in schema.checks],
        **{name: getattr(schema, name) for name in frame},
    }


def _column(column: Any) -> dict[str, Any]:
    kept = ("nullable", "unique", "coerce", "required", "regex")
    nested = getattr(column.dtype, "schema", None)
    return {
        "dtype": repr(column.dtype.type) if column.dtype is not None else "",
        "kind": str(column.dtype),
        "schema": _schema(nested) if nested is not None else None,
        "default": _plain(column.default),
        "checks": [_check(check) for check in column.checks],
        **{name: getattr(column, name) for name in kept},
    }


def _check(check: Any) -> dict[str, Any]:
    kept = ("name", "ignore_na", "raise_warning", "element_wise")
    told = {name: getattr(check, name) for name in kept}
    told["values"] = _plain({**check.statistics, **check._check_kwargs})  # noqa: SLF001  # Pandera's backends read it, too
    if not is_builtin(check):
        told["error"] = check.error  # Pandera's own are the values again, with sets in any order
        told["source"] = list(_sources(check._check_fn, 0))  # noqa: SLF001
    return told


def _plain(value: Any) -> Any:
    """The value as text, as far as it is the same in every process: no addresses, no order of sets."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, pl.Expr):
        return str(value)
    if isinstance(value, dict | set | frozenset):
        items = value.items() if isinstance(value, dict) else value
        return sorted(str(_plain(item)) for item in items)
    if isinstance(value, list | tuple | pl.Series):
        return [_plain(item) for item in value]
    pattern = getattr(value, "pattern", None)
    return pattern if isinstance(pattern, str) else type(value).__qualname__


def _sources(function: Any, depth: int) -> Iterator[Any]:
    """The text of a function and of those that it is made of, with the plain values that it uses."""
    if depth > _DEEPEST:
        return
    if isinstance(function, partial):
        yield _plain([function.args, function.keywords])
        yield from _sources(function.func, depth + 1)
    elif isinstance(function, MethodType | classmethod | staticmethod):
        yield from _sources(function.__func__, depth + 1)
    elif isinstance(function, FunctionType):
        yield _text(function)
        used = inspect.getclosurevars(function)
        for name, value in sorted({**used.globals, **used.nonlocals}.items()):
            yield from _used(name, value, depth)
    else:
        yield type(function).__qualname__


def _used(name: str, value: Any, depth: int) -> Iterator[Any]:
    inner = getattr(value, "check_fn", value)  # Pandera wraps the methods of a DataFrameModel in such an object
    if isinstance(inner, FunctionType | MethodType | partial | classmethod | staticmethod):
        yield [name, list(_sources(inner, depth + 1))]
    elif not inspect.ismodule(value) and not inspect.isclass(value):
        yield [name, _plain(value)]


def _text(function: Callable[..., Any]) -> Any:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code: CodeType = function.__code__
        return [code.co_code.hex(), _plain(code.co_consts), list(code.co_names)]
