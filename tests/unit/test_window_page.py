"""The page of a window: what it says first, what it draws, what it does when there is nothing, and where it is put."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.pages import words
from andon.pages.bars import lying, share, upright
from andon.pages.bins import LEVELS, bars
from andon.pages.headline import headline
from andon.pages.story import Bar, Headline, WindowStory
from andon.pages.window_page import window_page
from tasks import page_files
from tasks.page_facts import known
from tasks.page_files import newest_page, page_name
from tasks.page_story import FEATURES, HEAT_FEATURES, HEAT_WINDOWS, story
from tasks.pages import show_windows
from tests.unit.test_charts_and_report import Tags, drawing
from tests.unit.window_world import BEGIN, DAY, LONG, Watched, eventful, rows_of
from validation.errors import ServiceDownError
from validation.watch.counting import WindowCounts, count_window
from validation.watch.drift import Drift
from validation.watch.incidents import Finding
from validation.watch.performance import Monitor
from validation.watch.profile import FeatureProfile, Profile, build_profile

NOTHING = WindowStory(
    pipeline="trips", window="Monday 1 April 2013", as_of="2013-04-02 00:00", champion="", metric="log loss",
    headline=Headline(tone="unknown", what="Too early to say.", since="", doing="Waits."),
)  # fmt: skip


def checked(page: str) -> str:
    """The text of a page that is whole, needs nothing from elsewhere and has a name for each picture."""
    tags = Tags()
    tags.feed(page)
    assert (tags.open, tags.loaded) == ([], [])
    assert "<script" not in page
    assert "http" not in page
    assert not re.search(r"\b(nan|inf|None)\b", page)
    assert page.count("<svg") == len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]+"', page))
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Three weeks of quiet days, a second champion, then a flood of nulls on the last three days."""
    return eventful(tmp_path_factory.mktemp("watched"))


def told(world: Watched, number: int = -1) -> WindowStory:
    facts = known(world.site, BEGIN + 31 * DAY)
    assert facts is not None
    return story(facts, world.looked[number], BEGIN + 31 * DAY)


def test_a_page_says_first_what_is_the_matter_since_when_and_what_is_done(world: Watched) -> None:
    text = checked(window_page(told(world)))
    assert re.search(
        r"Alarm Probably bad data in temp: temp is null in 50\.0% of the rows, before in 0\.0% \(\+50\.0 points\)\. "
        r"Since 28 Apr 2013, seen in 3 windows "
        r"What Andon does Andon does not retrain on this, and serves on with version 2; ask whoever delivers it",
        text,
    )
    assert text.index("Alarm") < text.index("2 of 5 features moved") < text.index("Performance") < text.index("Slices")
    for said in ("Open since 28 Apr 2013", "carrier = &lt;b&gt;UA&lt;/b&gt;", "Estimates so far: off by", LONG):
        assert said in text, said


def test_each_window_tells_what_was_known_up_to_it(world: Watched) -> None:
    quiet = told(world, 20)
    assert quiet.headline.tone == "quiet"
    assert quiet.headline.what == (
        "None of 5 features moved further than usual; labels cannot tell of this champion yet."
    )
    assert [point.label for point in quiet.points][-1] == "21 Apr"
    assert len(quiet.points) == 21
    assert quiet.heat is not None
    assert not [cell for row in quiet.heat.rows for cell in row.cells if cell and cell.marked]
    assert len(quiet.features) == 4, "the nearest are shown where none has moved"


def test_what_labels_prove_comes_from_the_newest_comparison_of_this_champion(tmp_path: Path) -> None:
    world = Watched(home=tmp_path)
    world.crown()
    world.day(0)
    said = []
    for outcome, version in (("regret", "9"), ("need evidence", "1"), ("fine", "1"), ("regret", "1")):
        world.compared(0, 0.02, outcome=outcome, version=version)
        said.append(told(world).headline.what)
    assert [text.partition("; ")[2] for text in said[:3]] == [
        "labels cannot tell of this champion yet.",
        "labels cannot tell of this champion yet.",
        "labels prove nothing against the champion.",
    ]
    assert said[3].startswith("Version 1, which serves, has become stale")


