"""A hundred thousand bodies that nobody meant well: each gets rows or a sentence, and nothing is kept of them."""

import gc
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelling.inputs import frame_of
from serving.requests.decoding import RequestError, RowsDecoder
from serving.requests.rows import Rows
from tests.e2e.mutation import NAMES, bodies, text
from tests.e2e.strict_reading import Contract, RefusedError, frame, read

BODIES, OF_HYPOTHESIS = 100_000, 600
LONGEST_SECONDS = 1.0  # of CPU, for bodies of up to some MB
MOST_GROWTH_MB = 16.0  # of the process, test and all, while the second half is decoded
FRAMES_EVERY = 10  # so seldom are the frames compared as well as the values
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "dep time": pl.Float64(),
    "half": pl.Float32(),
    "seats": pl.Int16(),
    "long": pl.Int64(),
    "big": pl.UInt64(),
    "open": pl.Boolean(),
    "size": pl.Enum(["s", "m"]),
    "kind": pl.Categorical(),
    "day": pl.Date(),
    "ns": pl.Datetime("ns"),
    "ms": pl.Datetime("ms", "Europe/Berlin"),
}
CONTRACT = Contract(SCHEMA, required=("id", "at"), groups=(("seats", "size"), ("day",)))


def decoder() -> RowsDecoder:
    return RowsDecoder(
        SCHEMA, required=CONTRACT.required, looked_up=dict(zip(("planes", "sky"), CONTRACT.groups, strict=True))
    )


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def answer(decoding: RowsDecoder, body: bytes) -> tuple[int, Rows | None]:
    """Status and rows, in good time; only a RequestError may be raised: a short sentence that JSON can carry."""
    began = time.thread_time()
    try:
        return 200, decoding.decode(body)
    except RequestError as error:
        status, told = error.status, str(error)
    finally:
        assert time.thread_time() - began < LONGEST_SECONDS, body[:2000]
    assert 0 < len(told) < 1_100
    msgspec.json.encode(told)
    return status, None


def expected(body: bytes) -> list[list[Any]] | str | None:
    """What the strict reading says: the values, None when it refuses, "unknown" when the body is too deep for it."""
    try:
        return read(body, CONTRACT)
    except RefusedError:
        return None
    except RecursionError:
        return "unknown"


def check(decoding: RowsDecoder, body: bytes, *, frames: bool) -> int:
    """The status, after it was held against the strict reading."""
    status, rows = answer(decoding, body)
    wanted = expected(body)
    if rows is None:
        assert status in (400, 422), status
        assert wanted in (None, "unknown"), f"refused, though it keeps the contract: {body[:2000]!r}"
        return status
    assert wanted in ("unknown", rows.columns), f"read as something else: {body[:2000]!r}"
    made = frame_of(rows.columns, SCHEMA)
    assert dict(made.schema) == SCHEMA
    if frames and isinstance(wanted, list):
        assert made.equals(frame(wanted, SCHEMA)), f"another frame: {body[:2000]!r}"
    return status


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mutated_bodies_are_read_as_strictly_as_by_python_and_nothing_grows() -> None:
    decoding, seen, half = decoder(), Counter[int](), 0.0
    for number, body in enumerate(bodies(CONTRACT, seed=6, count=BODIES)):
        if number == BODIES // 2:
            gc.collect()
            half = resident_mb()
        seen[check(decoding, body, frames=number % FRAMES_EVERY == 0)] += 1
    gc.collect()
    assert min(seen[200], seen[400], seen[422]) > BODIES // 10, f"a fuzz that reaches only one end: {seen}"
    assert resident_mb() - half < MOST_GROWTH_MB
    assert decoding.kept_orders <= 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a", "m", "s"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, *SCHEMA]) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)
VALUES = st.fixed_dictionaries({name: st.none() | st.sampled_from(["a", 1, 0.5, True]) | JSON for name in SCHEMA})
REQUESTS = JSON | st.dictionaries(
    st.sampled_from(NAMES),
    st.lists(VALUES, max_size=3)
    | st.fixed_dictionaries({name: st.lists(JSON, max_size=2) for name in SCHEMA})
    | st.fixed_dictionaries({"columns": st.permutations(list(SCHEMA)), "data": st.lists(st.lists(JSON), max_size=3)}),
    min_size=1,
    max_size=2,
)
DECODER = decoder()


@pytest.mark.slow
@settings(max_examples=OF_HYPOTHESIS, deadline=None)
@given(REQUESTS, st.randoms(use_true_random=False))
def test_requests_that_hypothesis_makes_are_read_the_same(request: Any, dice: Any) -> None:
    check(DECODER, text(request, dice), frames=True)


def test_some_mutated_bodies_are_read_as_strictly_as_by_python() -> None:
    decoding = decoder()
    seen = Counter(check(decoding, body, frames=True) for body in bodies(CONTRACT, seed=1, count=1_000))
    assert min(seen[200], seen[400], seen[422]) > 100


def test_decoders_that_are_gone_leave_nothing_behind() -> None:
    """A champion's decoder makes types; they must go when it goes."""

    def swap(times: int) -> float:
        for _ in range(times):
            decoding = decoder()
            for body in bodies(CONTRACT, seed=2, count=3):
                answer(decoding, body)
        gc.collect()
        return resident_mb()

    before = swap(100)
    assert swap(200) - before < MOST_GROWTH_MB / 4
