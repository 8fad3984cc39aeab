import json
import math
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.watch import profile as profiles
from validation.watch.counting import count_window
from validation.watch.profile import Counts, FeatureProfile, Profile, build_profile

NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def days_of(columns: dict[str, Any], *, days: int) -> pl.DataFrame:
    """Columns of `days` equal parts, one part per day."""
    frame = pl.DataFrame(columns)
    moments = pl.datetime_range(NEW_YEAR, NEW_YEAR + days * DAY, DAY, closed="left", eager=True, time_unit="us")
    return frame.with_columns(
        at=moments.dt.replace_time_zone("UTC").gather(np.arange(frame.height) * days // max(1, frame.height))
    )


def profiled(frame: pl.DataFrame, *, windows: int) -> Profile:
    return build_profile(frame, time="at", every=DAY, windows=windows, until=NEW_YEAR + windows * DAY)


def only(columns: dict[str, Any], *, days: int = 1) -> FeatureProfile:
    return profiled(days_of(columns, days=days), windows=days).features[0]


def test_numbers_are_counted_in_bins_of_equal_mass_and_one_on_either_side() -> None:
    feature = only({"x": np.arange(320.0)})
    assert feature.edges == (pytest.approx(0, abs=1e-300), *np.arange(9.0, 319, 10), 319.0)
    assert feature.windows == (Counts(bins=(0, *[10] * 32, 0), nulls=0, low=0.0, high=319.0),)
    assert feature.scale == pytest.approx(159.5 / 1.349)
    assert (feature.centre, feature.bins) == (159.5, 34)


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=80))
def test_edges_are_quantiles_of_the_values(values: list[float]) -> None:
    """Against numpy's inverted distribution function."""
    edges = only({"x": values}).edges
    quantiles = np.quantile(values, np.arange(1, 33) / 32, method="inverted_cdf") + 0.0
    assert edges[-1] == max(values)
    assert set(edges[1:]) <= set(quantiles) | {edges[0]}
    assert edges[0] < min(values) or min(values) == -np.finfo(float).max


def test_what_is_no_number_is_counted_apart() -> None:
    feature = only({"x": [1.0, None, math.nan, math.inf, -math.inf, 1.0]})
    assert feature.edges == (math.nextafter(1, 0), 1.0)
    assert feature.windows == (Counts(bins=(1, 2, 1), nulls=2, low=1.0, high=1.0),)
    assert only({"x": pl.Series([None], dtype=pl.Float64)}).windows == (Counts(bins=(0,), nulls=1),)


def test_windows_end_at_the_cut_off_and_may_be_empty() -> None:
    profile = build_profile(
        days_of({"x": [1, 2, 3, 4]}, days=4), time="at", every=DAY, windows=5, until=NEW_YEAR + 3 * DAY
    )
    assert [window.present for window in profile.features[0].windows] == [0, 0, 1, 1, 1]
    assert (profile.until, profile.every_seconds) == ("2013-01-04T00:00:00+00:00", 86_400.0)
    assert profile.starts == tuple(NEW_YEAR + day * DAY for day in range(-2, 3))
    assert replace(profile, features=()).starts == ()


def test_levels_are_counted_and_what_is_new_is_known() -> None:
    values = [f"l{level:03}" for level in range(60) for _ in range(2)]
    feature = only({"c": [*values, "once", None]})
    assert feature.levels == tuple(f"l{level:03}" for level in range(50))
    assert feature.known == (*(f"l{level:03}" for level in range(50, 60)), "once")
    assert (feature.singletons, feature.bins) == (1, 51)
    assert feature.windows[0] == Counts(bins=(*[2] * 50, 21), nulls=1, novel=121)


def test_a_level_of_one_window_only_is_new_there() -> None:
    feature = only({"c": ["a", "b", "a", "b", "c", "c", None, "a", "b"]}, days=3)
    assert feature.levels == ("a", "b", "c")
    assert feature.windows == (
        Counts(bins=(2, 1, 0, 0), nulls=0),
        Counts(bins=(0, 1, 2, 0), nulls=0, novel=2),
        Counts(bins=(1, 1, 0, 0), nulls=1),
    )


@pytest.mark.parametrize(("limit", "value"), [("KNOWN", 3), ("KNOWN_CHARACTERS", 6)])
def test_too_many_levels_are_not_kept(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "LEVELS", 1)
    monkeypatch.setattr(profiles, limit, value)
    assert only({"c": ["aa", "bb", "cc"]}).known == ("bb", "cc")
    more = only({"c": ["aa", "bb", "cc", "dd"]})
    assert (more.levels, more.known, more.windows[0]) == (("aa",), None, Counts(bins=(1, 3), nulls=0))