def test_the_charts_tell_realised_from_estimated_and_mark_new_champions(world: Watched) -> None:
    drawn = told(world)
    assert [point.loss is not None for point in drawn.points] == [True] * 22 + [False] * 8
    assert {point.estimate for point in drawn.points} == {0.45}
    assert [(point.label, point.crowned) for point in drawn.points if point.crowned] == [
        ("1 Apr", "1"),
        ("13 Apr", "2"),
    ]
    probes = [(point.label, round(point.regret_share, 4)) for point in drawn.points if point.regret_share is not None]
    assert probes == [("7 Apr", 0.006), ("14 Apr", 0.013), ("21 Apr", 0.02)]
    page = window_page(drawn)
    assert "estimate, before the labels, with its interval" in page
    assert page.count("version 2 became champion") == 4, "in each chart"


def test_a_feature_tells_how_much_since_when_how_rare_and_how_many_are_new(world: Watched) -> None:
    found = {item.name: item for item in told(world).features}
    assert found["temp"].facts[:2] == (
        "since 28 Apr 2013",
        "less than one window in 100,000 looks like this when nothing has changed",
    )
    assert "null 0% → 50%" in found["temp"].facts
    assert found["carrier"].facts[-1] == "never seen before: 100% of the rows"
    assert found["carrier"].bars[-1] == Bar(label="never seen", before=0.0, now=1.0, odd=True)
    assert [item.drifted for item in told(world).features] == [True, True, False, False]


def test_the_heat_map_has_the_worst_feature_first_and_its_findings_marked(world: Watched) -> None:
    heat = told(world).heat
    assert heat is not None
    assert {heat.rows[0].name, heat.rows[1].name} == {"temp", "carrier"}
    assert [bool(cell and cell.marked) for cell in heat.rows[0].cells] == [False] * 27 + [True] * 3
    assert len(heat.labels) == 30 <= HEAT_WINDOWS


def test_without_history_it_says_so_and_draws_what_there_is(tmp_path: Path) -> None:
    world = Watched(home=tmp_path)
    world.crown()
    for number in range(2):
        world.day(number, policy=Drift(min_windows=40))
    page = told(world)
    assert (page.headline.tone, page.heat, page.features) == ("unknown", None, ())
    text = checked(window_page(page))
    assert "Cannot be judged yet The profile has 30 windows with rows, 40 are needed" in text.replace(
        "the profile", "The profile"
    )
    for nothing in (
        "No window has labels yet.",
        "There is no feature to compare.",
        "has not been compared with a probe",
    ):
        assert nothing in text


def test_windows_that_could_not_be_judged_are_hatched_between_others(tmp_path: Path) -> None:
    world = Watched(home=tmp_path)
    world.crown()
    world.day(0)
    world.day(1, rows=0)
    world.day(2)
    page = told(world)
    assert page.heat is not None
    assert {row.cells[1] for row in page.heat.rows} == {None}
    text = window_page(page)
    assert text.count('<td class="not"></td>') == len(page.heat.rows)
    assert "not judged: not enough history, or no rows" in text


def test_a_column_that_is_gone_has_its_sentence_and_no_bars(tmp_path: Path) -> None:
    world = Watched(home=tmp_path)
    world.crown()
    for number in range(2):
        lost = rows_of(BEGIN + number * DAY, seed=number).drop("temp").with_columns(carrier=pl.lit(5))
        world.judge(number, count_window(lost, world.profile))
    found = {item.name: item for item in told(world).features}
    assert {name: item.bars for name, item in found.items() if item.drifted} == {"temp": (), "carrier": ()}
    assert "temp has disappeared" in found["temp"].sentence
    text = checked(window_page(told(world)))
    assert text.count("Nothing to compare: the column is not what it was.") == 2


def test_hourly_windows_are_told_by_the_hour(tmp_path: Path) -> None:
    world = Watched(home=tmp_path, changes={"monitor": Monitor(every="1h")})
    world.crown()
    world.day(0)
    page = told(world)
    assert page.window == "1 hour from Monday 1 April 2013 00:00"


def test_nothing_at_all_is_a_page_too() -> None:
    text = checked(window_page(NOTHING))
    assert "Cannot be judged yet Too early to say. What Andon does Waits." in text
    assert "no champion" in text
    assert text.count("No window has labels yet.") == 2


