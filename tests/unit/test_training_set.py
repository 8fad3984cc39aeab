"""The batches of a snapshot, written as ranges and read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.errors import RegistryError
from validation.training_set import as_ranges, is_within, numbers_in


@pytest.mark.parametrize(
    ("numbers", "ranges"), [([], ""), ([4], "4"), ([3, 1, 2, 2], "1-3"), ([1, 2, 5, 7, 8], "1-2,5,7-8")]
)
def test_neighbours_stand_together(numbers: list[int], ranges: str) -> None:
    assert as_ranges(numbers) == ranges


@given(numbers=st.sets(st.integers(min_value=1, max_value=40)))
def test_what_is_written_is_read_again(numbers: set[int]) -> None:
    ranges = as_ranges(numbers)
    assert set(numbers_in(ranges)) == numbers
    assert {number for number in range(45) if is_within(number, ranges)} == numbers


def test_other_text_is_refused() -> None:
    with pytest.raises(RegistryError, match="must be ranges like 1-3,7, got 'all of them'; is this ledger whole"):
        numbers_in("all of them")
