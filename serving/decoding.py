"""JSON -> a typed Polars frame of raw contract columns, or a sentence that names column and row. It never guesses.

Takes MLflow's `dataframe_split` and `dataframe_records`. A boolean or a string is no number, 3.0 is no integer, a
number beyond the range of its column is refused; a moment without a zone is UTC; unknown columns are ignored; nulls
are allowed but in required columns (key and time).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
import polars as pl
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from serving.rows import Rows
from validation.errors import ContractError, DefinitionError

MAX_ROWS = 10_000
MAX_COLUMNS = 1_000

_FLOAT32_MAX = 3.4028234663852886e38
_BITS = {pl.Int8: 8, pl.Int16: 16, pl.Int32: 32, pl.Int64: 64}
_UNSIGNED_BITS = {pl.UInt8: 8, pl.UInt16: 16, pl.UInt32: 32}
_PLAIN: dict[type[pl.DataType], type] = {
    pl.Float64: float,
    pl.Boolean: bool,
    pl.String: str,
    pl.Categorical: str,
    pl.Enum: str,
    pl.Datetime: datetime,
    pl.Date: date,
}
_PLACE = re.compile(r"(?P<text>.*) - at `\$\[(?P<row>\d+)\](?:\[(?P<position>\d+)\]|\.(?P<name>.*))?`", re.DOTALL)
_LONGEST_MESSAGE = 1_000  # messages quote names that the caller chose
_KEPT_ORDERS = 64  # column orders whose decoder is kept; a client that permutes more pays for each request

_Rows = msgspec.json.Decoder[list[Any]]


class RequestError(ContractError):
    """The caller must act: the request cannot be answered; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}...")
        self.status = status


class FrameDecoder:
    """Decodes bodies into frames with exactly the columns of `schema`; those in `required` may not hold nulls."""

    def __init__(self, schema: Mapping[str, pl.DataType], *, required: Collection[str]) -> None:
        self.schema = dict(schema)
        types = {name: _json_type(name, dtype) for name, dtype in schema.items()}
        self._types = {name: kind if name in required else kind | None for name, kind in types.items()}
        self._fields = [f"c{position}" for position in range(len(types))]  # column names need not be identifiers
        fields = list(zip(self._fields, self._types.values(), strict=True))
        row = msgspec.defstruct("Row", fields, rename=dict(zip(self._fields, types, strict=True)))
        self._records: _Rows = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]  # made at run time
        self._splits: dict[tuple[str, ...], _Rows] = {}

    def decode(self, body: bytes) -> pl.DataFrame:
        """The rows of `body`; RequestError 400 when it is not JSON, 422 when it does not keep the contract."""
        request = _parse(_REQUEST.decode, body, explain=_in_request)
        split, records = request.dataframe_split, request.dataframe_records
        if (split is UNSET) == (records is UNSET):
            got = "neither of them" if split is UNSET else "both"
            raise RequestError(422, f"send either dataframe_split or dataframe_records, got {got}")
        return self._from_records(bytes(records)) if split is UNSET else self._from_split(split)

    def _from_records(self, text: bytes) -> pl.DataFrame:
        rows = _parse(self._records.decode, text, explain=self._in_rows)
        _check_count(rows)
        _refuse_repeated(text, names=self.schema, rows=len(rows))
        columns = ([getattr(row, field) for row in rows] for field in self._fields)
        return self._frame(zip(self.schema, columns, strict=True))

    def _from_split(self, split: "_Split") -> pl.DataFrame:
        columns = tuple(split.columns)
        decoder = self._split_decoder(columns)
        rows = _parse(decoder.decode, split.data, explain=lambda error: self._in_rows(error, columns))
        _check_count(rows)
        values = dict(zip(columns, zip(*rows, strict=True), strict=True))
        return self._frame((name, values[name]) for name in self.schema)

    def _split_decoder(self, columns: tuple[str, ...]) -> _Rows:
        if (known := self._splits.get(columns)) is not None:
            return known
        if len(columns) > max(MAX_COLUMNS, len(self.schema)):
            raise RequestError(422, f"got {len(columns)} columns; send only {', '.join(self.schema)}")
        if repeated := [name for name, count in Counter(columns).items() if count > 1]:
            raise RequestError(422, f"column {repeated[0]!r} is given twice; send each column once")
        if missing := [name for name in self.schema if name not in columns]:
            raise RequestError(422, f"column {missing[0]!r} is missing; send {', '.join(self.schema)}")
        row = tuple.__class_getitem__(tuple(self._types.get(name, Any) for name in columns))
        decoder: _Rows = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]  # made at run time
        if len(self._splits) < _KEPT_ORDERS:
            self._splits[columns] = decoder
        return decoder

    def _frame(self, columns: Iterable[tuple[str, Sequence[Any]]]) -> pl.DataFrame:
        return pl.DataFrame([_series(name, values, self.schema[name]) for name, values in columns])

    def _in_rows(self, error: Exception, columns: Sequence[str] = ()) -> str:
        """The message of msgspec with its path turned into column and row, and with what to send instead."""
        place = _PLACE.fullmatch(str(error))
        if place is None:
            return f"{error}; send a list of rows"
        text, row = place["text"], place["row"]
        name = columns[int(place["position"])] if place["position"] else place["name"]
        if name in self.schema:
            return f"column {name!r}, row {row}: {text}; send {_wanted(self.schema[name])}"
        if missing := re.search("missing required field `(.*)`", text, re.DOTALL):
            return f"column {missing[1]!r}, row {row}: it is missing; send {', '.join(self.schema)}"
        return f"row {row}: {text}; send one value for each column"