def profile_of(feature: FeatureProfile) -> Profile:
    return Profile(until=BEGIN.isoformat(), every_seconds=DAY.total_seconds(), features=(feature,))


def test_a_thousand_features_make_no_large_page(tmp_path: Path) -> None:
    """All of them moved; what is drawn of them is bounded."""
    world = Watched(home=tmp_path)
    names = [f"{LONG}_{number}" for number in range(1_000)]
    (distance, *_) = world.profile.features
    world.profile = replace(world.profile, features=tuple(replace(distance, name=name) for name in names))
    world.crown()
    far = count_window(rows_of(BEGIN, seed=7).select(distance=pl.col("distance") * 3), profile_of(distance))
    counts = WindowCounts(rows=far.rows, features=dict.fromkeys(names, far.features["distance"]), gone={})
    world.judge(0, counts)
    page = told(world)
    assert page.heat is not None
    assert (len(page.heat.rows), page.heat.judged, len(page.features)) == (HEAT_FEATURES, 1_000, FEATURES)
    drawn = window_page(page)
    assert len(drawn) < 300_000
    assert "The 25 worst of 1,000 features" in drawn


# where the pages go


def test_pages_lie_below_home_beside_the_model_and_the_newest_is_linked(world: Watched) -> None:
    link = show_windows.fn(world.watch(), world.looked[-3:], BEGIN + 31 * DAY)
    folder = world.home / "reports" / "trips"
    names = ["2013-04-28.html", "2013-04-29.html", "2013-04-30.html", "latest.html"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert link == (folder / "2013-04-30.html").absolute().as_uri()
    assert newest_page(world.site.settings, "trips") == folder.absolute() / "latest.html"
    assert (folder / "latest.html").read_bytes() == (folder / "2013-04-30.html").read_bytes()
    beside = {path.name: path.read_bytes() for path in (world.home / "store").rglob("windows/*.html")}
    assert beside == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "Sunday 28 April 2013" in checked((folder / names[0]).read_text(encoding="utf-8"))


def test_without_a_window_there_is_no_new_page_and_the_link_is_the_newest_ones(world: Watched, tmp_path: Path) -> None:
    show_windows.fn(world.watch(), world.looked[-1:], BEGIN + 31 * DAY)
    newest = newest_page(world.site.settings, "trips")
    assert newest is not None
    assert show_windows.fn(world.watch(), (), BEGIN) == newest.as_uri()
    empty = Watched(home=tmp_path)
    assert show_windows.fn(empty.watch(), world.looked[:1], BEGIN) == "", "nobody was champion"
    assert newest_page(empty.site.settings, "trips") is None


def test_old_pages_go_and_the_newest_stay(world: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_files, "KEPT", 2)
    show_windows.fn(world.watch(), world.looked[-4:], BEGIN + 31 * DAY)
    names = sorted(path.name for path in (world.home / "reports" / "trips").iterdir())
    assert names == ["2013-04-29.html", "2013-04-30.html", "latest.html"]
    show_windows.fn(world.watch(), world.looked[-4:-2], BEGIN + 31 * DAY)
    names = sorted(path.name for path in (world.home / "reports" / "trips").iterdir())
    assert names == ["2013-04-29.html", "2013-04-30.html", "latest.html"], "older ones do not push newer ones out"
    latest = (world.home / "reports" / "trips" / "latest.html").read_text(encoding="utf-8")
    assert "Tuesday 30 April 2013" in latest


def test_a_store_that_is_down_leaves_the_pages_below_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = eventful(tmp_path, days=5)

    def down(*_: object) -> str:
        raise ServiceDownError("MLflow does not answer; start it")

    monkeypatch.setattr(world.store, "attach", down)
    with caplog.at_level(logging.WARNING, logger="andon"):
        assert show_windows.fn(world.watch(), world.looked[-1:], BEGIN).startswith("file://")
    assert "the pages are below home only: MLflow does not answer" in caplog.text


def test_a_page_that_cannot_be_drawn_stops_nothing(world: Watched, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(world.looked[-1], profile=None)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, logger="andon"):
        assert show_windows.fn(world.watch(), [broken], BEGIN) == ""
    assert "trips: the pages of 1 windows could not be drawn" in caplog.text


def test_a_server_of_mlflow_is_linked_where_there_is_one(world: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.store, "attach", lambda *_: "http://mlflow/#/experiments/1/runs/abc/artifacts")
    link = show_windows.fn(world.watch(), world.looked[-1:], BEGIN)
    assert link == "http://mlflow/#/experiments/1/runs/abc/artifacts/windows/2013-04-30.html"


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (timedelta(0), "2013-04-01.html"),
        (timedelta(hours=1), "2013-04-01T0100.html"),
        (timedelta(hours=13, minutes=30), "2013-04-01T1330.html"),
        (timedelta(seconds=5), "2013-04-01T000005.html"),
    ],
)
def test_a_page_is_named_by_its_windows_start(after: timedelta, name: str) -> None:
    assert page_name(BEGIN + after) == name


