"""Why a request is not answered: the error, and decoders' messages turned into column, row, and what to send instead.

Names of columns are quoted, values never.
"""

import re
from collections.abc import Mapping, Sequence

import polars as pl

from serving.requests.columns import wanted
from validation.errors import ContractError

_LONG_BYTES = 64 * 1024  # of a body
_LONGEST_MESSAGE = 1_000  # messages quote names that the caller chose
_WHERE = re.compile(r"(?P<text>.*) - at `\$(?P<path>.*)`", re.DOTALL)
_IN_RECORD = re.compile(r"(?:\.\w+)?\[(?P<row>\d+)\](?:\.(?P<name>.*))?", re.DOTALL)
_IN_LIST = re.compile(r"\.\w+\.(?P<name>.*?)(?:\[(?P<row>\d+)\])?", re.DOTALL)
_IN_SPLIT = re.compile(r"\[(?P<row>\d+)\](?:\[(?P<position>\d+)\])?")
_MISSING = re.compile("missing required field `(.*)`", re.DOTALL)
_BYTE = re.compile(r"\(byte (\d+)\)")
_OTHERS = ("dataframe_records", "inputs", "instances")
_CONSTANT = re.compile(rb"NaN|Infinity")
_STRING_OR_CONSTANT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(-?(?:NaN|Infinity))', re.DOTALL)  # a string may have no end


class RequestError(ContractError):
    """The caller must act: the request cannot be answered; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}...")
        self.status = status


class NotJsonError(RequestError):
    """The body cannot be read as JSON."""

    def __init__(self, reason: object) -> None:
        super().__init__(400, f"the body is not JSON: {reason}; for NaN and Infinity send null")
        self.reason = str(reason)


def in_request(error: Exception, schema: Mapping[str, pl.DataType]) -> str:
    """Of a message that names a place in the whole body: `$.dataframe_records[3].seats`, `$.inputs.seats[3]`."""
    text, path = _split_message(error)
    if (place := _IN_RECORD.fullmatch(path)) is not None:
        if place["name"] in schema:
            return in_column(place["name"], place["row"], text, schema)
        return _in_row(place["row"], text, schema)
    if (place := _IN_LIST.fullmatch(path)) is not None and place["name"] in schema:
        return in_column(place["name"], place["row"], text, schema)
    if path and (missing := _MISSING.search(text)) and missing[1] in schema:
        return f"column {missing[1]!r} is missing; send {', '.join(schema)}"
    if path[1:] in _OTHERS:
        return f"{path[1:]}: {text}; send a list of rows"
    return f'{error}; send {{"dataframe_split": {{"columns": [...], "data": [[...], ...]}}}}, or {", ".join(_OTHERS)}'


def in_split(error: Exception, columns: Sequence[str], schema: Mapping[str, pl.DataType]) -> str:
    """Of a message about the data of a dataframe_split with these columns."""
    text, path = _split_message(error)
    place = _IN_SPLIT.fullmatch(path)
    if place is None:
        return f"dataframe_split.data: {text}; send a list of rows"
    if place["position"] is None:
        return _in_row(place["row"], text, schema)
    return in_column(columns[int(place["position"])], place["row"], text, schema)


def in_column(name: str, row: object, text: str, schema: Mapping[str, pl.DataType]) -> str:
    """One value, or without a row one list of values, that does not fit its column."""
    where = f"column {name!r}" if row is None else f"column {name!r}, row {row}"
    remedy = wanted(schema[name]) if row is not None else "a list with one value for each row"
    if row is not None and "null`" in text:
        remedy += ", or null"
    return f"{where}: {text}; send {remedy}"


def without_constants(body: bytes, error: NotJsonError) -> tuple[bytes, str] | None:
    """The body with empty lists for NaN and Infinity, and what they were, if one of them made it no JSON.

    No column takes a list: what refuses it names column and row. In long bodies they are replaced in strings, too,
    which may leave column and row untold: finding them one by one would take 40 times the body's memory.
    """
    place = _BYTE.search(error.reason)
    if place is None or _CONSTANT.match(body, at := int(place[1])) is None:
        return None
    at -= body[at - 1 : at] == b"-"
    if len(body) > _LONG_BYTES:
        return _roughly_without_constants(body, at)
    found = set(_STRING_OR_CONSTANT.findall(body, at)) - {b""}
    mended = _STRING_OR_CONSTANT.sub(lambda found: b"[]" if found[1] else found[0], body[at:])
    return body[:at] + mended, found.pop().decode() if len(found) == 1 else "NaN or Infinity"


def _roughly_without_constants(body: bytes, at: int) -> tuple[bytes, str]:
    mended, found = body[at:], list[bytes]()
    for literal in (b"-Infinity", b"Infinity", b"NaN"):
        if literal in mended:
            mended = mended.replace(literal, b"[]".ljust(len(literal)))
            found.append(literal)
    return body[:at] + mended, found.pop().decode() if len(found) == 1 else "NaN or Infinity"


def _in_row(row: object, text: str, schema: Mapping[str, pl.DataType]) -> str:
    if missing := _MISSING.search(text):
        return f"column {missing[1]!r}, row {row}: it is missing; send {', '.join(schema)}"
    if "Expected `object`" in text:
        text += "; send an object with the names of the columns: plain values do not tell which they are"
        return f"row {row}: {text}"
    return f"row {row}: {text}; send one value for each column"


def _split_message(error: Exception) -> tuple[str, str]:
    """What is wrong, and where."""
    place = _WHERE.fullmatch(str(error))
    text, path = (place["text"], place["path"]) if place else (str(error), "")
    return ("it is none of the column's categories" if text.startswith("Invalid enum value") else text), path
