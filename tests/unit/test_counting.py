import math
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.watch.counting import WindowCounts, count_window, median, merged, spread
from validation.watch.reference import Counts, FeatureProfile, Profile

NUMBER = FeatureProfile(name="x", kind="number", edges=(-1.0, 0.0, 2.5), windows=(), centre=0.0, scale=1.0)
FEW = FeatureProfile(name="c", kind="category", levels=("a", "true", ""), known=(), windows=())
MANY = replace(FEW, name="d", known=("b", "false", "once"))
ENDLESS = replace(FEW, name="e", known=None)
ALL = (NUMBER, FEW, MANY, ENDLESS)
DISAPPEARED = "has disappeared: the reference has it, this window does not"

odd = st.one_of(
    st.none(), st.floats(), st.sampled_from([-1.0, 0.0, -0.0, 2.5, 2.6, 1e300, -1e300, math.inf, -math.inf, math.nan])
)
word = st.one_of(st.none(), st.sampled_from(["a", "true", "", "b", "false", "once", "new"]), st.text(max_size=20))


def profile_of(*features: FeatureProfile) -> Profile:
    return Profile(until="2013-01-31T00:00:00+00:00", every_seconds=86_400, features=features)


def counted(values: Any, feature: FeatureProfile, dtype: Any = None) -> Counts:
    frame = pl.DataFrame({feature.name: pl.Series(values, dtype=dtype, strict=False)})
    return count_window(frame, profile_of(feature)).features[feature.name]


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.lists(st.tuples(odd, word), max_size=25))
    numbers, words = [row[0] for row in rows], pl.Series([row[1] for row in rows], dtype=pl.String)
    return pl.DataFrame({"x": pl.Series(numbers, dtype=pl.Float64), "c": words, "d": words, "e": words})


def by_hand(frame: pl.DataFrame) -> dict[str, Counts]:
    """The same in plain Python, value by value."""
    numbers = [value for value in frame["x"] if value is not None and not math.isnan(value)]
    usable = [value for value in numbers if math.isfinite(value)]
    place = Counter(sum(value > edge for edge in NUMBER.edges) for value in numbers)
    found = {
        "x": Counts(
            bins=tuple(place[index] for index in range(4)),
            nulls=frame.height - len(numbers),
            low=min(usable, default=None),
            high=max(usable, default=None),
        )
    }
    for feature in (FEW, MANY, ENDLESS):
        words = [value for value in frame[feature.name] if value is not None]
        shown = [words.count(level) for level in feature.levels]
        seen = {*feature.levels, *(feature.known or ())}
        novel = 0 if feature.known is None else sum(value not in seen for value in words)
        bins = (*shown, len(words) - sum(shown))
        found[feature.name] = Counts(bins=bins, nulls=frame.height - len(words), novel=novel)
    return found


# One pass


@settings(deadline=None)
@given(frame=frames())
def test_counts_are_those_of_plain_python(frame: pl.DataFrame) -> None:
    found = count_window(frame, profile_of(*ALL))
    assert found == WindowCounts(rows=frame.height, features=by_hand(frame), gone={})
    assert all(each.rows == frame.height for each in found.features.values())


@settings(deadline=None)
@given(frame=frames(), cut=st.integers(0, 25), seed=st.integers(0, 9))
def test_file_by_file_is_the_whole_in_any_order(frame: pl.DataFrame, cut: int, seed: int) -> None:
    profile = profile_of(*ALL)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    whole, first, last = (count_window(part, profile) for part in (frame, shuffled[:cut], shuffled[cut:]))
    assert merged(first, last) == merged(last, first) == whole


def test_files_are_counted_without_reading_other_columns(tmp_path: Path) -> None:
    """Parquet files and a Delta table, scanned: as in memory."""
    frame = pl.DataFrame({"x": [0.0, 3.0, None], "c": ["a", "new", None], "other": [1, 2, 3]})
    frame[:1].write_parquet(tmp_path / "1.parquet")
    frame[1:].write_parquet(tmp_path / "2.parquet")
    frame.write_delta(tmp_path / "table")
    profile = profile_of(NUMBER, FEW)
    expected = WindowCounts(
        rows=3,
        features={
            "x": Counts(bins=(0, 1, 0, 1), nulls=1, low=0.0, high=3.0),
            "c": Counts(bins=(1, 0, 0, 1), nulls=1, novel=1),
        },
        gone={},
    )
    scans = (frame, pl.scan_parquet(tmp_path / "*.parquet"), pl.scan_delta(str(tmp_path / "table")))
    assert [count_window(scan, profile) for scan in scans] == [expected] * 3