# the verdict in words


def finding(**changes: object) -> Finding:
    made = Finding(
        kind="drift", about="w", title="the predictions have moved", cause="the world has changed",
        doing="a retrain runs", severity="Andon acts",
        lines=("prediction moved by +0.40 (by chance in one window in 900), since Sun 28 Apr 2013",),
        since="2013-04-28T00:00:00+00:00", windows=2,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_of_several_alarms_the_one_that_needs_a_person_comes_first(world: Watched) -> None:
    quality = finding(
        kind="quality", title="version 2 has become stale", severity="a person must act", windows=0, since=""
    )
    said = headline(world.looked[-1].verdict, [finding(), quality], policy=Drift(), labels="labels prove nothing")
    assert said.what == "Version 2 has become stale: prediction moved by +0.40. Also: the predictions have moved."
    assert (said.tone, said.since, said.doing) == ("alarm", "", "A retrain runs.")
    assert (
        headline(world.looked[-1].verdict, [finding()], policy=Drift(), labels="labels prove nothing").since
        == "28 Apr 2013, seen in 2 windows"
    )


def test_inputs_that_move_alone_are_a_notice_and_one_window_is_only_a_suspicion(world: Watched) -> None:
    moved = world.looked[-1].verdict
    alone = headline(moved, (), policy=Drift(), labels="labels prove nothing")
    assert (alone.tone, alone.since) == ("notice", "28 Apr 2013")
    assert alone.what.startswith("2 of 5 features moved further than usual: ")
    assert alone.doing == (
        "Tells it here and asks for nothing: the predictions have not moved, and labels prove nothing."
    )
    suspect = headline(replace(moved, outcome="suspect"), (), policy=Drift(raise_on=2), labels="labels prove nothing")
    assert suspect.doing == "Waits: one such window is chance now and then, 2 of 3 are not."


def test_an_alarm_that_is_not_over_is_told_on_a_quiet_day(world: Watched) -> None:
    quiet = replace(world.looked[20].verdict, raised=True, since="2013-04-19T00:00:00+00:00")
    said = headline(quiet, (), policy=Drift(clear_after=3), labels="labels prove nothing")
    assert (said.tone, said.since) == ("notice", "19 Apr 2013")
    assert said.doing == "Keeps the drift in mind until 3 windows in a row are quiet."


# bars and numbers


def counted(values: Sequence[float | None] | Sequence[str | None]) -> tuple[Profile, pl.DataFrame]:
    frame = pl.DataFrame({"x": values, "at": [BEGIN - DAY + DAY * (n / len(values)) for n in range(len(values))]})
    return build_profile(frame, time="at", every=DAY, windows=1, until=BEGIN), frame


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=1, max_size=60),
)
def test_bars_of_a_number_are_shares_of_all_rows(then: list[float | None], now: list[float | None]) -> None:
    profile, _ = counted([*then, 0.5])
    (feature,) = profile.features
    counts = count_window(pl.DataFrame({"x": now}, schema={"x": pl.Float64}), profile).features["x"]
    drawn = bars(feature, counts)
    assert sum(bar.before for bar in drawn) == pytest.approx(1.0)
    assert sum(bar.now for bar in drawn) == pytest.approx(1.0)
    assert len(drawn) <= 12 + 4
    assert all(bar.before == 0 for bar in drawn if bar.odd)
    assert drawing(upright(drawn, name="x")) is not None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijklmno")), min_size=1, max_size=80),
    st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijklmnopqrst")), min_size=1, max_size=80),
)
def test_bars_of_a_category_are_shares_of_all_rows(then: list[str | None], now: list[str | None]) -> None:
    profile, _ = counted([*then, "a"])
    (feature,) = profile.features
    counts = count_window(pl.DataFrame({"x": now}, schema={"x": pl.String}), profile).features["x"]
    drawn = bars(feature, counts)
    assert sum(bar.before for bar in drawn) == pytest.approx(1.0)
    assert sum(bar.now for bar in drawn) == pytest.approx(1.0)
    assert len(drawn) <= LEVELS + 3
    assert len(list(drawing(lying(drawn, name="x")).iter("rect"))) == 2 * len(drawn)


