"""Which look this is, what it may spend, and when the next one would probably decide."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.gate_policy import Gate
from validation.intervals import Interval, paired_interval
from validation.looks import MAX_TIMES_MORE, Looks, looks_of, more_blocks
from validation.sequential import nominal_alpha

POLICY = Gate(max_looks=3)


def of(gain: float, *, blocks: int = 10, spread: float = 1.0) -> Interval:
    """A gain whose blocks deviate by +-spread; no two are neighbours."""
    values = gain + spread * np.resize([1.0, -1.0], blocks)
    return paired_interval(values, np.arange(blocks) * 2, alpha=0.1)


def test_the_first_look_plans_as_many_blocks_for_each_of_the_others() -> None:
    looks = looks_of((), 7, POLICY)
    assert (looks, looks.last) == (Looks(planned=3), False)
    assert looks.level(0.2, 7) == nominal_alpha(0.2, [1 / 3], looks=3)
    third = looks_of((7, 12), 30, POLICY)
    assert (third, third.last) == (Looks(planned=3, earlier=(7, 12)), True)
    assert third.level(0.2, 30) == pytest.approx(nominal_alpha(0.2, [7 / 21, 12 / 21, 30 / 21], looks=3))


def test_a_look_that_could_decide_nothing_has_spent_nothing() -> None:
    """Three blocks are too few, and the second look had no new one: what is left is the first of one, with all."""
    assert looks_of((3, 3), 10, POLICY) == Looks(planned=1)
    assert looks_of((3, 3), 10, POLICY).level(0.2, 10) == 0.2
    assert looks_of((7, 7), 10, POLICY) == Looks(planned=2, earlier=(7,))
    assert looks_of((7,), 7, POLICY) == Looks(planned=3, earlier=(7,), news=False)


def test_more_blocks_are_those_that_bring_the_bound_to_where_it_decides() -> None:
    looks = looks_of((), 10, POLICY)
    for gain in (0.2, 0.05, -0.2):
        found = of(gain)
        more = more_blocks(found, 1.0, looks=looks, policy=POLICY)
        assert more is not None
        level = Looks(planned=3, earlier=(10,)).level(0.2, 20)
        enough = [decides(gain, 10 + extra, level) for extra in (more - 1, more)]
        assert enough == [False, True]


def decides(gain: float, blocks: int, level: float) -> bool:
    """At that level, of blocks that deviate as the first ten do."""
    from scipy import stats

    error = of(gain).standard_error * np.sqrt(10 / blocks)
    reach = stats.t.isf(level, 9 * blocks / 10) * error
    return bool(gain - reach > 0 if gain >= 0.001 else gain + reach < 0.001)


@settings(deadline=None)
@given(gain=st.floats(-2, 2), loss=st.floats(0.01, 10), blocks=st.integers(2, 40))
def test_more_blocks_are_at_least_one_and_as_many_as_are_asked_for(gain: float, loss: float, blocks: int) -> None:
    more = more_blocks(of(gain, blocks=blocks), loss, looks=looks_of((), blocks, POLICY), policy=POLICY)
    assert more is None or max(1, POLICY.min_blocks - blocks) <= more <= blocks * MAX_TIMES_MORE


def test_a_larger_gain_decides_sooner() -> None:
    found = [more_blocks(of(gain), 1.0, looks=Looks(planned=3), policy=POLICY) for gain in (0.05, 0.1, 0.3, 2.0)]
    assert found == sorted(found, key=lambda more: -(more or 0))
    assert found[-1] == 1


def test_what_cannot_be_told_is_not() -> None:
    assert more_blocks(of(0.3), 1.0, looks=Looks(planned=1), policy=POLICY) is None  # there is no further look
    assert more_blocks(of(0.0), 1.0, looks=Looks(planned=3), policy=Gate(min_gain=0.0, max_looks=3)) is None
    assert more_blocks(of(0.0101), 1.0, looks=Looks(planned=3), policy=POLICY) is None  # years


@pytest.mark.parametrize(("blocks", "more"), [(0, 5), (1, 4), (4, 1)])
def test_too_few_blocks_ask_for_what_is_lacking(blocks: int, more: int) -> None:
    found = paired_interval(np.ones(blocks), np.arange(blocks), alpha=0.1)
    assert more_blocks(found, 1.0, looks=looks_of((), blocks, POLICY), policy=POLICY) == more
