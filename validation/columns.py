"""A file's columns against its contract: what is missing or of the wrong type, and how each becomes what rules see.

Only names and types are looked at (a file's footer), never a row. Follows Pandera's order: add missing columns, strict
and ordered, coerce, defaults. NaN counts as null.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from validation.conversion import planned
from validation.positions import ROW
from validation.tracing import HELPER

RULES = "_rules"  # names of broken rules, beside a bad row
_RAW, _TYPED = f"{HELPER}raw ", f"{HELPER}typed "


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """`got`: the file's columns; `known`: those that rules see. `governed`: the contract's columns that the file has.

    `made`: columns that are converted, filled or added; `typed`: where conversion can fail, is the cell of the type?
    `nan`: other columns that may hold NaN. `order`: the contract's columns, as accepted rows have them.
    """

    got: pl.Schema
    known: pl.Schema
    faults: tuple[str, ...]
    governed: tuple[tuple[str, Any], ...]
    made: Mapping[str, pl.Expr]
    typed: Mapping[str, pl.Expr]
    nan: tuple[str, ...]
    order: tuple[pl.Expr, ...]

    def parsed(self, scan: pl.LazyFrame) -> pl.LazyFrame:
        """All rows as rules see them: these columns and no others."""
        return self.without_nan(scan.with_columns(**self.made)).select(self.known.names())

    def prepared(self, scan: pl.LazyFrame) -> pl.LazyFrame:
        """As `parsed`, with NaN still in, the raw cells beside it, and whether each could be converted."""
        raw = [pl.col(name).alias(_RAW + name) for name in self.made if name in self.got]
        typed = [holds.alias(_TYPED + name) for name, holds in self.typed.items()]
        return scan.with_columns(*raw, *typed, **self.made) if self.made else scan

    def without_nan(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Null in the place of NaN, where no conversion has seen to it; the raw cells beside it."""
        raw = [pl.col(name).alias(_RAW + name) for name in self.nan]
        return frame.with_columns(*raw, *(pl.col(name).fill_nan(None) for name in self.nan)) if self.nan else frame

    def raw(self, *, is_without_nan: bool) -> Iterator[pl.Expr]:
        """The columns as they came, out of a prepared frame."""
        for name in self.got:
            is_changed = name in self.made or (is_without_nan and name in self.nan)
            yield pl.col(_RAW + name).alias(name) if is_changed else pl.col(name)

    def is_filled(self, name: str) -> bool:
        """Whether a null in the file gets the contract's default."""
        return any(name == other and column.default is not None for other, column in self.governed)

    def is_typed(self, name: str) -> pl.Expr | None:
        """In a prepared frame: whether the cell could be converted; None when nothing is converted there."""
        return pl.col(_TYPED + name) if name in self.typed else None


def compare(schema: Any, got: pl.Schema, *, needed: Sequence[str], text: bool) -> Columns:
    """A file with columns `got` against a pandera.polars DataFrameSchema; `needed` are asked for whatever it says."""
    expected = tuple(_expected(schema, got))
    faults = [*_misnamed(got), *_extra(schema, expected, got), *_out_of_order(schema, expected, got)]
    made, typed, order = dict[str, pl.Expr](), dict[str, pl.Expr](), list[pl.Expr]()
    seen = set[str]()
    for name, column in expected:
        plan = planned(name, column, got, schema=schema, needed=needed, text=text)
        faults += plan.faults
        made |= {name: plan.made} if plan.made is not None else {}
        typed |= {name: plan.typed} if plan.typed is not None else {}
        order += [plan.kept] if plan.kept is not None and name not in seen else []
        seen.add(name)  # two patterns may match it
    present = tuple((name, column) for name, column in expected if name in got)  # Pandera asks no added column
    if schema.strict == "filter":
        governed = {name for name, _ in expected}
        kept = {name: dtype for name, dtype in got.items() if name in governed}
    else:
        kept = dict(got)
    known = pl.LazyFrame(schema=got).with_columns(**made).collect_schema() if not faults else got
    kept |= {name: dtype for name, dtype in known.items() if name in kept or name in made}
    nan = tuple(name for name, dtype in kept.items() if name not in made and dtype.is_float())
    return Columns(
        got=got, known=pl.Schema(kept), faults=tuple(faults), governed=present, made=made, typed=typed, nan=nan,
        order=tuple(order),
    )  # fmt: skip


def _expected(schema: Any, got: pl.Schema) -> Iterator[tuple[str, Any]]:
    """The contract's columns by name; a regex stands for the columns that match it and that nothing else names."""
    import pandera.polars as pa

    columns = schema.columns or {name: pa.Column(schema.dtype, name=name) for name in got if schema.dtype is not None}
    named = {name for name, column in columns.items() if not column.regex}
    for name, column in columns.items():
        if not column.regex:
            yield name, column
            continue
        matches = [other for other in got if other not in named and re.fullmatch(name, other)]
        yield from ((match, column) for match in matches)
        if not matches and column.required:
            yield name, column  # told as missing


def _misnamed(got: pl.Schema) -> Iterator[str]:
    if not len(got):
        yield "the batch has no columns"
    for name in got:
        if name in (ROW, RULES) or name.startswith(HELPER):
            yield f"column {name!r} has a name that Andon gives to bad rows; rename or drop it"


def _extra(schema: Any, expected: Sequence[tuple[str, Any]], got: pl.Schema) -> Iterator[str]:
    if schema.strict is True:
        governed = {name for name, _ in expected}
        for name, dtype in got.items():
            if name not in governed:
                yield f"column {name!r} is not in the strict contract: expected none, got {dtype}; drop it or add it"


def _out_of_order(schema: Any, expected: Sequence[tuple[str, Any]], got: pl.Schema) -> Iterator[str]:
    if schema.ordered:
        wanted = list(dict.fromkeys(name for name, _ in expected if name in got))
        found = [name for name in got if name in wanted]
        twisted = next((pair for pair in zip(wanted, found, strict=True) if pair[0] != pair[1]), None)
        if twisted:
            yield f"column {twisted[1]!r} is out of order: expected {twisted[0]!r} in its place; order the columns"
