"""What does a Pandera check ask: of each row by itself, of each among others, of the frame, or what only it can ask?

Judges no data. What cannot be proven to look at one row at a time is never taken for such.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import polars as pl

from validation.recorder import Unrecorded, function_of, recorded

HELPER = "_andon "  # how names of columns that only our own queries have begin
_SOME = 3
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probes:
    """Frames to try expressions on: with no rows, with some, and with the columns of our own queries around."""

    schema: pl.Schema
    none: pl.DataFrame
    some: pl.DataFrame
    among_helpers: pl.LazyFrame

    @classmethod
    def of(cls, schema: pl.Schema) -> Self:
        """Probes with the columns of `schema`."""
        none = pl.DataFrame(schema=schema)
        helpers = {f"{HELPER}{number}": dtype for number, dtype in enumerate({*schema.values(), pl.Boolean()})}
        first, last = {f"{HELPER}first": pl.UInt32()}, {f"{HELPER}kept": pl.Boolean(), **helpers}
        among = pl.LazyFrame(schema={**first, **schema, **last})
        return cls(schema=schema, none=none, some=none.clear(_SOME), among_helpers=among)


def trace(check: Any, key: str, probes: Probes) -> Traced:
    """What `check` asks of a frame with the columns of the probes; `key`: its column, or "*" for the whole frame."""
    if check.element_wise:
        names = [key] if key != "*" else probes.schema.names()
        return Traced(kind="row", answer=_all([_each_cell(check, name) for name in names]))
    answer = recorded(check, key, probes.schema)
    if isinstance(answer, Unrecorded):
        return Traced(kind="alone", why=answer.why)
    if isinstance(answer, bool):
        return Traced(kind="whole", answer=answer, recorded=answer)
    return replace(_classified(answer, probes), recorded=answer)


def calls_python(plan: str) -> bool:
    """Whether an expression or plan, as text, runs Python code, of which nobody knows what it looks at."""
    return _UDF in plan


def _each_cell(check: Any, name: str) -> pl.Expr:
    return pl.col(name).map_elements(function_of(check), return_dtype=pl.Boolean)


def _all(answers: Sequence[pl.Expr]) -> pl.Expr:
    return answers[0] if len(answers) == 1 else pl.all_horizontal(*answers)


def _classified(answer: pl.Expr, probes: Probes) -> Traced:
    try:
        asked = probes.none.lazy().select(answer).collect_schema()
        if set(asked.dtypes()) != {pl.Boolean()}:
            return Traced(kind="alone", why="it answers with something else than true or false")
        answer = answer if len(asked) == 1 else pl.all_horizontal(answer)
        if calls_python(str(answer)):
            return Traced(kind="alone", why="it calls Python")
        heights = [frame.select(answer).height for frame in (probes.none, probes.some)]
    except Exception as error:  # noqa: BLE001  # asked alone, it becomes a fault of the rule
        return Traced(kind="alone", why=f"it cannot be planned: {type(error).__name__}")
    return _by_heights(answer, probes, heights)


def _by_heights(answer: pl.Expr, probes: Probes, heights: Sequence[int]) -> Traced:
    if list(heights) == [1, 1]:
        return Traced(kind="whole", answer=answer)
    if list(heights) != [0, probes.some.height] or not _keeps_length(answer):
        return Traced(kind="alone", why="it answers for another number of rows")
    if _looks_at_one_row(answer, probes):
        return Traced(kind="row", answer=answer)
    return Traced(kind="mask", answer=answer, why="it looks at other rows or at all columns")


def _keeps_length(answer: pl.Expr) -> bool:
    try:
        return answer.meta.is_length_preserving()
    except pl.exceptions.PolarsError:  # Polars does not say it of expressions over unnamed columns, such as pl.all()
        return True


def _looks_at_one_row(answer: pl.Expr, probes: Probes) -> bool:
    """Whether Polars itself would filter rows before it evaluates the expression: then it looks at one row at a time.

    Beside the columns that the check knows of stand helpers of every type; it must not mean these, either.
    """
    try:
        kept = probes.among_helpers.with_columns(answer.alias(f"{HELPER}answer")).filter(f"{HELPER}kept")
        plan = kept.select(f"{HELPER}answer").explain()
    except pl.exceptions.PolarsError:
        return False
    made, filtered = plan.find("WITH_COLUMNS"), plan.find("FILTER")
    own = (f"{HELPER}answer", f"{HELPER}kept")
    named = plan.replace(own[0], "").replace(own[1], "")[:filtered]
    return 0 <= made < filtered and HELPER not in named
