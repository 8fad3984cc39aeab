"""JSON -> rows of raw contract columns, or a sentence that names column and row. It never guesses.

Takes MLflow's four formats: `dataframe_split`, `dataframe_records`, and `inputs` and `instances` with a list of records
or an object of columns. A list of plain lists is refused: it does not say which value is which. Unknown columns are
ignored; nulls are allowed but in required columns (key and time); looked-up columns may be left out.
"""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

import msgspec
import polars as pl
from msgspec import UNSET, Struct

from serving.requests.columns import TEXTS, Convert, UnfitError, converter
from serving.requests.formats import FORMATS, MAX_COLUMNS, Layout, Split
from serving.requests.refusals import NotJsonError, RequestError, in_column, in_request, in_split, without_constants
from serving.requests.repeats import IN_LISTS, IN_ROWS, refuse_repeated, refuse_repeated_in_split
from serving.requests.row_limit import MAX_ROWS, RowLimit, too_many
from serving.requests.rows import Rows

__all__ = ["MAX_COLUMNS", "MAX_ROWS", "RequestError", "RowsDecoder"]

_KEPT_ORDERS = 64  # column orders whose decoder is kept; a client that permutes more pays for each request
_KEPT_BYTES = 64 * 1024  # of such an order's text

_astuple = msgspec.structs.astuple


