from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from validation.watch.evidence import discoveries, simes
from validation.watch.measures import normal_scores
from validation.watch.surprise import Floats, Kind, Measures, Rhythm, Usual, p_values, usual


def known(then: Any, *, kind: Kind = "shift", noise: float = 0.0) -> Usual:
    """What is usual of several features; `then` (features, windows)."""
    windows = np.atleast_2d(np.asarray(then, dtype=float))
    return usual(kind, np.arange(len(windows)), windows, noise=np.full(len(windows), noise))


def plain(
    then: Any, *, kind: Kind = "shift", noise: float = 0.0, correlation: float = 0.0, widening: float = 1.0
) -> Usual:
    """With this autocorrelation and these tails, whatever the windows say."""
    found = known(then, kind=kind, noise=noise)
    return replace(found, correlation=np.full(len(found.mean), correlation), widening=widening)


def p_value(usual: Usual, now: float, *, noise: float = 0.0) -> float:
    one = np.ones(1)
    found = p_values(Measures(usual=usual, now=now * one, noise=noise * one, effect=one, least_p=0 * one))
    return float(found[0])


def test_normal_scores_are_the_means_of_a_normal_between_its_quantiles() -> None:
    """Golden: for quarters, scipy.stats.truncnorm.mean between the quartiles."""
    cuts = [-np.inf, *stats.norm.ppf([0.25, 0.5, 0.75]), np.inf]
    expected = [stats.truncnorm.mean(low, high) for low, high in pairwise(cuts)]
    scores = normal_scores(np.array([[0.25] * 4, [0, 0.5, 0.5, 0], [0.0, 1.0, 0.0, 0.0]]))
    assert scores[0] == pytest.approx(expected)
    assert scores[1] == pytest.approx([-1, -0.79788456, 0.79788456, 1])
    assert scores[2].tolist() == [-1.0, 0.0, 1.0, 1.0]


def test_the_p_value_is_that_of_a_prediction_interval() -> None:
    """Golden: scipy.stats.t; for one more value of a normal sample, T = (x - mean) / (sd sqrt(1 + 1/m))."""
    then = stats.norm.rvs(size=30, random_state=4)
    statistic = (2.5 - then.mean()) / (then.std(ddof=1) * np.sqrt(1 + 1 / 30))
    assert p_value(plain(then), 2.5) == pytest.approx(2 * stats.t.sf(statistic, 29))
    assert p_value(plain(then, kind="mix"), 2.5) == pytest.approx(stats.t.sf(statistic, 29))
    assert p_value(plain(then, kind="mix"), -2.5) > 0.9
    assert p_value(plain(then, widening=2.0), 2.5) == pytest.approx(2 * stats.t.sf(statistic / 2, 29))
    half = (2.5 - then.mean()) / (then.std(ddof=1) * np.sqrt(1 + 1 / 10))  # r = 1/2 leaves a third of the windows
    assert p_value(plain(then, correlation=0.5), 2.5) == pytest.approx(2 * stats.t.sf(half, 9))


def test_a_season_is_taken_off_where_an_f_test_finds_one() -> None:
    """Golden: scipy.stats.f_oneway and the pooled variance within three seasons of ten; T with 30 - 3 degrees."""
    noise = stats.norm.rvs(size=(2, 30), random_state=6)
    slots = np.tile([0, 1, 2], 10)
    then = noise + np.array([[3.0], [0.0]]) * (slots == 1)
    groups = [then[0, slots == slot] for slot in range(3)]
    assert stats.f_oneway(*groups).pvalue < 0.01 < stats.f_oneway(*(then[1, slots == slot] for slot in range(3))).pvalue
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / 27
    found = usual("shift", np.arange(2), then, noise=np.zeros(2), rhythm=Rhythm(slots=slots, slot=1))
    assert found.mean == pytest.approx([groups[1].mean(), then[1].mean()])
    assert found.variance == pytest.approx([within, then[1].var(ddof=1)])
    assert (found.windows.tolist(), found.alike.tolist()) == ([28, 30], [10, 30])
    bare = replace(found, correlation=np.zeros(2), widening=1.0)
    measures = Measures(usual=bare, now=np.full(2, 5.0), noise=np.zeros(2), effect=np.ones(2), least_p=np.zeros(2))
    statistic = (5 - groups[1].mean()) / np.sqrt(within * (1 + 1 / 10))
    assert p_values(measures)[0] == pytest.approx(2 * stats.t.sf(statistic, 27))


