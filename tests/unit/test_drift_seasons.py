from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.unit.drift_world import DAY, NEW_YEAR, days_of, judged_after
from validation.errors import DefinitionError
from validation.watch.drift import Drift, Profile, build_profile
from validation.watch.seasons import matched

HOUR = timedelta(hours=1)
MONDAY = datetime(2013, 1, 7, tzinfo=UTC)


def starts(count: int, every: timedelta, first: datetime = MONDAY) -> list[datetime]:
    return [first + index * every for index in range(count)]


def found(count: int, every: timedelta, start: datetime, *, gaps: Any = (), **policy: Any) -> tuple[list[int], str]:
    filled = np.ones(count, dtype=np.bool_)
    filled[list(gaps)] = False
    each = matched(
        starts(count, every), filled, start=start, every_seconds=every.total_seconds(), policy=Drift(**policy)
    )
    return np.flatnonzero(each.windows).tolist(), each.words


def test_days_are_compared_with_their_weekday_once_there_are_enough_of_each() -> None:
    assert found(7 * 20, DAY, MONDAY + 1000 * DAY) == (
        list(range(6, 140, 7)),
        "compared with the 20 windows of the same weekday (Sunday)",
    )
    assert found(7 * 20 - 1, DAY, MONDAY + 1000 * DAY) == (
        list(range(139)),
        (
            "compared with all 139 windows of the reference, less what each weekday has of its own: "
            "fewer than 20 of them are of each weekday"
        ),
    )


@pytest.mark.parametrize(("days", "known"), [(27, False), (28, True)])
def test_what_a_weekday_has_of_its_own_is_known_from_four_of_them_on(days: int, *, known: bool) -> None:
    assert ("less what each weekday has of its own" in found(days, DAY, MONDAY + 100 * DAY)[1]) is known
    assert "of its own" not in found(days, DAY, MONDAY + 100 * DAY, match="none")[1]


def test_hours_are_compared_with_their_hour() -> None:
    windows, words = found(24 * 20, HOUR, MONDAY + 50 * DAY + 5 * HOUR)
    assert windows == list(range(5, 480, 24))
    assert words == "compared with the 20 windows of the same time of day (05:00)"
    assert len(found(24 * 20 - 1, HOUR, MONDAY + 50 * DAY)[0]) == 479
    assert found(4 * 20, 6 * HOUR, MONDAY + 50 * DAY + 7 * HOUR)[0] == list(range(1, 80, 4))


def test_windows_without_rows_are_not_compared_with_and_not_enough() -> None:
    assert found(140, DAY, MONDAY, gaps=[7])[0] == [day for day in range(140) if day != 7]
    closed = range(6, 140, 7)  # on Sundays there are never any rows
    assert found(140, DAY, MONDAY, gaps=closed)[0] == list(range(0, 140, 7))
    assert len(found(140, DAY, MONDAY + 6 * DAY, gaps=closed)[0]) == 120


def test_the_definition_may_say_otherwise() -> None:
    assert found(140, DAY, MONDAY, match="none") == (list(range(140)), "compared with all 140 windows of the reference")
    assert len(found(140, DAY, MONDAY, match="hour")[0]) == 140
    assert found(30, 7 * DAY, MONDAY)[1] == "compared with all 30 windows of the reference"
    assert found(7 * 24 * 3, HOUR, MONDAY, match="weekday")[0] == [*range(24), *range(168, 192), *range(336, 360)]
    assert found(50, 7 * HOUR, MONDAY)[0] == list(range(50))
    assert len(found(50, DAY, MONDAY, min_windows=7)[0]) == 8
    with pytest.raises(DefinitionError, match=r"drift\.match must be one of auto, none, weekday, hour, got 'month'"):
        Drift(match="month")  # type: ignore[arg-type]


def weeks_of(seed: int, *, days: int, rows: int) -> pl.DataFrame:
    """Weekends lie half a standard deviation higher; x0 to x4."""
    rng = np.random.default_rng(seed)
    first = NEW_YEAR.weekday()
    weekend = 0.5 * ((np.arange(days) + first) % 7 >= 5)[:, None, None]
    values = (weekend + rng.normal(0, 0.03, (days, 1, 5)) + rng.standard_normal((days, rows, 5))).reshape(-1, 5)
    return days_of({f"x{index}": values[:, index] for index in range(5)}, days=days)


def profile_of(frame: pl.DataFrame, days: int) -> Profile:
    return build_profile(frame, time="at", every=DAY, windows=days, until=NEW_YEAR + days * DAY)


def test_a_weekend_on_a_weekday_is_seen_by_those_who_compare_weekdays() -> None:
    """Monday as on a weekend: the whole reference has had such days, its Mondays have not."""
    frame = weeks_of(3, days=147, rows=1_000)
    profile = profile_of(frame, 140)
    start = next(NEW_YEAR + day * DAY for day in range(140, 147) if (NEW_YEAR + day * DAY).weekday() == 0)
    window = frame.filter(pl.col("at") == start).with_columns(pl.col("x2") + 0.5)
    matching = judged_after(profile, window, start, [])
    everything = judged_after(profile, window, start, [], policy=Drift(match="none"))
    assert ([item.name for item in matching.features if item.drifted], everything.outcome) == (["x2"], "quiet")
    assert "compared with the 20 windows of the same weekday (Monday)" in matching.reasons
    assert "compared with all 140 windows of the reference" in everything.reasons


def test_with_less_history_what_each_weekday_has_of_its_own_is_taken_off() -> None:
    """Eight of each: Monday as on a weekend is seen, a weekend is not, and the Monday is measured by Mondays."""
    frame = weeks_of(3, days=63, rows=1_000)
    profile = profile_of(frame, 56)
    days = {(NEW_YEAR + day * DAY).weekday(): NEW_YEAR + day * DAY for day in range(56, 63)}
    monday = frame.filter(pl.col("at") == days[0]).with_columns(pl.col("x2") + 0.5)
    seen = judged_after(profile, monday, days[0], [])
    assert [item.name for item in seen.features if item.drifted] == ["x2"]
    assert seen.features[0].shift == pytest.approx(0.5, abs=0.1)
    assert judged_after(profile, monday, days[0], [], policy=Drift(match="none")).outcome == "quiet"
    for start in days.values():
        assert judged_after(profile, frame.filter(pl.col("at") == start), start, []).outcome == "quiet"


@pytest.mark.parametrize("days", [56, 140])
def test_a_week_in_which_nothing_happens_is_quiet(days: int) -> None:
    frame = weeks_of(4, days=days + 14, rows=300)
    profile = profile_of(frame, days)
    for day in range(days, days + 14):
        start = NEW_YEAR + day * DAY
        assert judged_after(profile, frame.filter(pl.col("at") == start), start, []).outcome == "quiet"


def test_a_feature_that_is_younger_than_the_others_is_compared_with_all_its_windows() -> None:
    """Its own windows of each weekday are too few, those of the others are enough."""
    frame = weeks_of(5, days=141, rows=300).with_columns(
        x4=pl.when(pl.col("at") < NEW_YEAR + 100 * DAY).then(None).otherwise("x4")
    )
    start = NEW_YEAR + 140 * DAY
    verdict = judged_after(profile_of(frame, 140), frame.filter(pl.col("at") == start), start, [])
    assert (verdict.judged, verdict.outcome) == (5, "quiet")
    moved = frame.filter(pl.col("at") == start).with_columns(pl.col("x4") + 2)
    verdict = judged_after(profile_of(frame, 140), moved, start, [])
    assert "x4" in [item.name for item in verdict.features if item.drifted]
