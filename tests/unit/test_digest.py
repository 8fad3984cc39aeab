"""The digest of a frame: its values and nothing else, as an independent reading of the format finds it as well."""

import hashlib
import json
import math
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import digest as module
from storage.digest import column_digests, frame_digest
from validation.errors import ContractError

GOLDEN = "2a69c4ada4409b754087bdb792a3abcfe439f8f42b527b01331627b0e0a2ebf9"


def digest_of(frame: pl.DataFrame) -> str:
    return frame_digest(frame.height, column_digests(frame))


def sample() -> pl.DataFrame:
    """Every type, with nulls, NaN, both zeros, empty texts and lists."""
    moment = datetime(2013, 1, 1, 12, tzinfo=UTC)
    return pl.DataFrame(
        {
            "flag": [True, None, False],
            "small": pl.Series([1, None, -3], dtype=pl.Int8),
            "big": pl.Series([2**64 - 1, None, 0], dtype=pl.UInt64),
            "number": [1.5, math.nan, None],
            "half": pl.Series([-0.0, 0.25, None], dtype=pl.Float32),
            "text": ["", "Straße", None],
            "blob": [b"\x00", None, b""],
            "day": [date(1970, 1, 2), None, date(2013, 1, 1)],
            "moment": pl.Series([moment, None, moment], dtype=pl.Datetime("us", "UTC")),
            "price": pl.Series([Decimal("1.50"), None, Decimal("-2.25")], dtype=pl.Decimal(10, 2)),
            "list": pl.Series([[1.0, None], None, []], dtype=pl.List(pl.Float64)),
            "texts": pl.Series([["a"], ["", None], None], dtype=pl.List(pl.String)),
            "pair": [{"x": 1.0, "y": "a"}, None, {"x": None, "y": ""}],
        }
    )


def sha(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def by_the_book(kind: str, values: list[Any]) -> str:
    """A column's digest, value by value in plain Python, as the module's docstring has it."""
    nulls = b"".join(struct.pack("<Q", row) for row, value in enumerate(values) if value is None)
    lengths = content = b""
    if kind.startswith("list["):
        lengths = b"".join(struct.pack("<Q", len(value or [])) for value in values)
        content = by_the_book(kind[5:-1], [item for value in values for item in value or []]).encode()
    elif kind.startswith("{"):
        fields = {name: [value and value[name] for value in values] for name in json.loads(kind)}
        content = "".join(by_the_book(json.loads(kind)[name], field) for name, field in fields.items()).encode()
    elif kind in ("text", "blob"):
        texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        lengths = b"".join(struct.pack("<Q", len(text)) for text in texts)
        content = b"".join(texts)
    else:
        content = b"".join(PACKED[kind](value) for value in values)
    streams = [hashlib.sha256(stream).hexdigest() for stream in (nulls, lengths, content)]
    return sha([kind, len(values), *streams])


def packed(form: str) -> Callable[[Any], bytes]:
    return lambda value: struct.pack(form, value or 0)


def micros(moment: datetime | None) -> bytes:
    return struct.pack("<q", round(moment.timestamp() * 1_000_000) if moment else 0)


PACKED: dict[str, Callable[[Any], bytes]] = {
    "bool": packed("<B"),
    "i8": packed("<b"),
    "u64": packed("<Q"),
    "f32": lambda value: struct.pack("<f", (value or 0.0) + 0.0),
    "f64": lambda value: (
        b"\x00" * 6 + b"\xf8\x7f" if value is not None and math.isnan(value) else struct.pack("<d", value or 0.0)
    ),
    "date": lambda value: struct.pack("<i", (value - date(1970, 1, 1)).days if value else 0),
    "moment[us,UTC]": micros,
    "decimal[2]": lambda value: int((value or Decimal(0)).scaleb(2)).to_bytes(16, "little", signed=True),
}
KINDS = {
    "flag": "bool",
    "small": "i8",
    "big": "u64",
    "number": "f64",
    "half": "f32",
    "text": "text",
    "blob": "blob",
    "day": "date",
    "moment": "moment[us,UTC]",
    "price": "decimal[2]",
    "list": "list[f64]",
    "texts": "list[text]",
    "pair": '{"x": "f64", "y": "text"}',
}


def test_the_digest_of_each_type_is_what_the_format_says() -> None:
    frame = sample()
    expected = {name: by_the_book(kind, frame[name].to_list()) for name, kind in KINDS.items()}
    assert column_digests(frame) == expected
    assert digest_of(frame) == sha([1, 3, sorted([name, value] for name, value in expected.items())])


def test_the_digest_is_the_same_for_ever() -> None:
    """Golden: as `by_the_book` computed it, with Polars 2.1.0."""
    assert digest_of(sample()) == GOLDEN


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.none() | st.floats(), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=3),
    texts=st.lists(st.none() | st.text(max_size=20), min_size=30, max_size=30),
)
def test_how_the_rows_lie_in_memory_leaves_no_trace(
    numbers: list[float | None], texts: list[str | None], cuts: list[int]
) -> None:
    frame = pl.DataFrame(
        {
            "number": pl.Series(numbers, dtype=pl.Float64),
            "text": pl.Series(texts[: len(numbers)], dtype=pl.String),
            "texts": pl.Series([[text, text] for text in texts[: len(numbers)]], dtype=pl.List(pl.String)),
        }
    )
    bounds = [0, *sorted(cuts), frame.height]
    pieces = [frame.slice(start, max(end - start, 0)) for start, end in pairwise(bounds)]
    chunked = pl.concat(pieces, rechunk=False).select("texts", "text", "number")
    assert digest_of(chunked.with_columns(pl.col("text").cast(pl.Categorical))) == digest_of(frame)


