"""Estimates of a binary champion from its scores; labels are drawn anew, so that what is true is known."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from validation.watch.estimates import LEVEL, MIN_WINDOWS, interval, spread_of
from validation.watch.scores import LOSS, ScoreTable, isotonic, score_table

Floats = NDArray[np.float64]
SMALL = ScoreTable(edges=(0.3, 0.5, 0.8), chances=(0.1, 0.4, 0.6, 0.9), usual=0.4, spread={}, windows=20)
SCORES = np.array([0.1, 0.2, 0.35, 0.5, 0.55, 0.7, 0.8, 0.95])
CHANCES = np.array([0.1, 0.1, 0.4, 0.6, 0.6, 0.6, 0.9, 0.9])


def world(rng: np.random.Generator, rows: int, *, windows: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Scores that are too sure of themselves, and labels: shape (windows, rows); a window's odds move by chance."""
    moves = rng.normal(0, 0.15, (windows, 1))
    log_odds = rng.normal(shift, 1.2, (windows, rows))
    labels = rng.random((windows, rows)) < 1 / (1 + np.exp(-(log_odds + moves)))
    return 1 / (1 + np.exp(-1.4 * log_odds)), labels.astype(np.float64)


def table_of(scores: Floats, labels: Floats) -> ScoreTable:
    number = np.repeat(np.arange(len(scores)), scores.shape[1])
    found = score_table(scores.ravel(), labels.ravel(), number)
    assert found is not None
    return found


def by_hand(scores: Floats, labels: Floats) -> dict[str, float]:
    """Metrics of labelled rows, pair by pair and row by row."""
    yes, no = scores[labels == 1], scores[labels == 0]
    decided = scores >= 0.5
    pairs = (yes[:, None] > no).mean() + (yes[:, None] == no).mean() / 2
    return {
        "auc": float(pairs),
        "accuracy": float((decided == (labels == 1)).mean()),
        "f1": float(2 * (decided & (labels == 1)).sum() / (decided.sum() + labels.sum())),
        "positive rate": float(labels.mean()),
        LOSS: float(-np.log(np.where(labels == 1, scores, 1 - scores)).mean()),
    }


def test_what_is_expected_is_what_drawn_labels_have_on_average() -> None:
    """Against 2,000 draws of the labels, and their spread; 400 rows, so that a ratio's mean is nearly that of means."""
    rng, scores, chances = np.random.default_rng(5), np.tile(SCORES, 50), np.tile(CHANCES, 50)
    estimate = SMALL.estimate(SMALL.count(scores))
    assert estimate is not None
    binned = np.searchsorted(SMALL.edges, scores, side="right") / 4 + 0.01  # pairs of one bin count half
    drawn = [(rng.random(400) < chances).astype(np.float64) for _ in range(2_000)]
    came = [by_hand(scores, labels) | {"auc": by_hand(binned, labels)["auc"]} for labels in drawn]
    told = {**estimate.metrics, LOSS: estimate.loss}
    ends = {**estimate.intervals, LOSS: (estimate.lower, estimate.upper)}
    for name, value in told.items():
        values = np.array([item[name] for item in came])
        assert value == pytest.approx(values.mean(), abs=0.003), name
        assert (ends[name][1] - ends[name][0]) / 2 == pytest.approx(1.96 * values.std(), rel=0.05), name


