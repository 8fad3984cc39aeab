"""What a segment of the prediction log holds, as values: a head, and one entry for each request. Knows no files.

Both are MessagePack. Values are plain ones: of moments and dates either Python's own or, when they come from a frame,
the column's physical numbers, which keep nanoseconds.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import msgspec
import polars as pl

META: dict[str, pl.DataType] = {
    "prediction_id": pl.String(),
    "version": pl.String(),
    "logged_at": pl.Datetime("us", "UTC"),
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ZERO = date(1970, 1, 1).toordinal()
_TICK = timedelta(microseconds=1)
_TICKS = {"ns": (1_000, 1), "us": (1, 1), "ms": (1, 1_000)}  # factor and divisor of microseconds
_AT_ONCE = 16  # entries: of more, their many small lists keep the garbage collector busy most of the time
_ARROW_STREAM = b"\xff\xff\xff\xff"


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The schema as an empty Arrow stream, the share of requests that is kept, and the columns that are masked."""

    schema: bytes
    share: float = 1.0
    masked: list[str] = []


class Entry(msgspec.Struct, array_like=True):
    """One request: its rows as one sequence per column, in the order of the schema; `logged_at` in us since 1970.

    Row i is `prediction_id`-(`first` + i).
    """

    prediction_id: str
    version: str
    logged_at: int
    predictions: Sequence[Any]
    columns: Sequence[Sequence[Any]]
    first: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logged:
    """Logged rows (META, `prediction`, then the raw columns), and what the log's policy did not keep of them."""

    rows: pl.DataFrame
    share: float
    masked: frozenset[str]

    @property
    def raw(self) -> pl.DataFrame:
        """The raw columns alone."""
        return self.rows.drop(*META, "prediction")


def head(schema: Mapping[str, pl.DataType], *, share: float = 1.0, masked: Iterable[str] = ()) -> bytes:
    """The first record of a segment."""
    stream = io.BytesIO()
    pl.DataFrame(schema=dict(schema)).write_ipc_stream(stream)
    return msgspec.msgpack.encode(Head(stream.getvalue(), share, sorted(masked)))


def plain(column: pl.Series) -> list[Any]:
    """Values that MessagePack keeps without loss."""
    if column.dtype.is_temporal():
        return column.to_physical().to_list()
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String).to_list()
    return column.to_list()


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _TICK


def logged(payloads: Sequence[bytes | memoryview]) -> Logged | None:
    """What the records of a segment hold; None when there is not one row."""
    if len(payloads) < 2:
        return None
    about = _head_of(payloads[0])
    schema = pl.read_ipc_stream(io.BytesIO(about.schema)).schema
    decode = msgspec.msgpack.Decoder(Entry).decode
    meta: list[list[Any]] = [[], [], [], []]
    raw: list[list[Any]] = [[] for _ in schema]
    for start in range(1, len(payloads), _AT_ONCE):
        entries = [decode(payload) for payload in payloads[start : start + _AT_ONCE]]
        _extend(meta, _meta(entries))
        _extend(raw, (chain.from_iterable(parts) for parts in zip(*(one.columns for one in entries), strict=True)))
    columns = [
        *(pl.Series(name, values, dtype) for (name, dtype), values in zip(META.items(), meta, strict=False)),
        pl.Series("prediction", meta[-1]),
        *(_typed(name, values, dtype) for (name, dtype), values in zip(schema.items(), raw, strict=True)),
    ]
    return Logged(rows=pl.DataFrame(columns), share=about.share, masked=frozenset(about.masked))


def _extend(columns: list[list[Any]], more: Iterable[Iterable[Any]]) -> None:
    for column, values in zip(columns, more, strict=True):
        column.extend(values)


def _head_of(payload: bytes | memoryview) -> Head:
    """NOTE: in segments that an earlier Andon left behind the schema stands alone."""
    if bytes(payload[:4]) == _ARROW_STREAM:
        return Head(bytes(payload))
    return msgspec.msgpack.decode(payload, type=Head)


def _meta(entries: Sequence[Entry]) -> Iterator[Iterable[Any]]:
    """prediction_id, version, logged_at and prediction of each row."""
    sizes = [len(one.predictions) for one in entries]
    sized = list(zip(entries, sizes, strict=True))
    yield [f"{one.prediction_id}-{one.first + row}" for one, size in sized for row in range(size)]
    yield chain.from_iterable(repeat(one.version, size) for one, size in sized)
    yield chain.from_iterable(repeat(one.logged_at, size) for one, size in sized)
    yield chain.from_iterable(one.predictions for one in entries)


def _typed(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """The inverse of `plain`, also of Python's own moments and dates."""
    if isinstance(dtype, pl.Datetime):
        values = _physical_moments(values, *_TICKS[dtype.time_unit])
    elif isinstance(dtype, pl.Date):
        values = [
            date.fromisoformat(value).toordinal() - _DAY_ZERO if isinstance(value, str) else value for value in values
        ]
    if dtype.is_temporal():
        stored: pl.DataType = pl.Int64()
    elif isinstance(dtype, pl.Categorical | pl.Enum):
        stored = pl.String()
    else:
        stored = dtype
    return pl.Series(name, values, stored).cast(dtype)


def _physical_moments(values: list[Any], factor: int, divisor: int) -> list[Any]:
    return [microseconds(value) * factor // divisor if isinstance(value, datetime) else value for value in values]
