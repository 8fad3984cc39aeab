import json
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.drift_world import DAY, NEW_YEAR, days_of, judged, numbers, profiled, world
from validation.watch.counting import count_window
from validation.watch.drift import (
    PREDICTION,
    PROBABLE_BAD_DATA,
    Drift,
    DriftVerdict,
    Profile,
    build_profile,
    judge,
    prepared,
)
from validation.watch.profile import Counts, FeatureProfile


def test_a_window_of_the_reference_is_quiet_and_nothing_is_modified() -> None:
    frame = numbers(1, days=30, rows=500, features=3)
    profile, window = profiled(frame), frame.filter(pl.col("at") == NEW_YEAR + 7 * DAY)
    before = (profile.to_json(), window.clone())
    verdict = judged(profile, window)
    assert (verdict.outcome, verdict.raised, verdict.judged, verdict.rows) == ("quiet", False, 3, 500)
    assert (profile.to_json(), True) == (before[0], window.equals(before[1]))
    assert json.dumps([feature.p_value for feature in verdict.features], allow_nan=False)


def test_the_order_of_rows_does_not_matter() -> None:
    frame = numbers(2, days=31, rows=200, features=2).with_columns(c=pl.col("x0").round().cast(pl.String))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3)
    assert profiled(shuffled) == profiled(frame)
    window = frame.tail(200)
    assert judged(profiled(frame), window.reverse()) == judged(profiled(frame), window)


def test_the_order_of_features_does_not_matter() -> None:
    frame = world(4, days=31, rows=300)
    window = frame.tail(300).with_columns(pl.col("x3") + 1)
    turned = frame.select(reversed(frame.columns))
    plain, other = judged(profiled(frame), window), judged(profiled(turned), window)
    assert [item.name for item in plain.features if item.drifted] == ["x3"]
    assert {item.name: item.p_value for item in other.features} == pytest.approx(
        {item.name: item.p_value for item in plain.features}
    )
    assert other.reasons == plain.reasons


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1_000), days=st.integers(20, 40), rows=st.integers(1, 60), column=st.sampled_from("xcb"))
def test_windows_that_are_all_the_same_have_not_drifted(seed: int, days: int, rows: int, column: str) -> None:
    rng = np.random.default_rng(seed)
    one = {"x": rng.standard_normal(rows), "c": rng.choice(list("abc"), rows), "b": rng.random(rows) < 0.3}[column]
    frame = days_of({"same": np.tile(one, days + 1)}, days=days + 1)
    verdict = judged(profiled(frame, windows=days), frame.tail(rows))
    assert (verdict.outcome, verdict.raised, verdict.since) == ("quiet", False, "")


def test_a_prepared_profile_says_the_same() -> None:
    frame = world(5, days=31, rows=200)
    profile = profiled(frame)
    window = count_window(frame.tail(200).with_columns(pl.col("x1") * 2), profile)
    facts: dict[str, Any] = {"pipeline": "flights", "window_start": NEW_YEAR + 30 * DAY, "policy": Drift()}
    plain = judge(profile, window, previous=[], as_of=NEW_YEAR, **facts)
    assert judge(prepared(profile), window, previous=[], as_of=NEW_YEAR, **facts) == plain


def test_a_moved_feature_of_twenty_is_found_and_named() -> None:
    frame = numbers(3, days=31, rows=5_000, features=20)
    window = frame.tail(5_000).with_columns(pl.col("x7") + 0.5)
    verdict = judged(profiled(frame), window)
    assert [item.name for item in verdict.features if item.drifted] == ["x7"]
    assert verdict.features[0].cause == "shift"
    assert verdict.features[0].shift == pytest.approx(0.5, abs=0.12)
    assert verdict.reasons[0].startswith("x7 moved by +0.48 reference standard deviations")
    assert judged(profiled(frame), window, "suspect").outcome == "drift"


def test_windows_in_which_nothing_happens_are_seldom_suspected() -> None:
    """Bound: alpha, here 1 %, of windows. Golden: 0 of 200 over ten references of 30 days."""
    suspected = 0
    for seed in range(10):
        frame = world(seed, days=50, rows=1_000)
        profile = profiled(frame)
        for day in range(30, 50):
            verdict = judged(profile, frame[day * 1_000 : (day + 1) * 1_000], policy=Drift(alpha=0.01))
            suspected += verdict.outcome != "quiet"
    assert suspected == 0


@cache
def reference() -> tuple[pl.DataFrame, Profile]:
    frame = world(11, days=31, rows=2_000).with_columns(constant=pl.lit(5.0), flag=pl.col("x1") > 0)
    return frame.tail(2_000), profiled(frame)


def moved(expression: pl.Expr) -> DriftVerdict:
    window, profile = reference()
    return judged(profile, window.with_columns(expression))