def test_a_window_like_its_reference_has_pairs_of_equal_bars() -> None:
    profile, frame = counted([float(n) for n in range(240)])
    (feature,) = profile.features
    drawn = bars(feature, count_window(frame, profile).features["x"])
    assert [bar.before for bar in drawn] == [bar.now for bar in drawn]
    assert 8 <= len(drawn) <= 12
    assert max(bar.before for bar in drawn) < 2.1 * min(bar.before for bar in drawn), "ranges are much alike"


def test_bars_are_as_long_as_their_shares() -> None:
    drawn = drawing(
        lying([Bar(label="UA", before=0.2, now=0.4), Bar(label="new", before=0.0, now=0.1, odd=True)], name="x")
    )
    widths = [float(rect.get("width") or 0) for rect in drawn.iter("rect")]
    assert widths == pytest.approx([widths[1] / 2, widths[1], 0, widths[1] / 4], abs=0.1)
    assert [rect.get("class") for rect in drawn.iter("rect")] == ["before", "now", "before", "new"]
    stood = drawing(upright([Bar(label="1 to 2", before=0.2, now=0.4)], name="x"))
    heights = [float(rect.get("height") or 0) for rect in stood.iter("rect")]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0%"), (0.0004, "<0.1%"), (0.0312, "3.1%"), (0.0999, "10%"), (0.5, "50%"), (1.0, "100%")]
)
def test_shares_are_said_in_percent(value: float, said: str) -> None:
    assert share(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (0.00123456, "0.00123"), (12.345, "12.3"), (1340.4, "1,340"), (12_345.0, "12.3k"), (4.2e6, "4.2M"),
     (-3.1e9, "-3.1G"), (1e12, "1T")],
)  # fmt: skip
def test_numbers_are_said_in_a_few_letters(value: float, said: str) -> None:
    assert words.short(value) == said


@pytest.mark.parametrize(
    "tail",
    ["", " (p = 1.2e-09)", " (by chance in one window in 2,400)", ", since 2013-04-28", ", since Sun 28 Apr 2013",
     ", since 2013-04-28 14:00 (by chance in less than one window in 100,000)"],
)  # fmt: skip
def test_what_stands_beside_a_sentence_is_not_in_it_as_well(tail: str) -> None:
    assert words.plain(f"temp moved by +1.00 (+5.0 points){tail}") == "temp moved by +1.00 (+5.0 points)"
    assert words.brief(f"temp is null{tail}, probably bad data: a broken source") == "temp is null"


@pytest.mark.parametrize(
    ("start", "every", "said"),
    [
        (BEGIN, DAY, "Monday 1 April 2013"),
        (BEGIN + timedelta(hours=14), timedelta(hours=1), "1 hour from Monday 1 April 2013 14:00"),
        (BEGIN, 7 * DAY, "7 days from Monday 1 April 2013 00:00"),
    ],
)
def test_a_window_is_said_by_its_day_or_by_its_start_and_length(start: object, every: timedelta, said: str) -> None:
    assert words.window(start, every) == said  # type: ignore[arg-type]


def test_rows_of_a_day_are_reproducible() -> None:
    assert rows_of(BEGIN, seed=1).equals(rows_of(BEGIN, seed=1))