def test_columns_without_an_order_or_levels_are_not_profiled() -> None:
    frame = days_of({"x": [1, 2], "flag": [True, False]}, days=2).with_columns(
        moment=pl.col("at"), many=pl.lit([1, 2]), level=pl.lit("a").cast(pl.Categorical)
    )
    assert {item.name: item.kind for item in profiled(frame, windows=2).features} == {
        "x": "number",
        "flag": "category",
        "level": "category",
    }


odd = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.0, 1e300, math.inf, -math.inf, math.nan]))


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(odd, st.sampled_from([None, "a", "b", "c"]), st.booleans()), max_size=40))
def test_a_reference_window_is_counted_as_the_same_rows_are_later(
    rows: list[tuple[float | None, str | None, bool]],
) -> None:
    """All but `novel`: a reference window's levels are compared with the other windows'."""
    schema = {"x": pl.Float64, "c": pl.String, "flag": pl.Boolean}
    frame = days_of(pl.DataFrame(rows, schema=schema, orient="row").to_dict(), days=4)
    profile = profiled(frame, windows=4)
    for day, start in enumerate(profile.starts):
        found = count_window(frame.filter(pl.col("at") == start), profile)
        for feature in profile.features:
            assert replace(feature.windows[day], novel=0) == found.features[feature.name]


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(odd, st.text(max_size=5)), max_size=30), seed=st.integers(0, 9))
def test_a_profile_is_plain_json_that_comes_back_equal_whatever_the_order_of_rows(
    rows: list[tuple[float | None, str]], seed: int
) -> None:
    frame = days_of(pl.DataFrame(rows, schema={"x": pl.Float64, "c": pl.String}, orient="row").to_dict(), days=3)
    profile = profiled(frame, windows=3)
    assert Profile.from_json(profile.to_json()) == profile
    assert json.loads(profile.to_json())["features"][0]["name"] == "x"
    shuffled = profiled(frame.sample(fraction=1.0, shuffle=True, seed=seed), windows=3)
    for one, other in zip(profile.features, shuffled.features, strict=True):
        assert replace(one, scale=None) == replace(other, scale=None)
        assert one.scale == other.scale


def test_profiles_of_older_versions_can_be_read() -> None:
    """They had the counts of each window as an object, with its median and spread."""
    profile = profiled(days_of({"x": [1.0, 2.0, None], "c": ["a", "b", None]}, days=3), windows=3)
    raw = asdict(profile)
    for feature in raw["features"]:
        for window in feature["windows"]:
            del window["low"], window["high"]
            window |= {"centre": 1.0, "scale": None}
    found = Profile.from_json(json.dumps(raw))
    assert [item.windows[0] for item in found.features] == [
        Counts(bins=(0, 1, 0, 0), nulls=0),
        Counts(bins=(1, 0, 0), nulls=0, novel=1),
    ]


def test_the_profile_of_thirty_features_and_sixty_windows_is_small() -> None:
    """Bound: 200 kB. 100,000 rows a window, whose counts have the noise of sampling and of days; 1,000 levels each."""
    rng = np.random.default_rng(1)

    def windows(bins: int) -> tuple[Counts, ...]:
        means = 100_000 / bins * np.exp(rng.normal(0, 0.02, (60, bins)))
        ends = np.sort(rng.standard_normal((60, 2))).tolist()
        return tuple(
            Counts(bins=tuple(row), nulls=int(rng.poisson(5_000)), low=low, high=high)
            for row, (low, high) in zip(rng.poisson(means).tolist(), ends, strict=True)
        )

    edges = tuple(np.sort(rng.standard_normal(33)).tolist())
    levels = tuple(f"level {place:04}" for place in range(1_000))
    number = FeatureProfile(name="x", kind="number", edges=edges, windows=())
    category = FeatureProfile(name="c", kind="category", levels=levels[:50], known=levels[50:], windows=())
    features = [*[replace(number, windows=windows(34)) for _ in range(20)], *[category] * 10]
    features = [item if item.windows else replace(item, windows=windows(51)) for item in features]
    profile = Profile(until=NEW_YEAR.isoformat(), every_seconds=86_400, features=tuple(features))
    text = profile.to_json()
    assert Profile.from_json(text) == profile
    assert len(text) < 200_000