SOME = pl.int_range(pl.len()) % 100  # a row's place in each hundred


@pytest.mark.parametrize(
    ("expression", "name", "cause"),
    [
        (pl.col("x2") * 1.4, "x2", "spread"),
        (pl.col("x2").abs() * 1.66 - 1.32, "x2", "shape"),
        (pl.when(SOME < 10).then(None).otherwise("x2").alias("x2"), "x2", "nulls"),
        (pl.when(SOME < 40).then(None).otherwise("x2").alias("x2"), "x2", "null flood"),
        (pl.when(SOME < 20).then(pl.lit("l0")).otherwise("c20").alias("c20"), "c20", "mix"),
        (pl.when(SOME < 20).then(pl.lit("l30")).otherwise("c60").alias("c60"), "c60", "mix"),
        (pl.when(SOME < 1).then(pl.lit("new")).otherwise("c60").alias("c60"), "c60", "unseen"),
        (pl.when(SOME < 40).then(pl.lit(value=True)).otherwise("flag").alias("flag"), "flag", "mix"),
        (pl.col("x2") * 1_000, "x2", "unit change"),
        (pl.col("x2") + 30, "x2", "unit change"),
        (pl.lit(0.123).alias("x2"), "x2", "stuck"),
        (pl.lit("l3").alias("c20"), "c20", "stuck"),
        (pl.col("constant") - 1, "constant", "shift"),
        (pl.col("x2").cast(pl.String), "x2", "changed kind"),
        (pl.lit(None, pl.String).alias("c20"), "c20", "null flood"),
    ],
)
def test_each_kind_of_drift_is_called_by_its_name(expression: pl.Expr, name: str, cause: str) -> None:
    verdict = moved(expression)
    assert [(item.name, item.cause) for item in verdict.features if item.drifted] == [(name, cause)]
    assert ("probably bad data" in verdict.reasons[0]) == (name in verdict.bad_data) == (cause in PROBABLE_BAD_DATA)


def nulls(name: str, percent: int) -> pl.Expr:
    return pl.when(percent > SOME).then(None).otherwise(name).alias(name)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (pl.col("x2") + 0.5, "x2 moved by +0."),
        (pl.col("x2") * 1.4, "x2 spreads 1."),
        (pl.col("x2").abs() * 1.66 - 1.32, "x2 has more high values far out (skewness "),
        (nulls("x2", 10), "x2 is null in 10.0% of the rows, before in 0.0% (+10.0 points)"),
        (nulls("x2", 40), "x2 is null in 40.0% of the rows, before in 0.0% (+40.0 points)"),
        (pl.col("flag") | (SOME < 40), "flag has another mix: 16.2 points of the rows moved to other levels, of the "),
        (pl.when(SOME < 20).then(pl.lit("l30")).otherwise("c60").alias("c60"), "c60 has another mix: 1"),
        (
            pl.when(SOME < 1).then(pl.lit("new")).otherwise("c60").alias("c60"),
            "c60 has values that the reference never",
        ),
        (pl.lit(0.123).alias("x2"), "x2 is 0.123 in all rows, which it never was in a reference window"),
        (pl.lit("l3").alias("c20"), "c20 is l3 in all rows, which it never was in a reference window"),
        (pl.col("x2").cast(pl.String), "x2 was a number and is String now"),
    ],
)
def test_each_finding_is_told_in_a_sentence(expression: pl.Expr, words: str) -> None:
    assert moved(expression).reasons[0].startswith(words)


def test_what_was_constant_is_told_by_its_value() -> None:
    sentence = moved(pl.lit(4.0).alias("constant")).reasons[0]
    assert sentence.startswith("constant is 4 at the median, and the reference never had anything but 5 (by chance in")


def test_a_column_that_disappears_is_a_finding() -> None:
    frame = numbers(1, days=31, rows=100, features=2)
    verdict = judged(profiled(frame), frame.tail(100).drop("x1"))
    assert (verdict.outcome, verdict.raised) == ("drift", True)
    assert verdict.reasons[0].startswith("x1 has disappeared: the reference has it, this window does not, probably bad")
    assert verdict.reasons[1:] == (
        "the alarm is raised for drift since 2013-01-31; 3 quiet windows clear it",
        "no window looks like this when nothing has changed",
        (
            "compared with all 30 windows of the reference, less what each weekday has of its own: "
            "fewer than 20 of them are of each weekday"
        ),
    )


def test_with_too_few_windows_nothing_is_said() -> None:
    frame = numbers(1, days=30, rows=50)
    few = build_profile(frame, time="at", every=DAY, windows=60, until=NEW_YEAR + 19 * DAY)
    verdict = judged(few, frame.tail(50), "suspect", "drift")
    assert (verdict.outcome, verdict.raised, verdict.features) == ("not enough history", True, ())
    assert verdict.reasons == ("the profile has 19 windows with rows, 20 are needed to know how far windows differ",)
    enough = build_profile(frame, time="at", every=DAY, windows=60, until=NEW_YEAR + 20 * DAY)
    assert judged(enough, frame.tail(50)).outcome == "quiet"


