"""Predictions by the partition are those of all rows at once, in whatever chunks the model gets them."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelling.batches import predictions_of


class Sums:
    """A model that adds up its columns, and remembers how many rows it was given at a time."""

    def __init__(self, classes: int = 0) -> None:
        self.classes, self.asked = classes, list[tuple[int, int]]()

    def predict(self, raw: pl.DataFrame, *, threads: int = 1) -> NDArray[np.float64]:
        self.asked.append((raw.height, threads))
        sums = raw.sum_horizontal().cast(pl.Float64).to_numpy()
        return np.column_stack([sums] * self.classes) if self.classes else sums


@given(
    heights=st.lists(st.integers(0, 30), max_size=6), cells=st.integers(1, 40), classes=st.sampled_from([0, 3])
)  # fmt: skip
def test_all_rows_get_their_prediction_in_chunks_of_at_most_so_many_cells(
    heights: list[int], cells: int, classes: int
) -> None:
    rows = pl.DataFrame({"a": range(sum(heights)), "b": range(sum(heights))}, schema={"a": pl.Int64, "b": pl.Int64})
    partitions = [rows.slice(sum(heights[:number]), height) for number, height in enumerate(heights)]
    model = Sums(classes)
    found = list(predictions_of(model, partitions, cells=cells))
    assert [part.height for part, _ in found] == heights
    expected = Sums(classes).predict(rows)
    np.testing.assert_array_equal(np.concatenate([expected[:0], *(values for _, values in found)]), expected)
    assert all(height <= max(1, cells // 2) for height, _ in model.asked)


def test_the_next_partition_is_asked_for_when_this_one_was_taken() -> None:
    asked = []

    def partitions() -> Iterator[pl.DataFrame]:
        for number in range(3):
            asked.append(number)
            yield pl.DataFrame({"a": [number]})

    made = predictions_of(Sums(), partitions())
    next(made)
    assert asked == [0]


@pytest.mark.parametrize(("rows", "threads"), [(1_999, 1), (2_000, 4)])
def test_few_rows_are_not_worth_threads(rows: int, threads: int) -> None:
    model = Sums()
    list(predictions_of(model, [pl.DataFrame({"a": range(rows)})], threads=4))
    assert model.asked == [(rows, threads)]