def test_the_expected_auc_is_that_of_all_pairs() -> None:
    """Sum over pairs of q_i (1 - q_j), ordered by bin, half within one, over sum q sum (1 - q); golden with pencil."""
    bins = np.searchsorted(SMALL.edges, SCORES, side="right")
    above = (bins[:, None] > bins) + (bins[:, None] == bins) / 2
    pairs = (CHANCES[:, None] * (1 - CHANCES) * above).sum() / (CHANCES.sum() * (1 - CHANCES).sum())
    estimate = SMALL.estimate(SMALL.count(SCORES))
    assert estimate is not None
    assert estimate.metrics["auc"] == pytest.approx(pairs, abs=1e-12)
    assert estimate.metrics["auc"] == pytest.approx((0.18 + 0.84 + 5.4 + 6.66) / (4.2 * 3.8), abs=1e-12)
    assert estimate.metrics["positive rate"] == pytest.approx(4.2 / 8)
    assert estimate.metrics["accuracy"] == pytest.approx((0.9 + 0.9 + 0.6 + 3 * 0.6 + 2 * 0.9) / 8)
    assert estimate.metrics["f1"] == pytest.approx(2 * (3 * 0.6 + 2 * 0.9) / (5 + 4.2))
    assert (estimate.rows, estimate.usual, estimate.level) == (8, 0.4, LEVEL)


def test_counts_of_parts_add_up_to_the_whole() -> None:
    whole, parts = SMALL.count(SCORES), SMALL.count(SCORES[:3]) + SMALL.count(SCORES[3:])
    for name in ("rows", "if_yes", "if_no"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12)


@settings(deadline=None)  # the first imports scipy
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (min(pair), max(pair))),
        min_size=1,
        max_size=12,
    )
)
def test_the_table_never_falls_and_is_the_nearest_that_does_not(bins: list[tuple[int, int]]) -> None:
    """Against the max-min formula of isotonic regression (Barlow et al. 1972, 1.9), with rows as weights."""
    yes, rows = np.array(bins, dtype=np.float64).T
    found = isotonic(yes, rows)
    assert (np.diff(found) >= -1e-12).all()
    assert ((found >= 0) & (found <= 1)).all()
    held = np.flatnonzero(rows)
    y, w = yes[held], rows[held]
    for place, number in enumerate(held):
        blocks = [
            min(y[low : high + 1].sum() / w[low : high + 1].sum() for high in range(place, len(held)))
            for low in range(place + 1)
        ]
        assert found[number] == pytest.approx(max(blocks), abs=1e-9)


def test_realised_values_lie_in_the_interval_as_often_as_it_says() -> None:
    """No drift, but windows that differ: 60 references of 30 windows, of each 10 windows after; 95 % of 600."""
    rng, hits = np.random.default_rng(11), dict.fromkeys(("auc", "accuracy", "f1", "positive rate", LOSS), 0)
    for _ in range(60):
        table = table_of(*world(rng, 400, windows=30))
        for scores, labels in zip(*world(rng, 400, windows=10), strict=True):
            estimate = table.estimate(table.count(scores))
            assert estimate is not None
            ends = {**estimate.intervals, LOSS: (estimate.lower, estimate.upper)}
            for name, value in by_hand(scores, labels).items():
                hits[name] += ends[name][0] <= value <= ends[name][1]
    assert {name for name, count in hits.items() if not 0.92 * 600 <= count <= 0.98 * 600} == set(), hits


def test_a_covariate_shift_is_followed_where_a_constant_is_far_off() -> None:
    rng = np.random.default_rng(2)
    table = table_of(*world(rng, 2_000, windows=20))
    scores, labels = world(rng, 100_000, windows=1, shift=1.5)
    estimate = table.estimate(table.count(scores[0]))
    assert estimate is not None
    came = float(-np.log(np.where(labels == 1, scores, 1 - scores)).mean())
    assert abs(estimate.loss - came) < 0.3 * abs(table.usual - came)


def test_a_window_without_rows_or_of_one_kind_is_told_as_far_as_it_goes() -> None:
    assert SMALL.estimate(SMALL.count([])) is None
    never = ScoreTable(edges=(0.5,), chances=(0.0, 0.0), usual=0.1, spread={}, windows=20)
    estimate = never.estimate(never.count([0.1, 0.2]))
    assert estimate is not None
    assert sorted(estimate.metrics) == ["accuracy", "positive rate"]
    assert (estimate.lower, estimate.upper) == (estimate.loss, estimate.loss)
    json.dumps(asdict(estimate), allow_nan=False)


