"""A recorder in place of the LazyFrame that a Pandera check is called with: what its function selects is the rule.

So the meaning stays Pandera's. A check that does more than select (collects, joins, adds columns) is not recorded.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """Why a check could not be recorded."""

    why: str


def recorded(check: Any, key: str, schema: pl.Schema) -> pl.Expr | bool | Unrecorded:
    """What the check's function selects, or answers without looking at the rows."""
    function, names = function_of(check), [key]
    if key == "*" and is_builtin(check):
        names = schema.names()  # NOTE: "*" would also stand for the columns that our own query adds
    try:
        answers = [_ask(function, name, schema) for name in names]
    except _NotRecordedError as error:
        return Unrecorded(str(error))
    except Exception as error:  # noqa: BLE001  # user code; asked alone it says the same, as a fault of the rule
        return Unrecorded(f"it raises {type(error).__name__}")
    return answers[0] if len(answers) == 1 else pl.all_horizontal(*answers)


def is_builtin(check: Any) -> bool:
    """Whether the check is one of Pandera's own, such as `isin`."""
    return bool(check.is_builtin_check(getattr(check._check_fn, "__name__", None) or ""))  # noqa: SLF001


def function_of(check: Any) -> Callable[..., Any]:
    """What the check calls, with the values that it was made with."""
    import pandera.backends.polars.builtin_checks  # noqa: F401  # registers Pandera's own checks for Polars

    function = check._check_fn  # noqa: SLF001  # Pandera's backends read it, too
    if is_builtin(check):
        function = check.get_builtin_check_fn(function.__name__)
    return partial(function, **check._check_kwargs)  # noqa: SLF001


def _ask(function: Callable[..., Any], key: str, schema: pl.Schema) -> pl.Expr | bool:
    from pandera.api.polars.types import PolarsData

    notes: list[str] = []
    answer = function(PolarsData(_recorder(schema, notes), key))
    if notes:  # the function may have caught our exception
        raise _NotRecordedError(notes[0])
    if isinstance(answer, _Recorder):
        return answer.selected(schema)
    if isinstance(answer, bool):
        return answer
    raise _NotRecordedError(f"it answers with a {type(answer).__name__}")


class _NotRecordedError(BaseException):
    """No Exception, so that a check's own `except Exception` does not take it for its own."""


class _Recorder(pl.LazyFrame):
    """A LazyFrame that has columns and takes one select; all else is refused, and noted."""

    _MAY: frozenset[str] = frozenset(
        {"collect_schema", "columns", "dtypes", "lazy", "pipe", "schema", "select", "select_seq", "selected", "width"}
    )

    def __getattribute__(self, name: str) -> Any:
        if name in _Recorder._MAY or (name.startswith("__") and name.endswith("__")):
            return object.__getattribute__(self, name)
        raise _refuse(self, name)

    def collect_schema(self, **_: Any) -> pl.Schema:
        return pl.Schema(_part(self, "_own_schema"))

    @property
    def schema(self) -> pl.Schema:
        return self.collect_schema()

    @property
    def columns(self) -> list[str]:
        return self.collect_schema().names()

    @property
    def dtypes(self) -> list[pl.DataType]:
        return self.collect_schema().dtypes()

    @property
    def width(self) -> int:
        return len(self.collect_schema())

    def lazy(self) -> pl.LazyFrame:
        return self

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    def select(self, *exprs: Any, **named: Any) -> pl.LazyFrame:
        if _part(self, "_own_selected") is not None:
            raise _refuse(self, "a second select")
        return _recorder(_part(self, "_own_schema"), _part(self, "_own_notes"), (*exprs, *_named(named)))

    select_seq = select

    def selected(self, schema: pl.Schema) -> pl.Expr:
        """All that was selected, as one expression: true where all of it is."""
        inputs = _part(self, "_own_selected")
        if inputs is None:
            raise _NotRecordedError("it answers with the frame itself")
        if len(inputs) == 1 and isinstance(inputs[0], pl.Expr) and not inputs[0].meta.has_multiple_outputs():
            return inputs[0]
        width = len(pl.LazyFrame(schema=schema).select(*inputs).collect_schema())  # also finds twin names
        if not width:
            raise _NotRecordedError("it selects nothing")
        return pl.all_horizontal(*inputs)


def _recorder(schema: pl.Schema, notes: list[str], selected: tuple[Any, ...] | None = None) -> _Recorder:
    recorder = object.__new__(_Recorder)
    for name, value in (("_own_schema", schema), ("_own_notes", notes), ("_own_selected", selected)):
        object.__setattr__(recorder, name, value)
    return recorder


def _part(recorder: _Recorder, name: str) -> Any:
    return object.__getattribute__(recorder, name)


def _refuse(recorder: _Recorder, name: str) -> _NotRecordedError:
    notes: list[str] = _part(recorder, "_own_notes")
    notes.append(f"it uses {name} of the frame")
    return _NotRecordedError(notes[0])


def _named(named: dict[str, Any]) -> Iterable[pl.Expr]:
    for name, value in named.items():
        yield (
            value if isinstance(value, pl.Expr) else pl.col(value) if isinstance(value, str) else pl.lit(value)
        ).alias(name)
