"""What a request's body says, read a second time: slowly, with Python's own json, and without any of the scorer's code.

What the scorer's decoder makes of a body must be the same, and what is refused here it must refuse.
"""

import json
import re
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import polars as pl

FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")
BITS: dict[type[pl.DataType], int] = {
    pl.Int8: 8,
    pl.Int16: 16,
    pl.Int32: 32,
    pl.Int64: 64,
    pl.UInt8: 8,
    pl.UInt16: 16,
    pl.UInt32: 32,
    pl.UInt64: 64,
}
MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII)
DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)([Tt ]00:00:00(\.0+)?(Z|z|[+-]00:?00)?)?", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLOAT32_MAX, FLOAT64_MAX = Fraction((2**24 - 1) * 2**104), Fraction((2**53 - 1) * 2**971)


class RefusedError(Exception):
    """The body must not be answered."""


class Pairs(list[tuple[str, Any]]):
    """An object."""


@dataclass(frozen=True)
class Number:
    text: str
    whole: bool


@dataclass(frozen=True)
class Contract:
    schema: Mapping[str, pl.DataType]
    required: Collection[str]
    groups: Sequence[Collection[str]] = ()


def read(body: bytes, contract: Contract) -> list[list[Any]]:
    """The values, column by column; RefusedError; RecursionError where Python's parser gives up."""
    top = _parse(body)
    _once(top)
    given = dict(top)
    if set(given) - {*FORMATS, "params"}:
        raise RefusedError("unknown format")
    params = given.pop("params", None)
    if params is not None and not (isinstance(params, Pairs) and not params):
        raise RefusedError("params")
    if len(given) != 1:
        raise RefusedError("formats")
    form, value = next(iter(given.items()))
    rows = _split(value) if form == "dataframe_split" else _rows(value, contract, form)
    if not 1 <= len(rows) <= 10_000:
        raise RefusedError("rows")
    left_out = [name for name in contract.schema if all(name not in row for row in rows)]
    for name in left_out:
        if not any(name in group and set(group) <= set(left_out) for group in contract.groups):
            raise RefusedError("missing")
    kept = {name: dtype for name, dtype in contract.schema.items() if name not in left_out}
    values = {
        name: [_value(row, name, dtype, null=name not in contract.required) for row in rows]
        for name, dtype in kept.items()
    }
    return [values.get(name, [None] * len(rows)) for name in contract.schema]


