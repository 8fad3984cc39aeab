"""Columns of a run as columns of a database: their names, their types, and values that both sides know."""

from collections.abc import Mapping

import polars as pl
from polars.datatypes import DataTypeClass

from validation.errors import DefinitionError

_LONGEST_NAME = 63  # bytes: PostgreSQL cuts longer ones, without a word
_PLAIN = {
    pl.Boolean: ("boolean", "INTEGER BOOLEAN"),
    pl.Int8: ("smallint", "INTEGER"),
    pl.UInt8: ("smallint", "INTEGER"),
    pl.Int16: ("smallint", "INTEGER"),
    pl.UInt16: ("integer", "INTEGER"),
    pl.Int32: ("integer", "INTEGER"),
    pl.UInt32: ("bigint", "INTEGER"),
    pl.Int64: ("bigint", "INTEGER"),
    pl.Float32: ("real", "REAL"),
    pl.Float64: ("double precision", "REAL"),
    pl.String: ("text", "TEXT"),
    pl.Categorical: ("text", "TEXT"),
    pl.Enum: ("text", "TEXT"),
    pl.Binary: ("bytea", "BLOB"),
    pl.Date: ("date", "TEXT DATE"),
}
# What a database has no type for, by the one that takes all its values.
_WIDER = {
    pl.Int8: pl.Int16(),
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
    pl.Categorical: pl.String(),
    pl.Enum: pl.String(),
}


def quoted(name: str) -> str:
    """An identifier, whatever it holds: names come from definitions, and are never trusted to be plain."""
    return '"' + name.replace('"', '""') + '"'


def postgres_types(schema: pl.Schema) -> dict[str, str]:
    """The types of columns in PostgreSQL, in its own words; DefinitionError when one has none."""
    return _types(schema, 0)


def sqlite_types(schema: pl.Schema) -> dict[str, str]:
    """The types of columns in SQLite, which takes their first word."""
    return _types(schema, 1)


def known(part: pl.DataFrame) -> pl.DataFrame:
    """The part, its columns cast to types that a database has; no value changes."""
    wanted: Mapping[str, pl.DataType] = {
        name: wider for name, dtype in part.schema.items() if (wider := _wider(dtype)) is not None
    }
    return part.cast(wanted) if wanted else part  # type: ignore[arg-type]


def _types(schema: pl.Schema, dialect: int) -> dict[str, str]:
    _check_names(schema)
    found = {name: _type(dtype, dialect) for name, dtype in schema.items()}
    if wrong := [f"{name!r} is {schema[name]}" for name, kind in found.items() if kind is None]:
        raise DefinitionError(f"a database has no type for {'; '.join(wrong[:5])}; convert them, or deliver a table")
    return {name: kind for name, kind in found.items() if kind is not None}


def _check_names(schema: pl.Schema) -> None:
    long = [name for name in schema if not 0 < len(name.encode()) <= _LONGEST_NAME or "\0" in name]
    if long:
        raise DefinitionError(f"a column of a database has 1 to {_LONGEST_NAME} bytes, got {long[0]!r}; rename it")
    if len({name.lower() for name in schema}) < len(schema):
        raise DefinitionError(f"columns differ in upper and lower case alone, of {', '.join(schema)}; rename them")


def _type(dtype: pl.DataType | DataTypeClass, dialect: int) -> str | None:
    if isinstance(dtype, pl.Datetime):
        zone = "with" if dtype.time_zone else "without"
        return (f"timestamp {zone} time zone", f"TEXT TIMESTAMP {zone} zone".upper())[dialect]
    if isinstance(dtype, pl.List | pl.Array):
        inner = _type(dtype.inner, 0)
        return None if inner is None or inner.endswith("[]") else (f"{inner}[]", "TEXT JSON")[dialect]
    if isinstance(dtype, pl.Decimal):
        return (f"numeric({dtype.precision},{dtype.scale})", "NUMERIC")[dialect]
    plain = _PLAIN.get(dtype.base_type())
    return None if plain is None else plain[dialect]


def _wider(dtype: pl.DataType | DataTypeClass) -> pl.DataType | None:
    """The type to cast to; None when it can stay."""
    if isinstance(dtype, pl.Datetime) and (dtype.time_unit != "us" or dtype.time_zone not in (None, "UTC")):
        return pl.Datetime("us", "UTC" if dtype.time_zone else None)
    if isinstance(dtype, pl.List | pl.Array):
        inner = _wider(dtype.inner)
        return pl.List(inner or dtype.inner) if inner is not None or isinstance(dtype, pl.Array) else None
    return _WIDER.get(dtype.base_type())
