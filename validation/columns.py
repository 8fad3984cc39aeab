"""A file's columns against its contract: what is missing or of the wrong type, and how each becomes what rules see.

Only names and types are looked at (a file's footer), never a row. Follows Pandera's order: add missing columns, strict
and ordered, coerce, defaults. NaN counts as null.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from validation.positions import ROW
from validation.texts import read_number, read_text
from validation.tracing import HELPER

RULES = "_rules"  # names of broken rules, beside a bad row
AS_TEXT = "andon_text"  # key of a column's metadata: "number" when text is a number though the type is left open
_RAW, _TYPED = f"{HELPER}raw ", f"{HELPER}typed "
_NESTED = (pl.List, pl.Array, pl.Struct)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """`got`: the file's columns; `known`: those that rules see. `governed`: the contract's columns that are there.

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
        plan = _planned(name, column, got, schema=schema, needed=needed, text=text)
        faults += plan.faults
        made |= {name: plan.made} if plan.made is not None else {}
        typed |= {name: plan.typed} if plan.typed is not None else {}
        order += [plan.kept] if plan.kept is not None and name not in seen else []
        seen.add(name)  # two patterns may match it
    present = tuple((name, column) for name, column in expected if name in got or name in made)
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


def dtype_of(schema: Any, column: Any) -> Any:
    """The pandera type that a column must have, or None; a frame's own type is that of all its columns."""
    return schema.dtype if schema.dtype is not None else column.dtype


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Planned:
    faults: tuple[str, ...] = ()
    made: pl.Expr | None = None
    typed: pl.Expr | None = None
    kept: pl.Expr | None = None


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


def _planned(name: str, column: Any, got: pl.Schema, *, schema: Any, needed: Sequence[str], text: bool) -> _Planned:
    dtype = dtype_of(schema, column)
    if name not in got:
        return _absent(name, column, dtype, schema=schema, is_needed=name in needed)
    if text:
        return _converted(name, column, dtype, got, read=_from_text(pl.col(name), column, dtype, got[name]))
    if dtype is not None and (schema.coerce or column.coerce) and not _nested_schema(dtype):
        return _converted(name, column, dtype, got, read=_cast(pl.col(name), dtype, got[name]))
    if dtype is not None and not _fits(dtype, got[name]):
        return _Planned(faults=(_wrong(name, dtype.type, got[name]),))
    return _converted(name, column, dtype, got, read=pl.col(name))


def _absent(name: str, column: Any, dtype: Any, *, schema: Any, is_needed: bool) -> _Planned:
    wanted = dtype.type if dtype is not None else None
    if not column.required and not is_needed:
        empty = pl.lit(None, dtype=wanted).alias(name)
        return _Planned() if column.regex else _Planned(kept=empty)
    if schema.add_missing_columns and not column.regex and not is_needed:
        if column.default is None and not column.nullable:
            fault = f"column {name!r} is missing, has no default and may not be null; deliver it"
            return _Planned(faults=(fault,))
        default = column.default if isinstance(column.default, pl.Expr) else pl.lit(column.default)
        return _Planned(made=default.cast(wanted) if wanted is not None else default, kept=pl.col(name))
    what = "no column matches" if column.regex else "column"
    missing = f"{what} {name!r}" if column.regex else f"{what} {name!r} is missing"
    return _Planned(faults=(f"{missing}: expected {wanted or 'any type'}, got none; deliver it",))


def _converted(name: str, column: Any, dtype: Any, got: pl.Schema, *, read: pl.Expr | None) -> _Planned:
    """A column that is read by `read`; None: it cannot be."""
    kept = pl.col(name)
    if read is None:
        return _Planned(faults=(_wrong(name, dtype.type, got[name]),))
    try:
        result = pl.DataFrame(schema={name: got[name]}).select(read).schema[name]
    except pl.exceptions.PolarsError:
        return _Planned(faults=(_wrong(name, dtype.type, got[name]),))
    can_fail = result != got[name] or (dtype is not None and _categories(dtype) is not None)
    typed = read.is_not_null() | kept.is_null() if can_fail else None
    if result.is_float() and (can_fail or column.default is not None):
        read = read.fill_nan(None)
    if column.default is not None:
        default = column.default if isinstance(column.default, pl.Expr) else pl.lit(column.default, dtype=result)
        read = read.fill_null(default)
    return _Planned(made=read if can_fail or column.default is not None else None, typed=typed, kept=kept)


def _from_text(text: pl.Expr, column: Any, dtype: Any, got: pl.DataType) -> pl.Expr | None:
    if got != pl.String:
        return text if dtype is None or _fits(dtype, got) else None
    if dtype is None:
        return read_number(text) if (column.metadata or {}).get(AS_TEXT) == "number" else text
    allowed = _categories(dtype)
    read = read_text(text, _instance(dtype.type))
    return read if allowed is None or read is None else pl.when(read.is_in(allowed)).then(read)


def _cast(cell: pl.Expr, dtype: Any, got: pl.DataType) -> pl.Expr | None:
    """As Pandera coerces, null where it would fail. Lists and structs, which would fail inside, are not converted."""
    wanted = _instance(dtype.type)
    if _fits(dtype, got) and _categories(dtype) is None:
        return cell
    if isinstance(got, _NESTED) or isinstance(wanted, _NESTED):
        return None
    read = cell.cast(wanted, strict=False)
    if isinstance(wanted, pl.Decimal) and not (got.is_integer() or isinstance(got, pl.Decimal)):
        read = pl.coalesce(read, cell.cast(pl.Float64, strict=False).cast(wanted, strict=False))
    allowed = _categories(dtype)
    return read if allowed is None else pl.when(read.is_in(allowed)).then(read)


def _fits(dtype: Any, got: pl.DataType) -> bool:
    try:
        return bool(dtype.check(got))
    except Exception:  # noqa: BLE001  # Pandera fails to compare some types, such as enums of other lengths
        return False


def _wrong(name: str, wanted: Any, got: pl.DataType) -> str:
    return f"column {name!r} has the wrong type: expected {wanted}, got {got}; convert it upstream"


def _categories(dtype: Any) -> list[str] | None:
    """The values of pandera's own Category type, which Polars stores as text."""
    found = getattr(dtype, "categories", None)
    return None if found is None or isinstance(dtype.type, pl.Enum) else list(found)


def _instance(dtype: Any) -> Any:
    return dtype() if isinstance(dtype, type) and not issubclass(dtype, (*_NESTED, pl.Enum, pl.Decimal)) else dtype


def _nested_schema(dtype: Any) -> bool:
    return getattr(dtype, "schema", None) is not None
