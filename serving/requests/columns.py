"""Column types: what JSON may hold for each, what becomes of it, and how it is told to people.

A boolean or a string is no number, 3.0 is no integer, a number beyond the range of its column is refused; a moment
without a zone is UTC.
"""

import re
import struct
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import polars as pl
from msgspec import Meta

from validation.errors import DefinitionError

FLOAT32_MAX = 3.4028234663852886e38
YEARS_NS = (1678, 2261)  # those that 64 bits of nanoseconds reach as a whole
TEXTS = (pl.String, pl.Categorical, pl.Enum, pl.Datetime, pl.Date)  # JSON strings
SIGNED_BITS: dict[type[pl.DataType], int] = {pl.Int8: 8, pl.Int16: 16, pl.Int32: 32, pl.Int64: 64}
UNSIGNED_BITS: dict[type[pl.DataType], int] = {pl.UInt8: 8, pl.UInt16: 16, pl.UInt32: 32, pl.UInt64: 64}

_FLOAT32 = struct.Struct("<f")
_NOTHING = Annotated[str, Meta(min_length=1, max_length=0)]  # an Enum without categories
_PLAIN: dict[type[pl.DataType], type] = {
    pl.Float64: float,
    pl.Boolean: bool,
    pl.String: str,
    pl.Categorical: str,
    pl.Datetime: datetime,
    pl.Date: str,
}

_MIDNIGHT = re.compile(r"[Tt ]00:00:00(?:\.0+)?(?:[Zz]|[+-]00:?00)?", re.ASCII)

Convert = Callable[[Any], Any]  # of one value that is not null


class UnfitError(ValueError):
    """The column cannot hold the value; says why, without it."""


def json_type(name: str, dtype: pl.DataType) -> Any:
    """What msgspec shall accept for a column of this type; DefinitionError when JSON cannot carry it."""
    kind = type(dtype)
    if bounds := integer_bounds(dtype):
        low, high = bounds
        return Annotated[int, Meta(ge=low) if high >= 1 << 63 else Meta(ge=low, le=high)]
    if kind is pl.Float32:
        return Annotated[float, Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]
    if isinstance(dtype, pl.Enum):
        return Literal[tuple(dtype.categories)] if len(dtype.categories) else _NOTHING
    if kind not in _PLAIN:
        raise DefinitionError(f"column {name!r} is {dtype}, which JSON cannot carry; flatten it in the contract")
    return _PLAIN[kind]


def integer_bounds(dtype: pl.DataType) -> tuple[int, int] | None:
    """The least and the greatest whole number of such a column; None for columns of anything else."""
    if (bits := SIGNED_BITS.get(type(dtype))) is not None:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if (bits := UNSIGNED_BITS.get(type(dtype))) is not None:
        return 0, (1 << bits) - 1
    return None


def converter(dtype: pl.DataType) -> Convert | None:
    """What makes of a decoded value the one that the column holds, or UnfitError; None where it is the same."""
    if isinstance(dtype, pl.Datetime):
        return {"us": _utc, "ms": _to_milliseconds, "ns": _within_nanoseconds}[dtype.time_unit]
    return _CONVERTERS.get(type(dtype))


def wanted(dtype: pl.DataType) -> str:
    """What to send for such a column."""
    if bounds := integer_bounds(dtype):
        return f"a whole number from {bounds[0]} to {bounds[1]}"
    if dtype.is_float():
        return "a finite number"
    if isinstance(dtype, pl.Datetime):
        return 'a moment like "2013-01-31T06:15:00Z" (pandas: date_format="iso")'
    if isinstance(dtype, pl.Date):
        return 'a day like "2013-01-31"'
    if isinstance(dtype, pl.Enum):
        return f"one of {', '.join(dtype.categories.head(20))}"
    return "true or false" if isinstance(dtype, pl.Boolean) else "a string"


def _to_day(text: str) -> date:
    """A day, or its midnight without an offset: pandas, and so MLflow's client, has no other way to write a day."""
    if text[4:5] == text[7:8] == "-" and (len(text) == len("2013-01-31") or _MIDNIGHT.fullmatch(text, 10)):
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            pass
    raise UnfitError("it is no day")


def _utc(moment: datetime) -> datetime:
    zone = moment.tzinfo
    if zone is UTC:
        return moment
    if zone is None:
        return moment.replace(tzinfo=UTC)
    if not MINYEAR < moment.year < MAXYEAR:  # an offset could lead out of the calendar
        raise UnfitError("it is out of range")
    return moment.astimezone(UTC)


def _to_milliseconds(moment: datetime) -> datetime:
    moment = _utc(moment)
    return moment - timedelta(microseconds=moment.microsecond % 1000)


def _within_nanoseconds(moment: datetime) -> datetime:
    if not YEARS_NS[0] <= moment.year <= YEARS_NS[1]:
        raise UnfitError("it is out of range")
    return _utc(moment)


def _within_64_bits(value: int) -> int:
    if value >= 1 << 64:
        raise UnfitError("it is out of range")
    return value


def _to_float32(value: float) -> float:
    rounded: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    return rounded


_CONVERTERS: dict[type[pl.DataType], Convert] = {
    pl.UInt64: _within_64_bits,
    pl.Float32: _to_float32,
    pl.Date: _to_day,
}