def test_pieces_are_hashed_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digest_of(sample())
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 2)
    assert digest_of(sample()) == expected


def test_a_file_gives_the_digest_of_what_was_written(tmp_path: Any) -> None:
    frame = sample().drop("big")  # unsigned numbers and decimals are kept by Parquet as they are
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=1)
    assert digest_of(pl.read_parquet(tmp_path / "a.parquet")) == digest_of(frame)


def test_every_nan_and_both_zeros_are_one() -> None:
    odd = np.array([0xFFF8000000000001, 0x7FF0000000000001, 0x8000000000000000], dtype=np.uint64).view(np.float64)
    assert digest_of(pl.DataFrame({"x": odd})) == digest_of(pl.DataFrame({"x": [math.nan, math.nan, 0.0]}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": [1, 2]}, {"x": [2, 1]}),
        ({"x": [1, 2]}, {"x": [1.0, 2.0]}),
        ({"x": [1, 2]}, {"y": [1, 2]}),
        ({"x": [0]}, {"x": pl.Series([None], dtype=pl.Int64)}),
        ({"x": [None, 0]}, {"x": [0, None]}),
        ({"x": [0.0]}, {"x": [math.nan]}),
        ({"x": ["ab", "c"]}, {"x": ["a", "bc"]}),
        ({"x": [""]}, {"x": pl.Series([None], dtype=pl.String)}),
        ({"x": ["a"]}, {"x": [b"a"]}),
        ({"x": [[1], []]}, {"x": [[], [1]]}),
        ({"x": [[1], [2, 3]]}, {"x": [[1, 2], [3]]}),
        ({"x": [[], []]}, {"x": pl.Series([[], None], dtype=pl.List(pl.Null))}),
        ({"x": [1], "y": [2]}, {"x": [2], "y": [1]}),
        ({"x": [{"a": 1}]}, {"x": [{"b": 1}]}),
        ({"x": [{"a": None}]}, {"x": pl.Series([None], dtype=pl.Struct({"a": pl.Null}))}),
        ({"x": [{"a": 1, "b": 2}]}, {"x": [{"a": 2, "b": 1}]}),
        ({"x": []}, {"x": [None]}),
        ({}, {"x": pl.Series([], dtype=pl.Int64)}),
    ],
)
def test_another_value_type_name_or_order_is_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest_of(pl.DataFrame(one)) != digest_of(pl.DataFrame(other))


@settings(max_examples=60, deadline=None)
@given(
    one=st.lists(st.none() | st.text(max_size=3), max_size=5),
    other=st.lists(st.none() | st.text(max_size=3), max_size=5),
)
def test_equal_digests_are_equal_values(one: list[str | None], other: list[str | None]) -> None:
    frames = [pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}) for values in (one, other)]
    assert (digest_of(frames[0]) == digest_of(frames[1])) == (one == other)


def test_a_type_without_a_digest_is_named() -> None:
    with pytest.raises(ContractError, match="column 'x' is Object, which has no digest; cast it to plain values"):
        column_digests(pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)}))
