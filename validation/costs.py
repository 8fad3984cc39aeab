"""What the rules cost that cannot be asked of all rows in the one pass: measured on a small made-up frame."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from validation.asking import ask
from validation.made_up import made_up
from validation.plan import compiled
from validation.rules import Rule, schema_of

ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one rule. `why` it is not asked in the one pass; how many further `scans` it needs, and of which `columns`;
    `milliseconds` for 10,000 rows.
    """

    rule: str
    why: str
    scans: int
    columns: tuple[str, ...]
    milliseconds: float


def costs(contract: Any, *, key: Sequence[str], time: str, clock: Callable[[], float]) -> tuple[Cost, ...]:
    """Of all rules that need a pass of their own. `clock` gives seconds. Columns of patterns are not looked at."""
    schema = schema_of(contract)
    typed = {name: column.dtype for name, column in schema.columns.items() if not column.regex}
    declared = pl.Schema({name: dtype.type if dtype is not None else pl.String for name, dtype in typed.items()})
    plan = compiled(schema, declared, key=key, time=time)
    rows = made_up(declared)
    frame = pl.concat([rows] * (ROWS // rows.height))
    return tuple(_cost(rule, plan.columns, frame, clock) for rule in plan.rules if rule.kind != "row")


def _cost(rule: Rule, columns: Any, frame: pl.DataFrame, clock: Callable[[], float]) -> Cost:
    scans: list[tuple[str, ...]] = []
    watched = _watched(frame, scans)
    start = clock()
    ask([rule], columns, watched, rows=frame.height)
    spent = (clock() - start) * 1_000
    read = tuple(dict.fromkeys(name for names in scans for name in names))
    return Cost(rule=rule.name, why=_why(rule), scans=len(scans), columns=read, milliseconds=spent)


def _why(rule: Rule) -> str:
    of_kind = {"unique": "it compares all rows", "whole": "it is about the frame as a whole"}
    return rule.why or of_kind.get(rule.kind, "")


def _watched(frame: pl.DataFrame, scans: list[tuple[str, ...]]) -> pl.LazyFrame:
    """A scan of the frame that notes which columns each query reads."""

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        scans.append(tuple(with_columns if with_columns is not None else frame.columns))
        rows = frame.lazy() if with_columns is None else frame.lazy().select(with_columns)
        rows = rows if predicate is None else rows.filter(predicate)
        yield (rows if n_rows is None else rows.head(n_rows)).collect()

    return register_io_source(source, schema=frame.schema)
