from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.errors import ContractError
from validation.uniqueness import Values, repeats

CELLS: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "int": (pl.Int64(), st.integers(-2, 4)),
    "small": (pl.UInt8(), st.integers(0, 3)),
    "long": (pl.Int128(), st.integers(-1, 1)),
    "float": (pl.Float64(), st.sampled_from([0.0, -0.0, 1.5, float("nan")])),
    "text": (pl.String(), st.sampled_from(["", "a", "é"])),
    "day": (pl.Date(), st.sampled_from([date(2020, 1, 1), date(2020, 1, 2)])),
    "money": (pl.Decimal(6, 2), st.sampled_from([Decimal("1.10"), Decimal("2.20")])),
    "bool": (pl.Boolean(), st.booleans()),
    "list": (pl.List(pl.Int64), st.lists(st.integers(0, 1), max_size=2)),
    "level": (pl.Categorical(), st.sampled_from(["x", "y"])),
}


def expected(frame: pl.DataFrame, fields: list[str]) -> tuple[list[int], int]:
    """As Pandera reports it: all rows that share their value; and of these all but the first."""
    value = pl.col(fields[0]) if len(fields) == 1 else pl.struct(fields)
    later = frame.select(~value.is_first_distinct()).to_series().arg_true().to_list()
    return later, frame.select(value.is_duplicated().sum()).item()


@settings(max_examples=200, deadline=None)
@given(data=st.data(), rows=st.integers(0, 15), in_memory=st.sampled_from([1, 4, 1_000]))
def test_repeated_values_of_all_types_are_found_as_pandera_finds_them(
    data: st.DataObject, rows: int, in_memory: int
) -> None:
    """In one pass, or in as many as memory asks for."""
    fields = data.draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=3, unique=True))
    columns = {name: st.lists(st.none() | CELLS[name][1], min_size=rows, max_size=rows) for name in fields}
    frame = pl.DataFrame(
        {name: data.draw(cells) for name, cells in columns.items()}, schema={name: CELLS[name][0] for name in fields}
    )
    values = Values(frame=frame.lazy(), fields=tuple(fields), schema=frame.schema, rows=rows)
    found = repeats(values, in_memory=in_memory)
    assert (found.later.to_list(), found.sharing) == expected(frame, fields)


@pytest.mark.parametrize("in_memory", [1_000_000, 30_000])
@pytest.mark.parametrize("spoilt", [[], [5], [0], [3, 70_000], [*range(0, 100_000, 3)]])
def test_ids_that_mostly_count_up_are_compared_all_the_same(spoilt: list[int], in_memory: int) -> None:
    """The fast path for ids: whatever is spoilt, a sort says the same."""
    ids = np.arange(100_000)
    ids[spoilt] = ids[-1] - np.arange(len(spoilt)) % 7
    frame = pl.DataFrame({"id": ids})
    values = Values(frame=frame.lazy(), fields=("id",), schema=frame.schema, rows=frame.height)
    found = repeats(values, in_memory=in_memory)
    assert (found.later.to_list(), found.sharing) == expected(frame, ["id"])


def test_a_key_that_is_null_is_no_key_and_repeats_none() -> None:
    frame = pl.DataFrame({"a": [None, None, 1, 1], "b": ["x", "x", "x", "x"]})
    one = Values(frame=frame.lazy(), fields=("a",), schema=frame.schema, rows=4, nulls_count=False)
    two = Values(frame=frame.lazy(), fields=("a", "b"), schema=frame.schema, rows=4, nulls_count=False)
    assert [repeats(values).later.to_list() for values in (one, two)] == [[3], [3]]


def test_values_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two texts with one hash are known, so the hash is made a bad one."""
    monkeypatch.setattr(pl.Expr, "hash", lambda self: self.str.len_chars().cast(pl.UInt64))
    frame = pl.DataFrame({"a": ["a", "b", "a", "cc", "dd"]})
    found = repeats(Values(frame=frame.lazy(), fields=("a",), schema=frame.schema, rows=5))
    assert (found.later.to_list(), found.sharing) == ([2], 2)


def test_a_file_that_yields_other_rows_than_it_says_is_no_whole_file() -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    values = Values(frame=frame.lazy(), fields=("a",), schema=frame.schema, rows=3)
    with pytest.raises(ContractError, match="says that it has 3 rows, 2 were read; upload it again"):
        repeats(values)
