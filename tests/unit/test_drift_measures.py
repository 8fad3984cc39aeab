"""Each measure against its formula, worked out on rows with numpy and scipy.stats."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.unit.drift_world import days_of, profiled, world
from validation.watch.counting import count_window
from validation.watch.measures import SMALL_SPREAD, gauges
from validation.watch.profile import Profile
from validation.watch.stack import counted, stacked, usable
from validation.watch.surprise import Kind, Measures

DAYS, ROWS = 30, 400


def measured(profile: Profile, window: pl.DataFrame, *, windows: int = DAYS) -> list[Measures]:
    everything = np.ones(windows, dtype=np.bool_)
    found = list[Measures]()
    for kind in ("number", "category"):
        stack = stacked(profile.features, kind=kind, windows=windows)
        now = counted(stack, count_window(window, profile))
        for gauge in gauges(stack, matched=everything, min_windows=20):
            found.extend(gauge.read(now))
    return found


def one(found: list[Measures], kind: Kind, owner: int = 0, part: int = 0) -> dict[str, float]:
    """One feature's measure, now and as is usual."""
    for item in found:
        rows = np.flatnonzero((item.usual.owners == owner) & (item.usual.parts == part))
        if item.usual.kind == kind and len(rows):
            row = rows[0]
            return {
                "now": item.now[row],
                "noise": item.noise[row],
                "effect": item.effect[row],
                "least_p": item.least_p[row],
                "mean": item.usual.mean[row],
                "variance": item.usual.variance[row],
                "noise_then": item.usual.noise[row],
            }
    raise AssertionError(f"{kind} was not measured")


def scores_of(edges: Any, reference: Any, values: Any) -> Any:
    """The normal score of each value: the mean of normal quantiles between its bin's shares in the reference."""
    places = np.searchsorted(edges, reference, side="left")
    shares = np.bincount(places, minlength=len(edges) + 1) / len(reference)
    ends = stats.norm.ppf(np.clip(np.concatenate([[0], np.cumsum(shares)]), 0, 1))
    inside = [stats.truncnorm.mean(low, high) if high > low else 0.0 for low, high in pairwise(ends)]
    inside[0], inside[-1] = inside[1], inside[-2]
    return np.array(inside)[np.searchsorted(edges, values, side="left")]


def test_moments_are_those_of_normal_scores() -> None:
    rng = np.random.default_rng(1)
    rows, window = rng.gamma(3, 1, DAYS * ROWS), rng.gamma(4, 1, 250)
    profile = profiled(days_of({"x": rows}, days=DAYS))
    found = measured(profile, pl.DataFrame({"x": window}))
    edges = np.array(profile.features[0].edges)
    scores, days = scores_of(edges, rows, window), scores_of(edges, rows, rows).reshape(DAYS, ROWS)
    wide, wide_days = scores.var() + SMALL_SPREAD, days.var(axis=1) + SMALL_SPREAD
    expected: dict[Kind, tuple[float, Any, float]] = {
        "shift": (scores.mean(), days.mean(axis=1), 1),
        "spread": (0.5 * np.log(wide), 0.5 * np.log(wide_days), 0.5),
        "skewness": (stats.moment(scores, 3) / wide**1.5, stats.moment(days, 3, axis=1) / wide_days**1.5, 6),
        "kurtosis": (stats.moment(scores, 4) / wide**2, stats.moment(days, 4, axis=1) / wide_days**2, 24),
    }
    for kind, (now, then, noise) in expected.items():
        assert one(found, kind) == pytest.approx(
            {
                "now": now,
                "noise": noise / 250,
                "effect": now - then.mean(),
                "least_p": 0,
                "mean": then.mean(),
                "variance": then.var(ddof=1),
                "noise_then": noise / ROWS,
            }
        )


def test_a_share_of_nulls_is_also_judged_by_the_binomial() -> None:
    rng = np.random.default_rng(2)
    rows, window = rng.random((DAYS, ROWS)) < 0.05, np.arange(250) < 25
    frame = days_of({"x": np.where(rows.reshape(-1), np.nan, 1.0)}, days=DAYS)
    found = one(measured(profiled(frame), pl.DataFrame({"x": np.where(window, np.nan, 1.0)})), "nulls")
    rate = (rows.sum() + 3) / (rows.size + 3)
    assert found == pytest.approx(
        {
            "now": 0.1,
            "noise": rate * (1 - rate) / 250,
            "effect": 0.1 - rows.mean(),
            "least_p": stats.binom.sf(24, 250, rate),
            "mean": rows.mean(),
            "variance": rows.mean(axis=1).var(ddof=1),
            "noise_then": rate * (1 - rate) / ROWS,
        }
    )