@pytest.mark.parametrize(
    "dtype",
    [pl.Int8, pl.Int64, pl.UInt8, pl.UInt64, pl.Int128, pl.Float32, pl.Float64, pl.Decimal(10, 2)],
)
def test_numbers_of_all_types_are_counted_alike(dtype: Any) -> None:
    expected = Counts(bins=(0, 1, 2, 1), nulls=1, low=0.0, high=3.0)
    assert counted([Decimal(0), Decimal(1), Decimal(2), Decimal(3), None], NUMBER, dtype) == expected


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["b", "a", "new", "unused"])])
def test_categories_of_all_types_are_counted_alike(dtype: Any) -> None:
    assert counted(["a", "a", "b", "new", None], MANY, dtype) == Counts(bins=(2, 0, 0, 2), nulls=1, novel=1)


def test_booleans_are_levels() -> None:
    assert counted([True, True, False, None], FEW) == Counts(bins=(0, 2, 0, 1), nulls=1, novel=1)
    assert counted([True, True, False, None], MANY) == Counts(bins=(0, 2, 0, 1), nulls=1)


def test_infinities_lie_beyond_all_edges_and_are_no_end() -> None:
    values = [math.inf, -math.inf, math.nan, 2.5, 2.0, None]
    assert counted(values, NUMBER) == Counts(bins=(1, 0, 2, 1), nulls=2, low=2.0, high=2.5)
    assert counted([math.inf, math.nan], NUMBER) == Counts(bins=(0, 0, 0, 1), nulls=1)
    assert counted([math.nan], NUMBER) == Counts(bins=(0, 0, 0, 0), nulls=1)


def test_a_column_that_is_no_longer_what_it_was_counts_as_nulls() -> None:
    frame = pl.DataFrame({"x": ["1", "2"], "d": [1, 2], "e": [date(2013, 1, 1)] * 2})
    assert count_window(frame, profile_of(*ALL)) == WindowCounts(
        rows=2,
        features={item.name: Counts(bins=(0, 0, 0, 0), nulls=2) for item in ALL},
        gone={
            "x": "was a number and is String now",
            "c": DISAPPEARED,
            "d": "was a category and is Int64 now",
            "e": "was a category and is Date now",
        },
    )


def test_a_column_of_nothing_has_no_kind_and_is_not_gone() -> None:
    found = count_window(pl.DataFrame({"x": [None, None], "c": [None, None]}), profile_of(NUMBER, MANY, FEW))
    assert (found.features["x"], found.features["c"]) == (Counts(bins=(0,) * 4, nulls=2),) * 2
    assert found.gone == {"d": DISAPPEARED}


@pytest.mark.parametrize("columns", [{}, {"y": []}, {"y": [1]}, {"x": pl.Series([], dtype=pl.Float64)}])
def test_windows_without_rows_or_columns(columns: dict[str, Any]) -> None:
    frame = pl.DataFrame(columns)
    found = count_window(frame, profile_of(NUMBER, FEW))
    assert (found.rows, set(found.features)) == (frame.height, {"x", "c"})
    assert found.features["x"] == Counts(bins=(0,) * 4, nulls=frame.height)
    assert count_window(frame, profile_of()) == WindowCounts(rows=frame.height, features={}, gone={})


def test_columns_may_have_any_name() -> None:
    names = ["0", "1", "0 present", "rows", "len", "", "a b", "*", "^x.*$"]
    features = [replace((NUMBER, FEW)[place % 2], name=name) for place, name in enumerate(names)]
    frame = pl.DataFrame({name: [0.0, 9.0] if place % 2 == 0 else ["a", "z"] for place, name in enumerate(names)})
    found = count_window(frame, profile_of(*features))
    assert found.gone == {}
    for place, name in enumerate(names):
        expected = Counts(bins=(0, 1, 0, 1), nulls=0, low=0.0, high=9.0) if place % 2 == 0 else None
        assert found.features[name] == (expected or Counts(bins=(1, 0, 0, 1), nulls=0, novel=1))


