"""Rules that cannot be asked of one row at a time: of other rows, of the whole frame, of repeated values, of Pandera.

Each is evaluated on all rows, before any bad row is filtered out. Nothing here raises for what a rule of a contract
does: it becomes the rule's fault.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import polars as pl

from validation.columns import Columns
from validation.recorder import function_of, is_builtin
from validation.rules import Rule
from validation.tracing import calls_python
from validation.uniqueness import Values, repeats

_MAX_FAULT = 300
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a rule said. `rows`: how many break it and are set aside; `failures`: how many failure cases Pandera would
    report, which differs for uniqueness (it reports the first of equal values, too) and for rules about the whole
    frame (one). `found`: their positions, of rules that are not asked row by row. `fault` is empty, or says why the
    whole frame breaks the rule, or why the rule could not be asked.
    """

    rule: Rule
    rows: int = 0
    failures: int = 0
    found: pl.Series | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a question could not be answered."""

    why: str


def attempt(question: Callable[[], T]) -> T | Failed:
    """The answer, or why there is none: what user code and Polars raise in a rule belongs into the verdict."""
    try:
        return question()
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001  # see above
        return Failed(f"{type(error).__name__}: {_first_line(error)}")


def outcome(rule: Rule, *, rows: int, failures: int | None = None, found: pl.Series | None = None) -> Outcome:
    """The outcome of a rule that `rows` rows break."""
    reported = rows if failures is None else failures
    at_most = rule.origin.at_most if rule.origin else None
    return Outcome(rule=rule, rows=rows, failures=reported if at_most is None else min(reported, at_most), found=found)


def unasked(rule: Rule, failed: Failed) -> Outcome:
    """The outcome of a rule that could not be asked."""
    return Outcome(rule=rule, failures=1, fault=f"{rule.name} could not be evaluated: {failed.why}"[:_MAX_FAULT])


def ask(rules: Sequence[Rule], columns: Columns, scan: pl.LazyFrame, *, rows: int) -> list[Outcome]:
    """Ask all rules that are not asked row by row of a scan with `rows` rows."""
    frame = columns.parsed(scan)
    told = [*_whole(_of(rules, "whole"), frame), *_masks(_of(rules, "mask"), frame, rows=rows)]
    for rule in rules:
        if rule.kind == "unique":
            found = repeats(_values(rule, columns, frame, rows=rows))
            told.append(outcome(rule, rows=len(found.later), failures=found.sharing, found=found.later))
        elif rule.kind in ("nested", "alone"):
            told.append(_left_to_pandera(rule, frame, rows=rows))
    return told


def _values(rule: Rule, columns: Columns, frame: pl.LazyFrame, *, rows: int) -> Values:
    return Values(
        frame=frame, fields=rule.columns, schema=columns.known, rows=rows, nulls_count=rule.origin is not None
    )


def _of(rules: Iterable[Rule], kind: str) -> list[Rule]:
    return [rule for rule in rules if rule.kind == kind]


def _whole(rules: Sequence[Rule], frame: pl.LazyFrame) -> Iterator[Outcome]:
    """All in one query; one by one where one of them fails."""
    for rule, answer in _together(rules, frame):
        if isinstance(answer, Failed):
            yield unasked(rule, answer)
        else:
            yield _about_all(rule, holds=not answer.item())


def _about_all(rule: Rule, *, holds: bool) -> Outcome:
    fault = "" if holds else f"the batch as a whole breaks {rule.name} ({rule.asks})"
    return Outcome(rule=rule, failures=0 if holds else 1, fault=fault)


def _masks(rules: Sequence[Rule], frame: pl.LazyFrame, *, rows: int) -> Iterator[Outcome]:
    """One bit for each row and rule is held."""
    for rule, answer in _together(rules, frame):
        yield unasked(rule, answer) if isinstance(answer, Failed) else _row_by_row(rule, answer, rows=rows)


def _together(rules: Sequence[Rule], frame: pl.LazyFrame) -> Iterator[tuple[Rule, pl.Series | Failed]]:
    broken = [rule.broken.alias(str(number)) for number, rule in enumerate(rules) if rule.broken is not None]
    if not broken:
        return
    answers = attempt(lambda: frame.select(broken).collect(engine="streaming"))
    for number, rule in enumerate(rules):
        if isinstance(answers, pl.DataFrame):
            yield rule, answers.to_series(number)
        else:
            alone = frame.select(broken[number])
            yield rule, attempt(lambda alone=alone: alone.collect(engine="streaming").to_series())  # type: ignore[misc]


def _row_by_row(rule: Rule, broken: pl.Series, *, rows: int) -> Outcome:
    if len(broken) != rows:
        fault = f"{rule.name} answered for {len(broken):,} rows, the batch has {rows:,}"
        return replace(outcome(rule, rows=0, failures=int(broken.sum())), fault=fault)
    found = broken.fill_null(value=False).arg_true()
    return outcome(rule, rows=len(found), found=found)


def _left_to_pandera(rule: Rule, frame: pl.LazyFrame, *, rows: int) -> Outcome:
    question = _nested if rule.kind == "nested" else _alone
    answer = attempt(lambda: question(rule, frame))
    if isinstance(answer, Failed):
        return unasked(rule, answer)
    if isinstance(answer, bool):
        return _about_all(rule, holds=answer)
    if len(answer) == 1 != rows:
        return _about_all(rule, holds=not answer.item())
    return _row_by_row(rule, answer, rows=rows)


def _alone(rule: Rule, frame: pl.LazyFrame) -> bool | pl.Series:
    """The check's own function, asked as Pandera asks it, without its failure cases; marks broken rows."""
    from pandera.api.polars.types import PolarsData

    # Pandera's own checks look at their column alone; what others look at, Polars finds out.
    seen = frame.select(rule.key) if is_builtin(rule.check) and rule.key != "*" else frame
    answer: Any = function_of(rule.check)(PolarsData(seen, rule.key))
    if isinstance(answer, bool):
        return answer
    if not isinstance(answer, pl.LazyFrame):
        what = f"it answers with a {type(answer).__name__}"
        raise TypeError(f"{what}; return True, False or data.lazyframe.select(...) with a boolean for each row")
    return ~_passed(answer, ignore_na=rule.check.ignore_na)


def _passed(answer: pl.LazyFrame, *, ignore_na: bool) -> pl.Series:
    """A check's answer in one column, with Pandera's rules for several columns and for nulls."""
    names = answer.collect_schema().names()
    holds = (
        pl.col(names[0]) if len(names) == 1 else pl.fold(pl.lit(value=True), lambda all_of, one: all_of & one, pl.all())
    )
    passed = (holds | holds.is_null()) if ignore_na else holds.fill_null(value=False)
    # Python code is called with whole columns, as Pandera does: it may look at other rows without saying so.
    engine: Literal["in-memory", "streaming"] = "streaming"
    if calls_python(answer.explain(optimized=False)):
        engine = "in-memory"
    collected = answer.select(passed).collect(engine=engine).to_series()
    if collected.dtype != pl.Boolean:
        raise TypeError(f"it answers with {collected.dtype}, not with booleans; compare in it")
    return collected


def _nested(rule: Rule, frame: pl.LazyFrame) -> bool | pl.Series:
    from pandera.api.polars.types import PolarsData
    from pandera.config import ValidationDepth, config_context
    from pandera.constants import CHECK_OUTPUT_KEY
    from pandera.errors import ParserError

    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            rule.check.try_coerce(PolarsData(frame.select(rule.key), rule.key))
    except ParserError as error:
        passed: pl.Series = error.parser_output[CHECK_OUTPUT_KEY]
        return ~passed
    return True


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