class RowsDecoder:
    """Decodes bodies into rows with exactly the columns of `schema`; those in `required` may not hold nulls.

    `looked_up`: for each of the pipeline's lookups its columns, which a request may leave out, all of them together.
    """

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        *,
        required: Collection[str],
        looked_up: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.schema = dict(schema)
        self.looked_up = dict(looked_up or {})
        self._frames = FrameDecoder(schema, required=required)

    def decode(self, body: bytes) -> Rows:
        """The rows of `body`; RequestError 400 when it is not JSON, 422 when it does not keep the contract."""
        frame = self._frames.decode(body)
        return Rows(columns=[series.to_list() for series in frame], height=frame.height)


class _Split(Struct):
    columns: list[str]
    data: Raw


class _Request(Struct, forbid_unknown_fields=True):
    dataframe_split: _Split | UnsetType = UNSET
    dataframe_records: Raw | UnsetType = UNSET


_REQUEST = msgspec.json.Decoder(_Request)


def _parse(decode: Callable[[Any], Any], text: Any, *, explain: Callable[[Exception], str]) -> Any:
    try:
        return decode(text)
    except msgspec.ValidationError as error:
        raise RequestError(422, explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is not JSON: {error}; for NaN and Infinity send null") from None
    except RecursionError:
        raise RequestError(400, "the JSON is nested too deeply; send rows of plain values") from None


def _in_request(error: Exception) -> str:
    return f'{error}; send {{"dataframe_split": {{"columns": [...], "data": [[...], ...]}}}} or dataframe_records'


def _check_count(rows: Sequence[Any]) -> None:
    if not 1 <= len(rows) <= MAX_ROWS:
        raise RequestError(422, f"got {len(rows)} rows; send 1 to {MAX_ROWS:,} rows in a request")


def _refuse_repeated(text: bytes, *, names: Collection[str], rows: int) -> None:
    """Refuse a name that one record gives twice.

    Every name stands once in each row. So only when one is found more often (perhaps as a value), or could be written
    with escapes, is the text parsed a second time to know.
    """
    if b"\\" not in text and all(text.count(b'"%b"' % name.encode()) == rows for name in names):
        return

    def check(pairs: list[tuple[str, Any]]) -> None:
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1 and name in names:
                raise RequestError(422, f"column {name!r} is given twice in a row; send each column once")

    json.loads(text, object_pairs_hook=check, parse_int=str, parse_float=str)


def _series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    try:
        if isinstance(dtype, pl.Datetime):
            moments = pl.Series(name, [_utc(value) for value in values], pl.Datetime("us", "UTC"))
            return (moments if dtype.time_zone else moments.dt.replace_time_zone(None)).cast(dtype)
        return pl.Series(name, values, dtype, strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        if len(values) == 1:
            reason = str(error).splitlines()[0]
            raise RequestError(422, f"column {name!r}, row 0: {reason}; send {_wanted(dtype)}") from None
    return _blame_row(name, values, dtype)


def _blame_row(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    for row, value in enumerate(values):
        try:
            _series(name, [value], dtype)
        except RequestError as error:
            raise RequestError(error.status, str(error).replace("row 0", f"row {row}", 1)) from None
    raise RequestError(422, f"column {name!r}: its values do not fit {dtype}; send {_wanted(dtype)}")


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment and moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def _json_type(name: str, dtype: pl.DataType) -> Any:
    """What msgspec shall accept for a column of this type; ranges that it cannot hold are left to Polars."""
    kind = type(dtype)
    if kind in _BITS:
        half = 1 << (_BITS[kind] - 1)
        return Annotated[int, Meta(ge=-half, le=half - 1)]
    if kind in _UNSIGNED_BITS:
        return Annotated[int, Meta(ge=0, le=(1 << _UNSIGNED_BITS[kind]) - 1)]
    if kind is pl.UInt64:
        return Annotated[int, Meta(ge=0)]
    if kind is pl.Float32:
        return Annotated[float, Meta(ge=-_FLOAT32_MAX, le=_FLOAT32_MAX)]
    if kind not in _PLAIN:
        raise DefinitionError(f"column {name!r} is {dtype}, which JSON cannot carry; flatten it in the contract")
    return _PLAIN[kind]


def _wanted(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return f"a whole number in the range of {dtype}"
    if dtype.is_float():
        return "a finite number"
    if isinstance(dtype, pl.Datetime):
        return 'a moment like "2013-01-31T06:15:00Z"'
    if isinstance(dtype, pl.Date):
        return 'a day like "2013-01-31"'
    if isinstance(dtype, pl.Enum):
        return f"one of {', '.join(dtype.categories.head(20))}"
    return "true or false" if isinstance(dtype, pl.Boolean) else "a string"