def test_the_season_that_is_asked_for_decides_the_mean_alone() -> None:
    then = stats.norm.rvs(size=(1, 35), random_state=7) + np.tile(np.arange(7), 5)
    ways = [
        usual("shift", np.arange(1), then, noise=np.zeros(1), rhythm=Rhythm(slots=np.tile(np.arange(7), 5), slot=slot))
        for slot in range(7)
    ]
    assert [way.mean[0] for way in ways] == pytest.approx(then.reshape(5, 7).mean(axis=0).tolist())
    assert len({round(float(way.variance[0]), 12) for way in ways}) == 1


def test_windows_that_are_not_compared_with_are_as_if_not_there() -> None:
    then = stats.norm.rvs(size=(5, 30), random_state=5)
    gaps = np.full((5, 50), np.nan)
    gaps[:, np.sort(np.random.default_rng(1).permutation(50)[:30])] = then
    whole, holed = known(then, noise=0.1), known(gaps, noise=0.1)
    for name in ("windows", "mean", "variance", "noise", "correlation", "widening"):
        assert getattr(holed, name) == pytest.approx(getattr(whole, name))


def test_sampling_noise_is_a_floor_and_small_windows_are_noisier() -> None:
    constant = np.zeros(30)
    floor = 0.3 / (0.1 * np.sqrt(1 + 1 / 30))
    assert p_value(plain(constant, noise=0.01), 0.3, noise=0.01) == pytest.approx(2 * stats.t.sf(floor, 29))
    then = np.tile([-1.0, 1.0], 15)
    spread = np.sqrt((then.var(ddof=1) + 0.5) * (1 + 1 / 30))
    assert p_value(plain(then, noise=0.5), 3.0, noise=1.0) == pytest.approx(2 * stats.t.sf(3 / spread, 29))


def test_a_chance_that_is_uniform_stays_uniform() -> None:
    """Of 2,000 windows like the reference, the share below p is p: golden 1.3 % below 1 % and 9.45 % below 10 %."""
    rng = np.random.default_rng(6)
    found = np.array([p_value(plain(rng.normal(3, 2, 20)), rng.normal(3, 2)) for _ in range(2_000)])
    assert ((found < 0.01).mean(), (found < 0.1).mean()) == (0.013, 0.0945)


def walks(rng: np.random.Generator, *, features: int, days: int, stays: float) -> Floats:
    walk = rng.standard_normal((features, days))
    for day in range(1, days):
        walk[:, day] += stays * walk[:, day - 1]
    return walk


def test_autocorrelation_and_heavy_tails_of_the_reference_are_pooled_by_kind() -> None:
    rng = np.random.default_rng(7)
    walking = known(walks(rng, features=400, days=30, stays=0.7))
    assert walking.correlation.mean() == pytest.approx(0.7, abs=0.12)
    assert walking.correlation.std() < 0.1
    calm = known(rng.standard_normal((400, 30)))
    assert calm.correlation.mean() < 0.05
    assert calm.correlation.max() < 0.2
    assert calm.widening == pytest.approx(1.0, abs=0.03)
    assert known(rng.standard_t(2, (400, 30))).widening > 1.3


def test_one_season_among_many_calm_features_is_not_averaged_away() -> None:
    """The corrected autocorrelation of one feature that walks, of thirty, is well above that of the others."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(100):
        then = rng.standard_normal((30, 60))
        then[7] = walks(rng, features=1, days=60, stays=0.95)[0]
        found.append(known(then).correlation)
    mean = np.mean(found, axis=0)
    assert mean[7] > 0.45
    assert np.delete(mean, 7).max() < 0.15


def test_left_out_one_by_one_the_reference_windows_tell_how_heavy_tails_are() -> None:
    """Golden: each window against the others with numpy and scipy.stats, one at a time."""
    then = np.random.default_rng(9).standard_t(3, (6, 25))
    scores = []
    for row in then:
        for day in range(25):
            others = np.delete(row, day)
            statistic = (row[day] - others.mean()) / (others.std(ddof=1) * np.sqrt(1 + 1 / 24))
            scores.append(abs(stats.norm.ppf(stats.t.cdf(-abs(statistic), 23))))
    assert known(then).widening == pytest.approx(np.quantile(scores, 0.98) / stats.norm.ppf(0.99))


@settings(deadline=None)
@given(p_values=st.lists(st.floats(1e-9, 1), min_size=1, max_size=20), alpha=st.sampled_from([0.005, 0.05, 0.4]))
def test_discoveries_are_those_of_benjamini_and_hochberg(p_values: list[float], alpha: float) -> None:
    adjusted = stats.false_discovery_control(p_values)
    clear = [p for p in adjusted if abs(p - alpha) > 1e-9]
    found = discoveries(p_values, alpha)
    assert [hit for hit, p in zip(found, adjusted, strict=True) if p in clear] == [p <= alpha for p in clear]
    assert simes(p_values) == pytest.approx(min(adjusted))
