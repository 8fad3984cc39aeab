from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from validation.intervals import Interval, p_not_below, paired_interval, plain, upper_at

values = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@settings(deadline=None)
@given(values=values, alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_one_row_per_block_is_the_classical_t_interval(values: list[float], alpha: float) -> None:
    apart = np.arange(len(values)) * 2  # no two blocks are neighbours, so nothing is corrected
    found = paired_interval(values, apart, alpha=alpha)
    error = stats.sem(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.standard_error == pytest.approx(error, abs=1e-9)
    reach = stats.t.ppf(1 - alpha, len(values) - 1) * error
    assert (found.lower, found.upper) == pytest.approx((np.mean(values) - reach, np.mean(values) + reach), abs=1e-6)


def test_equal_blocks_are_judged_by_their_means() -> None:
    """Golden: scipy.stats on the five block means -0.5, 0.5, 1.0, 2.5, 1.5."""
    found = paired_interval([-1, 0, 0, 1, 1, 1, 2, 3, 1, 2], [0, 0, 2, 2, 4, 4, 6, 6, 8, 8], alpha=0.2)
    assert (found.mean, found.blocks, found.rows) == (1.0, 5, 10)
    assert found.standard_error == pytest.approx(0.5)
    assert found.lower == pytest.approx(1.0 - 0.5 * 0.940964577)
    assert found.upper == pytest.approx(1.0 + 0.5 * 0.940964577)


def test_unequal_blocks_are_a_ratio_estimate() -> None:
    """By hand: mean 2, block residuals (S - 2n) are 1-2=-1, 5-4=1, 6-6=0; variance 3/2 * 2 / 36."""
    found = paired_interval([1, 2, 3, 1, 2, 3], [10, 20, 20, 30, 30, 30], alpha=0.2)
    assert found.mean == 2.0
    assert found.standard_error == pytest.approx(np.sqrt(1.5 * 2 / 36))


def test_neighbouring_days_that_are_alike_widen_the_interval() -> None:
    """By hand: residuals -1, -1, 1, 1, twice; lag 1 is 1/8, corrected 1/7 + 0.12 = 0.262857; it dies away by 0.4, the
    weighted lags sum up to 7/8 + 6/8 0.4 + ... + 1/8 0.4^6 = 1.319672: worth 8 / (1 + 2 * 0.262857 * 1.319672) =
    4.723190 blocks; variance 8 * 8 / (3.723190 * 64); t with 3.723190 / 2 degrees.
    """
    values = [0, 0, 2, 2, 0, 0, 2, 2]
    apart = paired_interval(values, np.arange(8) * 10, alpha=0.2)
    assert (apart.effective_blocks, apart.freedom) == (8, 7)
    assert apart.standard_error == pytest.approx(np.sqrt(1 / 7))
    near = paired_interval(values, np.arange(8), alpha=0.2)
    assert (near.effective_blocks, near.freedom) == pytest.approx((4.723190, 3.723190 / 2))
    assert near.standard_error == pytest.approx(np.sqrt(1 / 3.723190))
    reach = stats.t.ppf(0.8, 3.723190 / 2) * np.sqrt(1 / 3.723190)
    assert (near.lower, near.upper) == pytest.approx((1 - reach, 1 + reach))


@given(values=values)
def test_the_correction_never_narrows(values: list[float]) -> None:
    days = np.arange(len(values))
    corrected = paired_interval(values, days, alpha=0.2).standard_error
    assert corrected >= paired_interval(values, days * 2, alpha=0.2).standard_error - 1e-12


@pytest.mark.parametrize(
    ("difference", "blocks", "mean"), [([], [], 0.0), ([2.0], [1], 2.0), ([1.0, 3.0], [1, 1], 2.0)]
)
def test_fewer_than_two_blocks_prove_nothing(difference: list[float], blocks: list[int], mean: float) -> None:
    assert paired_interval(difference, blocks, alpha=0.2) == Interval(
        mean=mean,
        standard_error=inf,
        lower=-inf,
        upper=inf,
        blocks=len(set(blocks)),
        rows=len(blocks),
    )


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    difference, blocks = rng.standard_normal(100), rng.integers(0, 9, 100)
    order = rng.permutation(100)
    first = paired_interval(difference, blocks, alpha=0.1)
    second = paired_interval(difference[order], blocks[order], alpha=0.1)
    assert (first.lower, first.upper) == pytest.approx((second.lower, second.upper))


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one row each, got shapes \(2,\) and \(3,\)"):
        paired_interval([1, 2], [1, 2, 3], alpha=0.2)
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        paired_interval([1, np.nan], [1, 2], alpha=0.2)


def test_a_verdict_shows_no_infinity() -> None:
    assert (plain(1.5), plain(inf), plain(float("nan"))) == (1.5, None, None)


def of_nothing(rng: np.random.Generator, *, blocks: int, correlation: float, noise: float) -> np.ndarray[Any, Any]:
    """Block means without any gain: alike from block to block, with noise on top."""
    level = rng.normal(size=blocks)
    for block in range(1, blocks):
        level[block] = correlation * level[block - 1] + np.sqrt(1 - correlation**2) * level[block]
    return np.asarray(level + noise * rng.normal(size=blocks))


@pytest.mark.parametrize("blocks", [7, 14, 60])
@pytest.mark.parametrize(("correlation", "noise"), [(0.0, 0.0), (0.4, 0.0), (0.4, 1.0)])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_level_is_kept_also_when_blocks_are_alike(
    blocks: int, correlation: float, noise: float, alpha: float
) -> None:
    """2,000 seeded samples without a gain: the lower bound is above 0 in a share of alpha at most, but for chance."""
    rng, days = np.random.default_rng(31), np.arange(blocks)
    above = sum(
        paired_interval(of_nothing(rng, blocks=blocks, correlation=correlation, noise=noise), days, alpha=alpha).lower
        > 0
        for _ in range(2_000)
    )
    assert above / 2_000 <= alpha + 1.645 * np.sqrt(alpha * (1 - alpha) / 2_000)


def test_the_p_value_and_the_bound_say_the_same() -> None:
    rng = np.random.default_rng(8)
    for _ in range(200):
        found = paired_interval(rng.normal(-0.5, 1, 12), np.arange(12), alpha=0.1)
        assert (p_not_below(found) < 0.1) == (found.upper < 0)


def test_a_bound_can_be_told_at_another_level() -> None:
    values = np.random.default_rng(9).normal(size=12)
    wide, narrow = (paired_interval(values, np.arange(12), alpha=alpha) for alpha in (0.01, 0.2))
    assert upper_at(narrow, 0.01) == pytest.approx(wide.upper)
    assert upper_at(paired_interval([1.0], [1], alpha=0.2), 0.01) == inf


@pytest.mark.parametrize(("values", "p"), [([], 1.0), ([-3.0], 1.0), ([-2.0, -2.0], 0.0), ([0.0, 0.0], 1.0)])
def test_without_spread_the_p_value_is_certain_and_without_blocks_it_knows_nothing(
    values: list[float], p: float
) -> None:
    assert p_not_below(paired_interval(values, np.arange(len(values)), alpha=0.1)) == p