def frame(columns: Sequence[Sequence[Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The same as a frame, not by Polars' reading of Python's moments."""
    return pl.DataFrame([_series(name, column, schema[name]) for name, column in zip(schema, columns, strict=True)])


def _parse(body: bytes) -> Pairs:
    def never(_: str) -> None:
        raise RefusedError("NaN")

    try:
        top = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=Pairs,
            parse_constant=never,
            parse_int=lambda text: Number(text, whole=True),
            parse_float=lambda text: Number(text, whole=False),
        )
        _no_surrogates(top)
    except ValueError as error:
        raise RefusedError("no JSON") from error
    if not isinstance(top, Pairs):
        raise RefusedError("no object")
    return top


def _no_surrogates(value: Any) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, Pairs):
        for name, held in value:
            name.encode()
            _no_surrogates(held)
    elif isinstance(value, list):
        for held in value:
            _no_surrogates(held)


def _once(pairs: Pairs, names: Collection[str] | None = None) -> None:
    found = [name for name, _ in pairs if names is None or name in names]
    if len(found) != len(set(found)):
        raise RefusedError("twice")


def _split(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, Pairs):
        raise RefusedError("split")
    _once(value)
    parts = dict(value)
    if not {"columns", "data"} <= set(parts) <= {"columns", "data", "index"}:
        raise RefusedError("parts")
    columns, data = parts["columns"], parts["data"]
    if type(columns) is not list or not all(isinstance(name, str) for name in columns):
        raise RefusedError("columns")
    if len(set(columns)) < len(columns) or len(columns) > 1_000 or type(data) is not list:
        raise RefusedError("columns")
    if any(type(row) is not list or len(row) != len(columns) for row in data):
        raise RefusedError("data")
    return [dict(zip(columns, row, strict=True)) for row in data] or [{}] * 0


def _rows(value: Any, contract: Contract, form: str) -> list[dict[str, Any]]:
    if isinstance(value, Pairs):
        if form == "dataframe_records":
            raise RefusedError("records")
        _once(value, contract.schema)
        lists = {name: held for name, held in value if name in contract.schema}
        if any(type(held) is not list for held in lists.values()) or len({len(held) for held in lists.values()}) != 1:
            raise RefusedError("lists")
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if type(value) is not list or not all(isinstance(row, Pairs) for row in value):
        raise RefusedError("rows")
    for row in value:
        _once(row, contract.schema)
    return [dict(row) for row in value]


def _value(row: Mapping[str, Any], name: str, dtype: pl.DataType, *, null: bool) -> Any:
    if name not in row:
        raise RefusedError("a row without it")
    value = row[name]
    if value is None:
        if not null:
            raise RefusedError("null")
        return None
    if isinstance(value, Number):
        return _number(value, dtype)
    if isinstance(value, bool) and dtype == pl.Boolean:
        return value
    if isinstance(value, str):
        return _string(value, dtype)
    raise RefusedError("another type")


def _string(value: str, dtype: pl.DataType) -> Any:
    if isinstance(dtype, pl.Datetime):
        return _moment(value, dtype.time_unit)
    if dtype == pl.Date:
        return _day(value)
    if dtype in (pl.String, pl.Categorical) or (isinstance(dtype, pl.Enum) and value in dtype.categories.to_list()):
        return value
    raise RefusedError("a string")


def _number(number: Number, dtype: pl.DataType) -> Any:
    if dtype in (pl.Float32, pl.Float64):
        if len(number.text) < 5_000 and abs(exact := _fraction(number.text)) <= FLOAT64_MAX + 2**969:
            value = float(exact) if exact else 0.0
            if dtype == pl.Float64 or abs(Fraction(value)) <= FLOAT32_MAX:
                return value if dtype == pl.Float64 else array("f", [value])[0]
        raise RefusedError("range")
    if dtype not in BITS or not number.whole or len(number.text) > 30:
        raise RefusedError("a number")
    bits, value = BITS[type(dtype)], int(number.text)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.is_signed_integer() else (0, 2**bits - 1)
    if not low <= value <= high:
        raise RefusedError("range")
    return value


def _fraction(text: str) -> Fraction:
    """NOTE: not Fraction(text): an exponent of millions would fill the memory."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = mantissa.replace(".", "").lstrip("-").lstrip("0")
    if not digits:
        return Fraction(0)
    exponent = exponent or "0"
    power = (int(exponent) if len(exponent) < 10 else 10**9 * (-1 if "-" in exponent else 1)) - (
        len(mantissa.partition(".")[2])
    )
    if len(digits) + power > 400:
        raise RefusedError("range")
    if len(digits) + power < -400:
        return Fraction(0)
    value = int(digits) * Fraction(10) ** power
    return -value if text.startswith("-") else value


def _moment(text: str, unit: str) -> datetime:
    found = MOMENT.fullmatch(text)
    if found is None:
        raise RefusedError("moment")
    digits = ((found[7] or ".")[1:] + "0000000")[:7]
    micros = int(digits[:6]) + (digits[6] >= "5")
    offset = timedelta(0)
    if found[9]:
        if int(found[10]) > 23 or int(found[11]) > 59:
            raise RefusedError("offset")
        offset = timedelta(hours=int(found[10]), minutes=int(found[11])) * (-1 if found[9] == "-" else 1)
    try:
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        local = datetime(year, month, day, hour, minute, second, 0, timezone(offset)) + timedelta(microseconds=micros)
    except (ValueError, OverflowError) as error:
        raise RefusedError("calendar") from error
    if (offset and local.year in (1, 9999)) or (unit == "ns" and not 1678 <= local.year <= 2261):
        raise RefusedError("the end of the calendar")
    moment = local.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000) if unit == "ms" else moment


def _day(text: str) -> date:
    found = DAY.fullmatch(text)
    try:
        if found is not None:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise RefusedError("day")


def _series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        step = timedelta(milliseconds=1) if dtype.time_unit == "ms" else timedelta(microseconds=1)
        times = 1000 if dtype.time_unit == "ns" else 1
        counts = [None if value is None else (value - EPOCH) // step * times for value in values]
        return pl.Series(name, counts, pl.Int64).cast(dtype)
    return pl.Series(name, values, dtype)
