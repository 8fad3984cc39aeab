"""What does a Pandera check ask? Its own function is called with a recorder in place of the LazyFrame.

What the function selects is the rule, so the meaning stays Pandera's. Judges no data. A check that does more than
select (collects, joins, adds columns) is not recorded: it is asked alone, as it is. What cannot be proven to look at
one row at a time is never taken for such.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import polars as pl

HELPER = "_andon "  # how names of columns that only our own queries have begin
_CANARY_ROWS = 3
_UDF = "python_udf("

Kind = Literal["row", "mask", "whole", "alone"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traced:
    """What a check asks. `kind`: "row": of each row by itself; "mask": of each row, looking at others or at all
    columns; "whole": of the frame as a whole; "alone": only Pandera can ask it, and `why`.

    `answer`: the recorded expression, or the plain answer of a check that looks at no row; `recorded`: as it was
    recorded, before it was made one column.
    """

    kind: Kind
    answer: pl.Expr | bool | None = None
    recorded: pl.Expr | bool | None = None
    why: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the expression reads; none when it is not known."""
        return tuple(dict.fromkeys(self.answer.meta.root_names())) if isinstance(self.answer, pl.Expr) else ()


def trace(check: Any, key: str, schema: pl.Schema) -> Traced:
    """What `check` asks of a frame with the columns of `schema`; `key`: its column, or "*" for the whole frame."""
    if check.element_wise:
        names = [key] if key != "*" else schema.names()
        return Traced(kind="row", answer=_all([_each_cell(check, name) for name in names]))
    answer = recorded(check, key, schema)
    if isinstance(answer, Unrecorded):
        return Traced(kind="alone", why=answer.why)
    if isinstance(answer, bool):
        return Traced(kind="whole", answer=answer, recorded=answer)
    return replace(_classified(answer, schema), recorded=answer)


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


def calls_python(plan: str) -> bool:
    """Whether an expression or plan, as text, runs Python code, of which nobody knows what it looks at."""
    return _UDF in plan


def function_of(check: Any) -> Callable[..., Any]:
    """What the check calls, with the values that it was made with."""
    import pandera.backends.polars.builtin_checks  # noqa: F401  # registers Pandera's own checks for Polars

    function = check._check_fn  # noqa: SLF001  # Pandera's backends read it, too
    if is_builtin(check):
        function = check.get_builtin_check_fn(function.__name__)
    return partial(function, **check._check_kwargs)  # noqa: SLF001


def _each_cell(check: Any, name: str) -> pl.Expr:
    return pl.col(name).map_elements(function_of(check), return_dtype=pl.Boolean)


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


def _all(answers: Sequence[pl.Expr]) -> pl.Expr:
    return answers[0] if len(answers) == 1 else pl.all_horizontal(*answers)


def _classified(answer: pl.Expr, schema: pl.Schema) -> Traced:
    try:
        asked = pl.LazyFrame(schema=schema).select(answer).collect_schema()
        if set(asked.dtypes()) != {pl.Boolean()}:
            return Traced(kind="alone", why="it answers with something else than true or false")
        answer = answer if len(asked) == 1 else pl.all_horizontal(answer)
        if calls_python(str(answer)):
            return Traced(kind="alone", why="it calls Python")
        heights = [pl.DataFrame(schema=schema).clear(rows).select(answer).height for rows in (0, _CANARY_ROWS)]
    except Exception as error:  # noqa: BLE001  # asked alone, it becomes a fault of the rule
        return Traced(kind="alone", why=f"it cannot be planned: {type(error).__name__}")
    return _by_heights(answer, schema, heights)


def _by_heights(answer: pl.Expr, schema: pl.Schema, heights: Sequence[int]) -> Traced:
    if list(heights) == [1, 1]:
        return Traced(kind="whole", answer=answer)
    if list(heights) != [0, _CANARY_ROWS] or not _keeps_length(answer):
        return Traced(kind="alone", why="it answers for another number of rows")
    if _looks_at_one_row(answer, schema):
        return Traced(kind="row", answer=answer)
    return Traced(kind="mask", answer=answer, why="it looks at other rows or at all columns")


def _keeps_length(answer: pl.Expr) -> bool:
    try:
        return answer.meta.is_length_preserving()
    except pl.exceptions.PolarsError:  # Polars does not say it of expressions over unnamed columns, such as pl.all()
        return True


def _looks_at_one_row(answer: pl.Expr, schema: pl.Schema) -> bool:
    """Whether Polars itself would filter rows before it evaluates the expression: then it looks at one row at a time.

    Beside the columns that the check knows of stand helpers of every type; it must not mean these, either.
    """
    helpers = {f"{HELPER}{number}": dtype for number, dtype in enumerate({*schema.values(), pl.Boolean()})}
    first = {f"{HELPER}first": pl.UInt32()}
    probe = pl.LazyFrame(schema={**first, **schema, f"{HELPER}kept": pl.Boolean(), **helpers})
    try:
        kept = probe.with_columns(answer.alias(f"{HELPER}answer")).filter(f"{HELPER}kept")
        plan = kept.select(f"{HELPER}answer").explain()
    except pl.exceptions.PolarsError:
        return False
    made, filtered = plan.find("WITH_COLUMNS"), plan.find("FILTER")
    own = (f"{HELPER}answer", f"{HELPER}kept")
    named = plan.replace(own[0], "").replace(own[1], "")[:filtered]
    return 0 <= made < filtered and HELPER not in named


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