def test_a_feature_without_enough_history_is_left_out_alone() -> None:
    frame = numbers(1, days=30, rows=50, features=2)
    prediction = build_profile(
        frame.rename({"x1": PREDICTION}).drop("x0"), time="at", every=DAY, windows=5, until=NEW_YEAR + 30 * DAY
    )
    both = Profile(until="2013-01-31", every_seconds=86_400, features=profiled(frame).features + prediction.features)
    verdict = judged(both, frame.tail(50).with_columns(pl.lit(9.0).alias(PREDICTION)))
    assert sorted(item.name for item in verdict.features) == ["x0", "x1"]


def test_an_empty_window_is_not_judged() -> None:
    frame = numbers(1, days=30, rows=50)
    assert judged(profiled(frame), frame.clear()).reasons == ("the window has no rows, so nothing can be compared",)
    nothing = profiled(frame.clear())
    assert judged(nothing, frame).outcome == "not enough history"


odd = st.one_of(st.none(), st.sampled_from([0.0, 1.0, -1.0, 1e300, -1e300, np.inf, -np.inf, np.nan]), st.floats())


@settings(deadline=None, max_examples=60)
@given(reference=st.lists(odd, min_size=20, max_size=60), window=st.lists(odd, min_size=1, max_size=5))
def test_odd_values_never_crash_it_and_give_plain_numbers(
    reference: list[float | None], window: list[float | None]
) -> None:
    rows = reference[: len(reference) // 20 * 20]
    frame = days_of({"x": pl.Series(rows, dtype=pl.Float64), "c": pl.Series(rows, dtype=pl.Float64)}, days=20)
    profile = Profile.from_json(profiled(frame.with_columns(pl.col("c").cast(pl.String)), windows=20).to_json())
    now = pl.DataFrame({"x": window, "c": window}, schema={"x": pl.Float64, "c": pl.Float64})
    verdict = judged(profile, now.with_columns(pl.col("c").cast(pl.String)))
    assert json.dumps(
        [[item.p_value, item.shift, item.spread, item.nulls] for item in verdict.features], allow_nan=False
    )


def test_two_rows_are_no_drift() -> None:
    """A window of one or two rows of a reference that never had nulls: whatever they are, they prove nothing."""
    frame = numbers(1, days=30, rows=20)
    for values in ([3.0], [-9.0, 9.0], [0.0, None]):
        assert judged(profiled(frame), pl.DataFrame({"x0": values}, schema={"x0": pl.Float64})).outcome == "quiet"


def test_a_storm_is_a_shift_and_no_change_of_unit() -> None:
    """Rain falls in few hours: nearly all quartile ranges are 0, so one rainy day is far beyond each of them."""
    rng = np.random.default_rng(5)
    rain = np.where(rng.random(31 * 500) < 0.05, rng.exponential(0.2, 31 * 500), 0.0)
    frame = days_of({"rain": rain}, days=31)
    storm = pl.DataFrame({"rain": rng.exponential(0.2, 500)})
    assert [item.cause for item in judged(profiled(frame), storm).features] == ["shift"]


def test_a_column_with_very_many_levels_may_have_new_ones() -> None:
    rng = np.random.default_rng(1)
    frame = days_of({"id": rng.integers(0, 10**9, 31 * 100).astype(str)}, days=31)
    assert profiled(frame).features[0].known is None
    assert judged(profiled(frame), frame.tail(100)).outcome == "quiet"


@pytest.mark.parametrize(("field", "value"), [("alpha", 0.5), ("min_windows", 2), ("raise_on", 4), ("clear_after", 0)])
def test_a_policy_has_sensible_limits(field: str, value: Any) -> None:
    from validation.errors import DefinitionError

    with pytest.raises(DefinitionError, match=rf"drift\.{field} must be"):
        Drift(**{field: value})


def test_a_profile_of_counts_is_enough() -> None:
    """The value can be built by hand: no frame is needed to judge."""
    windows = tuple(Counts(bins=(0, 10 + day % 3, 10, 0), nulls=0) for day in range(20))
    feature = FeatureProfile(name="x", kind="number", edges=(-0.5, 0.5, 1.5), windows=windows)
    profile = Profile(until="2013-01-21", every_seconds=86_400, features=(feature,))
    assert judged(profile, pl.DataFrame({"x": [0, 1] * 10})).outcome == "quiet"
    assert judged(profile, pl.DataFrame({"x": [1] * 200})).features[0].drifted
