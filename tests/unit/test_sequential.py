"""Looks at one challenger: bounds against published tables and an independent integral, and the error of all looks."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from validation.looks import Looks
from validation.sequential import RHO, bounds, crossing, nominal_alpha

fractions = st.lists(st.floats(0.02, 0.5), min_size=1, max_size=5).map(lambda steps: tuple(accumulate(steps)))


def equal(looks: int) -> list[float]:
    return [(look + 1) / looks for look in range(looks)]


@pytest.mark.parametrize(("looks", "constant"), [(2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555)])
def test_pococks_constants_spend_what_they_should(looks: int, constant: float) -> None:
    """Jennison and Turnbull 2000, table 2.1: two-sided 5 %, so 2.5 % on each side."""
    assert sum(crossing([constant] * looks, equal(looks))) == pytest.approx(0.025, abs=5e-5)


@pytest.mark.parametrize(("looks", "constant"), [(2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)])
def test_o_brien_and_flemings_constants_spend_what_they_should(looks: int, constant: float) -> None:
    """Jennison and Turnbull 2000, table 2.3: the bound of look k is C sqrt(K / k)."""
    upper = [constant * np.sqrt(looks / (look + 1)) for look in range(looks)]
    assert sum(crossing(upper, equal(looks))) == pytest.approx(0.025, abs=5e-5)


def test_lan_and_demets_bounds_are_the_published_ones() -> None:
    """Five equal looks, 2.5 % one-sided: the bounds that the program of Reboussin, DeMets, Kim and Lan 2000 prints."""
    times = np.array(equal(5))
    like_obrien = 2 * stats.norm.sf(stats.norm.isf(0.0125) / np.sqrt(times))
    assert bounds(like_obrien.tolist(), equal(5)) == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=2e-4)
    like_pocock = 0.025 * np.log(1 + (np.e - 1) * times)
    assert bounds(like_pocock.tolist(), equal(5)) == pytest.approx((2.4380, 2.4268, 2.4101, 2.3966, 2.3859), abs=2e-4)


@pytest.mark.parametrize("information", [(1 / 3, 2 / 3, 1.0), (0.1, 0.11, 1.0), (0.5, 0.99, 1.0), (0.9, 1.4, 5.0)])
def test_unequal_looks_agree_with_an_independent_integral(information: tuple[float, ...]) -> None:
    """scipy's multivariate normal (Genz), correlation sqrt(t_j / t_k)."""
    upper = bounds((0.03, 0.04, 0.05), information)
    shared = [[np.sqrt(min(a, b) / max(a, b)) for a in information] for b in information]
    inside = stats.multivariate_normal(cov=shared, seed=1, abseps=1e-7, releps=1e-7, maxpts=10**6).cdf(upper)
    assert 1 - inside == pytest.approx(0.05, abs=2e-5)


@settings(deadline=None, max_examples=12)
@given(information=fractions, alpha=st.floats(0.01, 0.4))
def test_all_looks_together_spend_alpha(information: tuple[float, ...], alpha: float) -> None:
    levels = [nominal_alpha(alpha, information[: look + 1], looks=len(information)) for look in range(len(information))]
    assert all(0 < level <= alpha for level in levels)
    assert sum(crossing(stats.norm.isf(levels), information)) == pytest.approx(alpha, abs=1e-6)


@given(alpha=st.floats(0.01, 0.49))
def test_a_single_look_has_all_of_alpha(alpha: float) -> None:
    assert nominal_alpha(alpha, [1.0]) == alpha
    assert nominal_alpha(alpha, [0.4], looks=1) == alpha


def test_the_first_of_three_looks_has_three_quarters_of_alpha() -> None:
    """Golden: the first is alpha * 3 ** -RHO; the others agree with scipy's multivariate normal (test above)."""
    levels = [nominal_alpha(0.2, equal(3)[: look + 1], looks=3) for look in range(3)]
    assert levels[0] == pytest.approx(0.2 * 3**-RHO)
    assert levels == pytest.approx([0.151967, 0.080445, 0.069360], abs=1e-6)


def test_without_a_number_of_looks_the_information_says_which_is_the_last() -> None:
    planned = nominal_alpha(0.05, [1 / 3, 2 / 3, 1.0])
    assert planned == pytest.approx(nominal_alpha(0.05, [1 / 3, 2 / 3, 1.0], looks=3))
    assert nominal_alpha(0.05, [1 / 3, 1.2]) == pytest.approx(nominal_alpha(0.05, [1 / 3, 1.2], looks=2))


def test_blocks_that_come_faster_than_planned_are_not_spent_before_their_look() -> None:
    """Otherwise the last look would have nothing left."""
    assert nominal_alpha(0.05, [1 / 3, 5.0, 6.0], looks=3) > 0.005


@pytest.mark.parametrize("wrong", [(), (0.0,), (0.5, 0.5), (0.5, 0.4), (0.5, float("inf"))])
def test_information_only_grows(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="fractions must be one or more rising numbers above 0"):
        nominal_alpha(0.05, wrong)


@pytest.mark.parametrize(("alpha", "first"), [(0.05, 10), (0.2, 7), (0.2, 20)])
def test_three_looks_at_equal_models_seldom_promote(alpha: float, first: int) -> None:
    """4,000 challengers that are as good as the champion, looked at up to three times with t intervals of all blocks
    so far; alpha is what may be promoted, and the same number looked at without correction shows what it is for.
    """
    rng, promoted, naive = np.random.default_rng(17), 0, 0
    looks = (first, 2 * first, 3 * first)
    levels = [Looks(planned=3, earlier=looks[:index]).level(alpha, count) for index, count in enumerate(looks)]
    gains = rng.normal(size=(4_000, looks[-1]))
    for gain in gains:
        scores = [gain[:count].mean() / gain[:count].std(ddof=1) * np.sqrt(count) for count in looks]
        chances = [stats.t.sf(score, count - 1) for score, count in zip(scores, looks, strict=True)]
        promoted += any(chance < level for chance, level in zip(chances, levels, strict=True))
        naive += any(chance < alpha for chance in chances)
    assert promoted / 4_000 <= alpha + 2 * np.sqrt(alpha * (1 - alpha) / 4_000)
    assert naive / 4_000 > 1.4 * alpha