class RowsDecoder:
    """Decodes bodies into rows with exactly the columns of `schema`; those in `required` may not hold nulls.

    `looked_up`: for each of the pipeline's lookups its columns, which a request may leave out, all of them together.
    Threads may decode at the same time.
    """

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        *,
        required: Collection[str],
        looked_up: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.schema, self.required = dict(schema), frozenset(required)
        self.looked_up = {name: tuple(columns) for name, columns in (looked_up or {}).items()}
        self._layout = Layout(schema, required=required, groups=self.looked_up.values())
        self._request = self._layout.request_decoder()
        self._limit = RowLimit(tuple(schema), fewest=len(schema) - len(self._layout.optional))
        self._order = lru_cache(_KEPT_ORDERS)(self._layout.order)
        self._texts = [position for position, dtype in enumerate(schema.values()) if isinstance(dtype, TEXTS)]
        converters = [(position, name, converter(dtype)) for position, (name, dtype) in enumerate(schema.items())]
        self._converters = [(position, name, convert) for position, name, convert in converters if convert is not None]

    @property
    def kept_orders(self) -> int:
        """How many orders of columns are known by heart; bounded, whatever callers send."""
        return self._order.cache_info().currsize

    def decode(self, body: bytes) -> Rows:
        """The rows of `body`; RequestError 400 when it is not JSON, 422 when it does not keep the contract."""
        try:
            return self._decode(body)
        except NotJsonError as error:
            if (mended := without_constants(body, error)) is None:
                raise
            self._blame_constant(*mended)
            raise

    def _decode(self, body: bytes) -> Rows:
        if not body.isascii():
            _check_utf8(body)
        self._limit.check(body)
        name, value, with_params = self._parsed(body)
        if type(value) is Split:
            rows = self._from_split(value)
            refuse_repeated_in_split(body, values=_length(value), index=value.index is not UNSET)
        else:
            rows, times = self._from_records(value) if type(value) is list else self._from_lists(value, name)
            keys = times * (len(rows.columns) - len(rows.absent)) + 1 + with_params
            depth = IN_ROWS if type(value) is list else IN_LISTS
            refuse_repeated(body, self.schema, times=times, depth=depth, strings=keys + self._strings(rows))
        self._convert(rows)
        return rows

    def _parsed(self, body: bytes) -> tuple[str, Any, bool]:
        """The one format that the body brings, with what it holds; and whether there are (empty) params."""
        request = _parse(self._request.decode, body, explain=lambda error: in_request(error, self.schema))
        *values, params = _astuple(request)
        given = [(name, value) for name, value in zip(FORMATS, values, strict=True) if value is not UNSET]
        if len(given) != 1:
            got = " and ".join(name for name, _ in given) or "none of them"
            raise RequestError(422, f"send one of {', '.join(FORMATS)}; got {got}")
        if params is not UNSET and not _is_empty(bytes(params)):
            raise RequestError(422, "params: the model takes none; leave them out")
        return *given[0], params is not UNSET

    def _from_records(self, records: list[Struct]) -> tuple[Rows, int]:
        _check_count(len(records))
        columns: list[list[Any]]
        if len(records) == 1:
            columns = [[value] for value in _astuple(records[0])]
        else:
            columns = list(map(list, zip(*map(_astuple, records), strict=True)))
        return self._without_groups(Rows(columns, len(records))), len(records)

    def _from_lists(self, lists: Struct, form: str) -> tuple[Rows, int]:
        columns = list(_astuple(lists))
        given = [(name, len(column)) for name, column in zip(self.schema, columns, strict=True) if column is not UNSET]
        name, height = given[0] if given else ("", 0)
        for other, length in given:
            if length != height:
                what = f"column {other!r} has {length} values, {name!r} has {height}"
                raise RequestError(422, f"{form}: {what}; send a value (or null) for each row in each column")
        _check_count(height)
        whole = [[UNSET] * height if column is UNSET else column for column in columns]
        return self._without_groups(Rows(whole, height)), 1

    def _from_split(self, split: Split) -> Rows:
        text = bytes(split.columns)
        order = self._order(text) if len(text) <= _KEPT_BYTES else self._layout.order(text)
        data = _parse(
            order.decoder.decode, split.data, explain=lambda error: in_split(error, order.columns, self.schema)
        )
        _check_count(len(data))
        columns = [[value] for value in data[0]] if len(data) == 1 else list(map(list, zip(*data, strict=True)))
        if not order.in_order:
            columns = [[None] * len(data) if at < 0 else columns[at] for at in order.positions]
        return Rows(columns, len(data), order.absent)

    def _without_groups(self, rows: Rows) -> Rows:
        """Nulls for the groups of columns that no row brings; RequestError 422 when some do, or bring a part."""
        if not self._layout.groups:
            return rows
        gaps = {name: column.count(UNSET) for name, column in zip(self.schema, rows.columns, strict=True)}
        rows.absent = self._layout.absent([name for name, count in gaps.items() if count == rows.height])
        for position, name in enumerate(self.schema):
            if name in rows.absent:
                rows.columns[position] = [None] * rows.height
            elif gaps[name]:
                self._layout.refuse_missing(name, row=rows.columns[position].index(UNSET))
        return rows

    def _strings(self, rows: Rows) -> int:
        """How many values are strings in JSON."""
        return sum(rows.height - rows.columns[position].count(None) for position in self._texts)

    def _convert(self, rows: Rows) -> None:
        for position, name, convert in self._converters:
            column = rows.columns[position]
            try:
                rows.columns[position] = [None if value is None else convert(value) for value in column]
            except UnfitError as error:
                row = next(row for row, value in enumerate(column) if not _fits(value, convert))
                raise RequestError(422, in_column(name, row, str(error), self.schema)) from None

    def _blame_constant(self, body: bytes, literal: str) -> None:
        """RequestError 422 with column and row, if in `body` a list stands where NaN or Infinity was a value."""
        try:
            self._decode(body)
        except RequestError as error:
            if str(error).startswith("column ") and "got `array`; send " in str(error):
                raise RequestError(422, str(error).replace("got `array`", f"got {literal}")) from None


def _parse(decode: Callable[[Any], Any], text: Any, *, explain: Callable[[Exception], str] = str) -> Any:
    try:
        return decode(text)
    except msgspec.ValidationError as error:
        raise RequestError(422, explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJsonError(error) from None
    except RecursionError:
        raise RequestError(400, "the JSON is nested too deeply; send rows of plain values") from None


def _check_count(rows: int) -> None:
    if rows > MAX_ROWS:
        raise too_many(rows)
    if rows == 0:
        raise RequestError(422, f"got 0 rows; send 1 to {MAX_ROWS:,} rows in a request")


def _fits(value: Any, convert: Convert) -> bool:
    try:
        return value is None or convert(value) is not None
    except UnfitError:
        return False


def _length(split: Split) -> int:
    """The bytes of its values."""
    parts = [split.columns, split.data] if split.index is UNSET else [split.columns, split.data, split.index]
    return sum(memoryview(part).nbytes for part in parts)


def _is_empty(params: bytes) -> bool:
    return params == b"null" or (params[:1] == b"{" and not params[1:-1].strip())


def _check_utf8(body: bytes) -> None:
    """Of strings that nobody reads, too: of columns that are ignored."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise NotJsonError(f"it is no UTF-8 at byte {error.start}") from None