def test_a_thousand_columns_are_one_query() -> None:
    features = [replace((NUMBER, MANY)[place % 2], name=f"f{place}") for place in range(1_200)]
    frame = pl.DataFrame({item.name: [1.0] if item.kind == "number" else ["b"] for item in features})
    found = count_window(frame.lazy(), profile_of(*features))
    expected = (Counts(bins=(0, 0, 1, 0), nulls=0, low=1.0, high=1.0), Counts(bins=(0, 0, 0, 1), nulls=0))
    assert [found.features[item.name] for item in features] == list(expected) * 600


# Adding up


def gone(rows: int, **how: str) -> WindowCounts:
    return WindowCounts(rows=rows, features={"x": Counts(bins=(0,) * 4, nulls=rows)}, gone=how)


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (gone(2, x="has disappeared"), gone(3, x="was a number"), {"x": "has disappeared"}),
        (gone(2, x="has disappeared"), gone(3), {}),
        (gone(2, x="has disappeared"), gone(0), {"x": "has disappeared"}),
        (gone(0), gone(3, x="has disappeared"), {"x": "has disappeared"}),
        (gone(0, x="has disappeared"), gone(3), {}),
    ],
)
def test_a_column_is_gone_when_no_part_with_rows_has_it(
    first: WindowCounts, second: WindowCounts, found: dict[str, str]
) -> None:
    both = merged(first, second)
    assert (both.gone, both.rows, both.features["x"].nulls) == (found, first.rows + second.rows, both.rows)


# Where the values lie

SPANNED = FeatureProfile(
    name="x", kind="number", edges=tuple(np.linspace(-3, 3, 33).tolist()), windows=(), centre=0.0, scale=1.0
)


def test_median_and_spread_are_close_to_those_of_the_values() -> None:
    """Golden: numpy.median and numpy.quantile of the sample itself."""
    values = np.random.default_rng(3).normal(0.4, 0.7, 5_000)
    found = counted(values, SPANNED)
    assert median(SPANNED, found) == pytest.approx(np.median(values), abs=0.01)
    quartiles = np.quantile(values, [0.25, 0.75])
    assert spread(SPANNED, found) == pytest.approx(np.subtract(*quartiles[::-1]) / 1.349, abs=0.01)


@pytest.mark.parametrize(("factor", "least"), [(1_000.0, 20.0), (100.0, 10.0), (0.001, 0.0003)])
def test_another_unit_is_seen_from_the_bins(factor: float, least: float) -> None:
    """Where most rows lie beyond the edges only the ends are known, so it is a rough guess, and never too far out."""
    found = spread(SPANNED, counted(np.random.default_rng(3).normal(0, factor, 5_000), SPANNED))
    assert found is not None
    assert least <= found <= 3 * factor


def test_one_value_far_out_hardly_moves_the_quartiles() -> None:
    """Three in ten are beyond the edges, one by a thousand sd; if all were spread evenly there it were 120."""
    values = np.append(np.random.default_rng(3).normal(2.5, 1, 1_000), 1e3)
    found = spread(SPANNED, counted(values, SPANNED))
    assert found is not None
    assert 1 <= found < 5


def test_without_values_there_is_no_middle() -> None:
    for feature in (SPANNED, replace(SPANNED, edges=())):
        assert (median(feature, counted([None, math.nan], feature)), spread(feature, counted([], feature))) == (
            None,
            None,
        )
    bare = replace(SPANNED, edges=(), scale=None)
    assert median(bare, counted([1.0, 3.0], bare)) == 2.0


@settings(deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_the_median_lies_in_the_bin_of_the_true_one(values: list[float]) -> None:
    found = counted(values, NUMBER)
    middle, lower = median(NUMBER, found), float(np.quantile(values, 0.5, method="inverted_cdf"))
    edges = (-math.inf, *NUMBER.edges, math.inf)
    place = sum(lower > edge for edge in NUMBER.edges)
    assert middle is not None
    assert min(values) <= middle <= max(values)
    assert edges[place] <= middle <= edges[place + 1]
    width = spread(NUMBER, found)
    assert width is None or 0 <= width <= (max(values) - min(values)) / 1.349 * (1 + 1e-9)