@pytest.mark.parametrize(("windows", "made"), [(MIN_WINDOWS - 1, False), (MIN_WINDOWS, True)])
def test_a_table_needs_windows_that_say_how_far_it_may_be_off(windows: int, *, made: bool) -> None:
    scores, labels = world(np.random.default_rng(1), 50, windows=windows)
    number = np.repeat(np.arange(windows) * 3, 50)
    assert (score_table(scores.ravel(), labels.ravel(), number) is not None) == made
    assert score_table(scores.ravel(), np.ones(scores.size), number) is None


def test_the_decision_is_never_inside_of_a_bin_and_windows_keep_their_order_out_of_it() -> None:
    scores, labels = world(np.random.default_rng(4), 300, windows=8)
    table = table_of(scores, labels)
    assert 0.5 in table.edges
    assert table_of(scores[::-1], labels[::-1]) == table


def test_a_reference_window_is_estimated_by_a_table_of_the_others() -> None:
    """The spread of the positive rate, counted anew: with its own labels in the table a window's error is too small."""
    scores, labels = world(np.random.default_rng(6), 200, windows=12)
    table, squares = table_of(scores, labels), []
    bins = np.searchsorted(table.edges, scores, side="right")
    for window in range(12):
        others = np.arange(12) != window
        size = len(table.edges) + 1
        yes = np.bincount(bins[others].ravel(), labels[others].ravel(), size).astype(np.float64)
        rows = np.bincount(bins[others].ravel(), minlength=size).astype(np.float64)
        chance = isotonic(yes, rows)[bins[window]]
        noise = (chance * (1 - chance)).sum() / 200**2
        squares.append((chance.mean() - labels[window].mean()) ** 2 - noise)
    assert table.spread["positive rate"] == pytest.approx(np.mean(squares), rel=1e-9)
    assert table.spread["positive rate"] > 0


def test_spread_is_what_chance_does_not_explain() -> None:
    errors = [{"auc": (0.3, 0.01)}, {"auc": (-0.1, 0.03)}, {"auc": (0.0, 0.01), "f1": (0.1, 0.5)}]
    assert spread_of(errors) == {"auc": pytest.approx((0.09 + 0.01 + 0.0) / 3 - 0.05 / 3), "f1": 0.0}


def test_an_interval_is_normal_without_spread_and_students_of_spread_alone() -> None:
    """Golden: quantiles from a printed table, 1.959964 and t(9) = 2.262157."""
    assert interval(1.0, noise=0.04, spread=0.0, windows=10) == pytest.approx((1 - 0.3919928, 1 + 0.3919928), abs=1e-5)
    reach = 2.262157 * (0.04 * 1.1) ** 0.5
    assert interval(1.0, noise=0.0, spread=0.04, windows=10) == pytest.approx((1 - reach, 1 + reach), abs=1e-6)


def test_the_brier_score_is_estimated_where_it_is_the_metric() -> None:
    """Golden with pencil: sum of q (1 - p)^2 + (1 - q) p^2 over rows; and against counted labels of made-up windows."""
    expected = np.mean(CHANCES * (1 - SCORES) ** 2 + (1 - CHANCES) * SCORES**2)
    table = ScoreTable(**{**asdict(SMALL), "loss": "brier"})
    estimate = table.estimate(table.count(SCORES))
    assert estimate is not None
    assert estimate.loss == pytest.approx(expected, abs=1e-12)
    scores, labels = world(np.random.default_rng(2), 2_000, windows=21)
    made = score_table(scores[:20].ravel(), labels[:20].ravel(), np.repeat(np.arange(20), 2_000), loss="brier")
    assert made is not None
    later = made.estimate(made.count(scores[20]))
    assert later is not None
    assert later.lower < np.square(labels[20] - scores[20]).mean() < later.upper
    assert made.usual == pytest.approx(np.square(labels[:20] - scores[:20]).mean(), rel=0.02)
