"""The digest of a frame: sha256 over all values of all columns, and nothing else.

The same values give the same digest, however they lie in memory or in files, whatever the Polars version, in any order
of columns; another value, type, name or order of rows gives another one. -0.0 is 0.0, every NaN the same; categories
are texts.

Format 1. A column has three streams: the row numbers of its nulls (u64), the lengths of its texts, blobs or lists
(u64), and its values, little endian, nulls as zero or empty (Boolean and Null as bytes, moments and durations as their
ticks, decimals as 16 bytes). Those of lists are the digest of the column of all their items, those of structs the
digests of their fields, in ASCII. A column's digest is the sha256 of the JSON of type, rows and the streams' sha256;
that of a frame: of the JSON of format, rows and columns by name.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from validation.errors import ContractError

_FORMAT = 1
_ROWS_AT_ONCE = 1 << 20  # bounds the copies; no digest depends on it
_THREADS = 4
_DECIMAL_BYTES = 16
_NUMBERS: dict[Any, str] = {
    pl.Boolean: "bool", pl.Int8: "i8", pl.Int16: "i16", pl.Int32: "i32", pl.Int64: "i64", pl.UInt8: "u8",
    pl.UInt16: "u16", pl.UInt32: "u32", pl.UInt64: "u64", pl.Float32: "f32", pl.Float64: "f64", pl.Date: "date",
    pl.Time: "time", pl.Null: "none",
}  # fmt: skip
_TEXTS: dict[Any, str] = {pl.String: "text", pl.Categorical: "text", pl.Enum: "text", pl.Binary: "blob"}

Array = npt.NDArray[Any]


def frame_digest(rows: int, columns: Mapping[str, str]) -> str:
    """The digest of a frame of so many rows, from those of its columns."""
    return _sha256_of([_FORMAT, rows, sorted(columns.items())])


def column_digests(frame: pl.DataFrame) -> dict[str, str]:
    """The digest of each column, by name; ContractError for a type that has none."""
    columns = [_Column(name, dtype) for name, dtype in frame.schema.items()]
    with ThreadPoolExecutor(_THREADS) as pool:  # sha256, NumPy and Polars let other threads run
        digests = list(pool.map(_digest, columns, frame.iter_columns()))
    return dict(zip(frame.columns, digests, strict=True))


class _Column:
    """A column's streams, fed piece by piece: where one piece ends and the next begins leaves no trace."""

    def __init__(self, name: str, dtype: pl.DataType) -> None:
        self._type = _type_name(name, dtype)
        self._rows = 0
        self._nulls, self._lengths, self._values = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        self._parts = [_Column(name, part) for part in _parts(dtype)]

    def feed(self, piece: pl.Series) -> None:
        if piece.null_count():
            self._nulls.update(_little_endian(np.flatnonzero(piece.is_null().to_numpy()) + self._rows, "u8"))
        self._rows += piece.len()
        if self._parts:
            counts, parts = _apart(piece)
            self._lengths.update(counts)
            for column, part in zip(self._parts, parts, strict=True):
                column.feed(part)
        elif piece.dtype.base_type() in _TEXTS:
            lengths, content = _texts(piece)
            self._lengths.update(_little_endian(lengths, "u8"))
            self._values.update(content)
        else:
            self._values.update(_fixed_size(piece))

    def digest(self) -> str:
        for column in self._parts:
            self._values.update(column.digest().encode())
        streams = [stream.hexdigest() for stream in (self._nulls, self._lengths, self._values)]
        return _sha256_of([self._type, self._rows, *streams])


def _digest(column: _Column, values: pl.Series) -> str:
    for piece in values.to_frame().iter_slices(_ROWS_AT_ONCE):
        column.feed(piece.to_series())
    return column.digest()


def _apart(piece: pl.Series) -> tuple[memoryview, list[pl.Series]]:
    """How many items each list has, and all items; or nothing, and each field of the structs."""
    if isinstance(piece.dtype, pl.Struct):
        return memoryview(b""), [piece.struct.field(name) for name in piece.struct.fields]
    lists = piece.arr.to_list() if isinstance(piece.dtype, pl.Array) else piece
    lengths = _little_endian(lists.list.len().fill_null(0).to_numpy(), "u8")
    return lengths, [lists.explode(empty_as_null=False, keep_nulls=False)]


def _texts(piece: pl.Series) -> tuple[Array, memoryview]:
    """The length of each text in bytes (null: 0), and all of them one after the other."""
    texts = piece.cast(pl.Binary if piece.dtype == pl.Binary else pl.String)
    array = texts.fill_null(b"" if piece.dtype == pl.Binary else "").rechunk().to_arrow()
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, dtype="<i8")[array.offset : array.offset + len(array) + 1]
    return np.diff(bounds), memoryview(content or b"")[bounds[0] : bounds[-1]]


def _fixed_size(piece: pl.Series) -> memoryview:
    """The values one after the other, null as zero."""
    if isinstance(piece.dtype, pl.Decimal):
        array = piece.fill_null(0).rechunk().to_arrow()
        start = array.offset * _DECIMAL_BYTES
        return memoryview(array.buffers()[1])[start : start + len(array) * _DECIMAL_BYTES]
    numbers = piece.cast(pl.UInt8) if piece.dtype in (pl.Boolean, pl.Null) else piece.to_physical()
    values = numbers.fill_null(0).to_numpy()
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # signalling NaNs
            values = values + values.dtype.type(0)  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan
    return _little_endian(values, f"{values.dtype.kind}{values.dtype.itemsize}")


def _little_endian(values: Array, dtype: str) -> memoryview:
    return np.ascontiguousarray(values, dtype=f"<{dtype}").data


def _type_name(name: str, dtype: pl.DataType) -> str:
    """The type for the digest, in words that no library owns."""
    if isinstance(dtype, pl.List | pl.Array):
        return f"list[{_type_name(name, *_parts(dtype))}]"
    if isinstance(dtype, pl.Struct):
        return json.dumps(
            {field.name: _type_name(name, part) for field, part in zip(dtype.fields, _parts(dtype), strict=True)}
        )
    if isinstance(dtype, pl.Datetime):
        return f"moment[{dtype.time_unit},{dtype.time_zone or ''}]"
    if isinstance(dtype, pl.Duration):
        return f"duration[{dtype.time_unit}]"
    if isinstance(dtype, pl.Decimal):
        return f"decimal[{dtype.scale}]"
    known = {**_NUMBERS, **_TEXTS}.get(dtype.base_type())
    if known is None:
        raise ContractError(
            f"column {name!r} is {dtype}, which has no digest; cast it to plain values or a list of them"
        )
    return known


def _parts(dtype: pl.DataType) -> list[pl.DataType]:
    """The types that a type is made of: of the items of a list, of the fields of a struct; none of others."""
    inner: list[Any] = []
    if isinstance(dtype, pl.List | pl.Array):
        inner = [dtype.inner]
    elif isinstance(dtype, pl.Struct):
        inner = [field.dtype for field in dtype.fields]
    return [part if isinstance(part, pl.DataType) else part() for part in inner]


def _sha256_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()