def test_levels_that_were_never_seen_are_judged_by_good_and_turing() -> None:
    rng = np.random.default_rng(3)
    rows = rng.choice(["a", "b", "c"], DAYS * ROWS)
    rows[[5, 900]] = "once", "twice"
    rows[1_700] = "twice"
    found = measured(profiled(days_of({"c": rows}, days=DAYS)), pl.DataFrame({"c": ["new"] * 4 + ["a"] * 96}))
    unseen, rate = one(found, "unseen"), (1 + 3) / (DAYS * ROWS)
    assert unseen["now"] == 0.04
    assert unseen["least_p"] == pytest.approx(stats.binom.sf(3, 100, rate))
    assert unseen["mean"] == pytest.approx(1 / (DAYS * ROWS))  # of the levels of one window only, as "once" is


def test_the_mix_is_pearson_s_chi_square_against_all_other_windows() -> None:
    rng = np.random.default_rng(4)
    rows, window = rng.choice(list("abcde"), (DAYS, ROWS), p=[0.4, 0.3, 0.2, 0.06, 0.04]), np.repeat(list("abcde"), 80)
    found = one(measured(profiled(days_of({"c": rows.reshape(-1)}, days=DAYS)), pl.DataFrame({"c": window})), "mix")
    counts = np.stack([(rows == level).sum(axis=1) for level in "abcde"], axis=1)

    def surprise(observed: Any, reference: Any) -> float:
        shares = np.append(reference + 0.5, 0.5)  # the last is for all other levels
        expected = observed.sum() * shares / shares.sum()
        chi_square = float(stats.chisquare(np.append(observed, 0), expected).statistic)
        return float(np.cbrt(chi_square / 4))

    then = np.array([surprise(day, counts.sum(axis=0) - day) for day in counts])
    assert found["now"] == pytest.approx(surprise(np.full(5, 80), counts.sum(axis=0)))
    assert found["mean"] == pytest.approx(then.mean())
    assert found["variance"] == pytest.approx(then.var(ddof=1))
    shares = counts.sum(axis=0) / counts.sum()
    chance = 0.5 * np.sqrt(2 * shares * (1 - shares) / (np.pi * 400)).sum()
    assert found["effect"] == pytest.approx(0.5 * np.abs(0.2 - shares).sum() - chance)


def test_shares_are_those_of_the_three_most_frequent_levels_but_the_last() -> None:
    frame = world(1, days=DAYS, rows=200).with_columns(flag=pl.col("x0").is_null())
    profile = profiled(frame)
    place = {item.name: index for index, item in enumerate(profile.features)}
    found = measured(profile, frame.tail(200))
    shared = [item.usual for item in found if item.usual.kind == "share"]
    shares = {
        name: [int(item.parts[0]) for item in shared if place[name] in item.owners] for name in ("c2", "c20", "flag")
    }
    assert shares == {"c2": [0], "c20": [0, 1, 2], "flag": [0]}
    top = profile.features[place["c20"]].levels[2]
    assert one(found, "share", place["c20"], 2)["now"] == pytest.approx((frame.tail(200)["c20"] == top).mean())


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    chosen=st.lists(st.booleans(), min_size=6, max_size=6),
    least=st.integers(3, 6),
)
def test_what_is_compared_with_has_rows_matches_if_it_can_and_is_enough(
    rows: list[list[int]], chosen: list[bool], least: int
) -> None:
    found = usable(np.array(rows, dtype=float), matched=np.array(chosen), min_windows=least)
    for row, flags in zip(rows, found.tolist(), strict=True):
        filled = [count > 0 for count in row]
        both = [first and second for first, second in zip(filled, chosen, strict=True)]
        expected = both if sum(both) >= least else filled if sum(filled) >= least else [False] * 6
        assert flags == expected
