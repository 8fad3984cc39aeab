from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.influence import pseudo_losses
from validation.intervals import paired_interval

Array = np.ndarray[Any, np.dtype[np.float64]]
rows = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40).filter(
    lambda found: 2 <= sum(label for label, *_ in found) <= len(found) - 2
)


def auc(label: Sequence[bool], score: Sequence[float]) -> float:
    """By its definition: the share of pairs that are ranked right, ties one half."""
    good = [s for s, y in zip(score, label, strict=True) if y]
    bad = [s for s, y in zip(score, label, strict=True) if not y]
    return float(np.mean([(one > other) + 0.5 * (one == other) for one, other in product(good, bad)]))


def delong(label: Sequence[bool], first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """AUC(second) - AUC(first) and its variance, from DeLong et al. 1988, (2) to (6), pair by pair."""
    parts = []
    for score in (first, second):
        good = [s for s, y in zip(score, label, strict=True) if y]
        bad = [s for s, y in zip(score, label, strict=True) if not y]
        kernel = np.array([[(one > other) + 0.5 * (one == other) for other in bad] for one in good])
        parts.append((kernel.mean(), kernel.mean(axis=1), kernel.mean(axis=0)))
    (area1, good1, bad1), (area2, good2, bad2) = parts
    variance = (good2 - good1).var(ddof=1) / len(good1) + (bad2 - bad1).var(ddof=1) / len(bad1)
    return float(area2 - area1), float(variance)


@settings(deadline=None)
@given(rows=rows)
def test_the_mean_is_one_minus_the_auc(rows: list[tuple[bool, int, int]]) -> None:
    label, score, _ = zip(*rows, strict=True)
    assert pseudo_losses(label, score).mean() == pytest.approx(1 - auc(label, score))


def test_the_interval_is_that_of_delong() -> None:
    """60 rows with ties, each its own block: the same difference and, but for 1/n for 1/(n-1), the same variance."""
    rng = np.random.default_rng(5)
    label = rng.random(60) < 0.4
    first = np.round(label + rng.normal(0, 1.5, 60), 1)
    second = np.round(label + rng.normal(0, 1.0, 60), 1)
    difference, variance = delong(label.tolist(), first.tolist(), second.tolist())
    gain = pseudo_losses(label, first) - pseudo_losses(label, second)
    found = paired_interval(gain, np.arange(60) * 2, alpha=0.05)
    assert found.mean == pytest.approx(difference)
    assert found.standard_error**2 == pytest.approx(variance, rel=0.05)
    good, bad = gain[label], gain[~label]
    positive, negative = label.sum(), (~label).sum()
    exact = (good.var(ddof=1) * positive**2 / 60**2 / positive) + (bad.var(ddof=1) * negative**2 / 60**2 / negative)
    assert exact == pytest.approx(variance)


@settings(deadline=None)
@given(rows=rows)
def test_a_rising_function_of_the_score_changes_nothing_and_a_falling_one_mirrors(
    rows: list[tuple[bool, int, int]],
) -> None:
    label, score, _ = (np.array(part) for part in zip(*rows, strict=True))
    found = pseudo_losses(label, score)
    np.testing.assert_allclose(pseudo_losses(label, np.exp(score)), found, atol=1e-12)
    np.testing.assert_allclose(pseudo_losses(label, -score), 1 - found, atol=1e-12)
    np.testing.assert_allclose(pseudo_losses(~label, -score), found, atol=1e-12)


@settings(deadline=None)
@given(rows=rows, seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[bool, int, int]], seed: int) -> None:
    label, score, _ = (np.array(part) for part in zip(*rows, strict=True))
    order = np.random.default_rng(seed).permutation(len(rows))
    np.testing.assert_allclose(
        pseudo_losses(label[order], score[order]), pseudo_losses(label, score)[order], atol=1e-12
    )


def test_a_constant_score_ranks_half_of_the_pairs_right() -> None:
    np.testing.assert_allclose(pseudo_losses([0, 1, 1, 0, 1], [0.3] * 5), 0.5)


def test_without_both_classes_there_is_no_auc() -> None:
    assert np.isnan(pseudo_losses([1, 1], [0.1, 0.2])).all()
    assert len(pseudo_losses([], [])) == 0


def test_a_score_that_is_no_number_has_no_value_and_counts_for_nobody() -> None:
    found = pseudo_losses([0, 1, 1, 0], [0.1, 0.4, np.nan, 0.2])
    assert np.isnan(found).tolist() == [False, False, True, False]
    np.testing.assert_allclose(found[[0, 1, 3]], pseudo_losses([0, 1, 0], [0.1, 0.4, 0.2]))


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one value per row, got shapes \(2,\) and \(3,\)"):
        pseudo_losses([0, 1], [1, 2, 3])
    with pytest.raises(ValueError, match="label must be 0 or 1"):
        pseudo_losses([0, 2], [1, 2])


def test_days_that_are_alike_widen_the_interval_of_an_auc_difference() -> None:
    """Golden: of 600 decisions at 5 % between models that are equally good on days whose levels move, 15 say better;
    taken row by row, 62 would.
    """
    rng, days = np.random.default_rng(11), np.repeat(np.arange(20), 40)
    below, below_iid = 0, 0
    for _ in range(600):
        truth = rng.normal(0, 1.2, 800)
        label = rng.random(800) < 1 / (1 + np.exp(-truth))
        scores = [truth + rng.normal(0, 0.4, 800) + rng.normal(0, 0.8, 20)[days] for _ in range(2)]
        gain = pseudo_losses(label, scores[0]) - pseudo_losses(label, scores[1])
        below += paired_interval(gain, days, alpha=0.05).lower > 0
        below_iid += paired_interval(gain, np.arange(800) * 2, alpha=0.05).lower > 0
    assert (below, below_iid) == (15, 62)
