"""How one column of a file becomes what its contract asks for: read from text, coerced, filled, added, or not at all.

Follows Pandera; but a cell that cannot be converted is a broken row, where Pandera gives up on the whole frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from validation.made_up import made_up
from validation.texts import read_number, read_text

AS_TEXT = "andon_text"  # key of a column's metadata: "number" when text is a number though the type is left open
_NESTED = (pl.List, pl.Array, pl.Struct)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """`made`: how the column is made of the raw one, None when it stays as it is; `typed`: whether a cell could be
    converted, None when all can; `kept`: the column among accepted rows, None when it is not there.
    """

    faults: tuple[str, ...] = ()
    made: pl.Expr | None = None
    typed: pl.Expr | None = None
    kept: pl.Expr | None = None


def dtype_of(schema: Any, column: Any) -> Any:
    """The pandera type that a column must have, or None; a frame's own type is that of all its columns."""
    return schema.dtype if schema.dtype is not None else column.dtype


def is_schema(dtype: Any) -> bool:
    """Whether the type is itself a contract, for the fields of a struct."""
    return getattr(dtype, "schema", None) is not None


def planned(name: str, column: Any, got: pl.Schema, *, schema: Any, needed: Sequence[str], text: bool) -> Planned:
    """The column `name` of a contract, in a file with columns `got`."""
    dtype = dtype_of(schema, column)
    if name not in got:
        return _absent(name, column, dtype, schema=schema, is_needed=name in needed)
    cell = pl.col(name).fill_nan(None) if got[name].is_float() else pl.col(name)
    if text:
        return _converted(name, column, dtype, got, read=_from_text(cell, column, dtype, got[name]))
    if dtype is not None and _is_coerced(schema, column) and not is_schema(dtype):
        return _converted(name, column, dtype, got, read=_cast(cell, dtype, got[name]))
    if dtype is not None and not _fits(dtype, got[name]):
        return Planned(faults=(_wrong(name, dtype.type, got[name]),))
    return _converted(name, column, dtype, got, read=cell)


def _is_coerced(schema: Any, column: Any) -> bool:
    """Pandera leaves the columns of an optional pattern as they are."""
    return (schema.coerce or column.coerce) and (column.required or not column.regex)


def _absent(name: str, column: Any, dtype: Any, *, schema: Any, is_needed: bool) -> Planned:
    wanted = dtype.type if dtype is not None else None
    if not column.required and not is_needed:
        empty = pl.lit(None, dtype=wanted).alias(name)
        return Planned() if column.regex else Planned(kept=empty)
    if schema.add_missing_columns and not column.regex and not is_needed:
        if column.default is None and not column.nullable:
            fault = f"column {name!r} is missing, has no default and may not be null; deliver it"
            return Planned(faults=(fault,))
        default = column.default if isinstance(column.default, pl.Expr) else pl.lit(column.default)
        return Planned(made=default.cast(wanted) if wanted is not None else default, kept=pl.col(name))
    what = "no column matches" if column.regex else "column"
    missing = f"{what} {name!r}" if column.regex else f"{what} {name!r} is missing"
    return Planned(faults=(f"{missing}: expected {wanted or 'any type'}, got none; deliver it",))


def _converted(name: str, column: Any, dtype: Any, got: pl.Schema, *, read: pl.Expr | None) -> Planned:
    """A column that is read by `read`; None: it cannot be."""
    cell = pl.col(name).fill_nan(None) if got[name].is_float() else pl.col(name)
    if read is None:
        return Planned(faults=(_wrong(name, dtype.type, got[name]),))
    try:
        result = made_up(pl.Schema({name: got[name]})).select(read).schema[name]
    except pl.exceptions.PolarsError:
        return Planned(faults=(_wrong(name, dtype.type, got[name]),))
    can_fail = result != got[name] or (dtype is not None and _categories(dtype) is not None)
    typed = read.is_not_null() | cell.is_null() if can_fail else None
    if result.is_float() and (can_fail or column.default is not None):
        read = read.fill_nan(None)
    if column.default is not None:
        default = column.default if isinstance(column.default, pl.Expr) else pl.lit(column.default, dtype=result)
        read = read.fill_null(default)
    made = read if can_fail or column.default is not None else None
    return Planned(made=made, typed=typed, kept=pl.col(name))


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
