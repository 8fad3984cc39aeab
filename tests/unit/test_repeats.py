"""Names given twice and bodies made to be slow to read: each costs time in proportion to its length, and no more."""

import json
import time
import tracemalloc
from typing import Any

import polars as pl
import pytest

from serving.requests.decoding import RequestError, RowsDecoder

MEGABYTE = 1_000_000
DECODER = RowsDecoder({"id": pl.String(), "x": pl.Float64()}, required=("id",))
ROW = b'"id":"a\\"b","x":1.0'  # an escaped quote: names must be looked for one by one


def body(more: bytes = b"", tail: bytes = b"") -> bytes:
    return b'{"dataframe_records":[{' + ROW + more + b"}]}" + tail


def filled(unit: bytes, size: int = MEGABYTE) -> bytes:
    return unit * (size // len(unit))


def answer(sent: bytes) -> str:
    try:
        return str(DECODER.decode(sent).columns)
    except RequestError as error:
        return str(error)


ROWS = "[['a\"b'], [1.0]]"
SLOW = {
    "space behind all": (body(tail=b" " * MEGABYTE), ROWS),
    "space behind a value": (body(b',"y":""' + b" " * MEGABYTE), ROWS),
    "space behind a name": (body(b',"y"' + b" " * MEGABYTE + b":0"), ROWS),
    "backslashes": (body(b',"y":"' + b"\\" * MEGABYTE + b'"'), ROWS),
    "quotes": (body(b',"y":"' + filled(b'\\"') + b'"'), ROWS),
    "strings": (body(b',"y":[' + filled(b'"",') + b"0]"), ROWS),
    "names": (body(b"," + filled(b'"":0,') + b'"y":0'), ROWS),
    "lists": (body(b',"y":[' + filled(b"[],") + b"0]"), ROWS),
    "depths": (body(b',"y":[' + filled(b"[" * 99 + b"]" * 99 + b",") + b"0]"), ROWS),
}


@pytest.mark.parametrize("case", SLOW)
def test_a_megabyte_takes_a_moment_whatever_it_is(case: str) -> None:
    sent, expected = SLOW[case]
    began = time.process_time()
    assert answer(sent) == expected
    assert time.process_time() - began < 1


def test_more_brackets_than_rows_could_have_are_not_gone_through() -> None:
    told = "got 1,000,004 lists and objects; send rows of plain values"
    assert answer(body(b',"y":[' + b"[]," * 1_000_000 + b"0]")) == told
    names = b"".join(b',"\\"%d":0' % number for number in range(10_001))
    assert answer(body(names)) == "got more than 10,000 names with escapes; send only the columns"


@pytest.mark.parametrize(
    "again", ['"x": 2', '"\\u0078" : 2', '"y": [{"x": 1}, "x", ":"], "x"\n:2', '"y": "\\\\", "x": 2']
)
def test_a_column_given_twice_is_found_among_values_that_look_alike(again: str) -> None:
    assert answer(body(b"," + again.encode())) == "column 'x' is given twice in a row; send each column once"


@pytest.mark.parametrize(
    "more", ['"y": {"x": 1, "id": [{}]}', '"y": ["x", {"x": "x\\":"}]', '"y": "x", "X": "\\"x\\": 1"']
)
def test_what_stands_elsewhere_is_no_repetition(more: str) -> None:
    assert answer(body(b"," + more.encode())) == ROWS


def test_the_same_long_name_twice_among_others_like_it_is_named() -> None:
    columns = [*("a" * 10_000 + f"{number:03}" for number in range(997)), "id", "x", "x"]
    sent = json.dumps({"dataframe_split": {"columns": columns, "data": [[1]]}}).encode()
    began = time.process_time()
    assert answer(sent) == "column 'x' is given twice; send each column once"
    assert time.process_time() - began < 0.2


def records(*values: Any) -> bytes:
    return json.dumps({"inputs": {"id": ["NaN"] * len(values), "x": values}}).encode()


def test_of_many_numbers_that_are_none_the_first_is_named_without_their_memory() -> None:
    nan, infinity = float("nan"), float("-inf")
    told = "column 'x', row 0: Expected `float | null`, got {}; send a finite number, or null"
    for sent, literal in (
        (records(*[nan] * 8_000), "NaN"),
        (records(infinity, *[1.0] * 8_000), "-Infinity"),
        (records(infinity, *[nan] * 8_000), "NaN or Infinity"),
    ):
        assert answer(sent) == told.format(literal)
    bomb = b'{"dataframe_split":{"columns":["id","x"],"data":[["a",' + filled(b"NaN,") + b"0]]}}"
    tracemalloc.start()
    try:
        assert answer(bomb) == told.format("NaN")
        assert tracemalloc.get_traced_memory()[1] < 6 * MEGABYTE
    finally:
        tracemalloc.stop()
