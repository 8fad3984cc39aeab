"""The pictures of pages, and the demo's report: whole without a network, honest where there is nothing to show."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from andon.pages.charts import Axes, Line, Marker, lines
from andon.pages.heat import heat_legend, heat_map
from andon.pages.story import Cell, Heat, HeatRow
from demo.report import as_html, as_table, in_a_sentence
from demo.timeline import Summary, WeekStory

QUIET = WeekStory(
    label="2013-W14", starts="2013-04-01T00:00:00+00:00", rows=6_000, quarantined=0, refused=0, damage="",
    drift_outcomes={"quiet": 7}, drift={}, performance="fine", regret_share=0.001, asked="", gate="", gain_share=None,
    gain_lower=None, champion="1", promoted="", seconds_to_serving=None, seconds=1.5,
)  # fmt: skip
EVENTFUL = replace(
    QUIET,
    label="2013-W15",
    quarantined=180,
    refused=1,
    damage="truncated <upload>",
    drift_outcomes={"quiet": 4, "suspect": 1, "drift": 2},
    drift={"temp": 3, "wind": 1},
    regret_share=0.021,
    asked="run",
    gate="promote",
    gain_share=0.034,
    promoted="2",
    seconds_to_serving=9.0,
    loss_andon=0.41,
    loss_never=0.45,
    loss_weekly=0.40,
)
SUMMARY = Summary(
    weeks=2, batches_accepted=2, batches_refused=1, batches_duplicate=0, rows_accepted=12_000, rows_quarantined=180,
    drift_verdicts=14, drift_alarms=2, retrains=1, retrains_by_event=1, promotions=2, rejections=0, need_evidence=0,
    deferred=0, requests_served=600, requests_failed=0, rows_scored=12_000, rows_judged=11_000, log_loss_andon=0.41,
    log_loss_never_retrain=0.45, log_loss_weekly_retrain=0.40, gap_closed=0.8, seconds_event_to_serving_median=9.0,
    seconds_total=61.5, seconds_by_stage={"ingest": 4.0},
)  # fmt: skip
UNJUDGED = replace(
    SUMMARY, log_loss_andon=None, log_loss_never_retrain=None, log_loss_weekly_retrain=None, gap_closed=None,
    seconds_event_to_serving_median=None,
)  # fmt: skip


def drawing(text: str) -> ET.Element:
    """The SVG in a piece of HTML; it must be well-formed."""
    return ET.fromstring(re.findall(r"<svg.*?</svg>", text, re.DOTALL)[0])  # noqa: S314


def numbers(path: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", path or "")]


AXES = Axes(name="loss by week", nothing="Nothing to draw yet.")


def test_a_line_leaves_a_gap_where_nothing_is_known_and_higher_is_more() -> None:
    drawn = drawing(
        lines([Line(name="a", colour="#000", values=[1.0, 2.0, None, 1.5])], labels=list("wxyz"), axes=AXES)
    )
    (path,) = drawn.iter("path")
    d = path.get("d") or ""
    assert (d.count("M"), d.count("L")) == (2, 1)
    (_, first, _, second, _, last) = numbers(d)
    assert second < last < first
    assert [title.text for title in drawn.iter("title")] == ["a, w: 1.0000", "a, x: 2.0000", "a, z: 1.5000"]
    assert (drawn.get("role"), drawn.get("aria-label")) == ("img", "loss by week")


@pytest.mark.parametrize("values", [[0.0], [0.5, 0.5], [-3.0, 3.0], [1e-9, 2e-9], [1e9, 3e9], [-1e-12, 0.3]])
@pytest.mark.parametrize("percent", [False, True])
def test_all_points_lie_in_the_picture(values: list[float], *, percent: bool) -> None:
    axes = Axes(name="a", percent=percent, height=170)
    band = Line(name="a", colour="#000", values=values, lower=[one - 1 for one in values], upper=[*values])
    drawn = drawing(lines([band], labels=["w"] * len(values), axes=axes))
    _, _, width, height = numbers(drawn.get("viewBox"))
    for circle in drawn.iter("circle"):
        assert 0 < float(circle.get("cx") or -1) < width
        assert 0 < float(circle.get("cy") or -1) < height
    ticks = [text.text or "" for text in drawn.iter("text") if text.get("text-anchor") is None]
    assert len(ticks) == len(set(ticks)) >= 3, "each line of the grid has another value"
    assert all(tick.endswith("%") for tick in ticks) == percent


def test_ticks_are_round_numbers_and_zero_is_zero() -> None:
    axes = Axes(name="gain", percent=True, height=170, levels=((0.0, ""), (0.005, "enough")))
    drawn = lines([Line(name="a", colour="#000", values=[0.0312])], labels=["w"], axes=axes)
    ticks = [text.text for text in drawing(drawn).iter("text") if text.get("text-anchor") is None]
    assert ticks == ["0%", "2%", "4%"]
    assert [line.get("class") for line in drawing(drawn).iter("line")][:2] == ["zero", "grid"]
    assert "enough" in drawn.partition("</svg>")[2], "what the dotted line means is in the legend"


def test_a_band_covers_what_lies_between_its_bounds_and_stops_at_a_gap() -> None:
    line = Line(
        name="estimate", colour="#000", dashed=True, values=[1.0, 1.0, None, 1.0, 1.0],
        lower=[0.5, 0.5, None, 0.5, 0.5], upper=[2.0, 2.0, None, 2.0, 2.0],
    )  # fmt: skip
    drawn = drawing(lines([line], labels=list("abcde"), axes=AXES))
    bands = [path.get("d") or "" for path in drawn.iter("path") if path.get("fill") != "none"]
    assert [band.count("L") for band in bands] == [3, 3]
    (dashed,) = (path for path in drawn.iter("path") if path.get("fill") == "none")
    assert dashed.get("stroke-dasharray")
    heights = numbers(bands[0])[1::2]
    assert min(heights) < numbers(dashed.get("d"))[1] < max(heights)


def test_dots_have_whiskers_and_no_line_between_them() -> None:
    line = Line(
        name="gain", colour="#123456", dots=True, values=[1.0, None, 2.0], lower=[0.5, None, 1], upper=[2, None, 3]
    )
    drawn = drawing(lines([line], labels=list("abc"), axes=AXES))
    assert not list(drawn.iter("path"))
    whiskers = [item for item in drawn.iter("line") if item.get("stroke") == "#123456"]
    circles = list(drawn.iter("circle"))
    assert [item.get("x1") for item in whiskers] == [circle.get("cx") for circle in circles]
    for whisker, circle in zip(whiskers, circles, strict=True):
        low, high = float(whisker.get("y1") or 0), float(whisker.get("y2") or 0)
        assert high < float(circle.get("cy") or 0) < low


def test_markers_stand_at_their_week_and_tell_what_happened() -> None:
    marked = lines(
        [Line(name="a", colour="#000", values=[1.0, 2.0])],
        labels=["w", "x"],
        axes=AXES,
        markers=[Marker(at=1, text="v2", title="x: version 2 became champion")],
    )
    (group,) = (item for item in drawing(marked).iter("g") if item.get("class") == "marker")
    circles = list(drawing(marked).iter("circle"))
    line = group.find("line")
    assert line is not None
    assert line.get("x1") == circles[1].get("cx")
    assert (group.findtext("title"), group.findtext("text")) == ("x: version 2 became champion", "v2")


@pytest.mark.parametrize("series", [[], [Line(name="a", colour="#000", values=[None, None])]])
def test_without_a_known_value_there_is_a_sentence_instead_of_a_picture(series: list[Line]) -> None:
    assert lines(series, labels=["w", "x"], axes=AXES) == '<p class="empty">Nothing to draw yet.</p>'


def test_the_newest_label_is_always_written() -> None:
    labels = [f"{n} May" for n in range(1, 61)]
    drawn = drawing(lines([Line(name="a", colour="#000", values=[1.0] * 60)], labels=labels, axes=AXES))
    written = [text.text for text in drawn.iter("text") if text.get("text-anchor") == "middle"]
    assert written[-1] == "60 May"
    assert 5 < len(written) < 15


def heat(**rows: list[Cell | None]) -> Heat:
    names = tuple(HeatRow(name=name, cells=tuple(cells)) for name, cells in rows.items())
    return Heat(labels=("w", "x", "y", "z"), rows=names, judged=9)


def test_a_heat_map_has_a_cell_for_each_window_and_the_darkest_for_the_most() -> None:
    cells = [Cell(shade=0.0), Cell(shade=0.4), Cell(shade=1.0, marked=True, said="temp, y: moved"), None]
    drawn = ET.fromstring(heat_map(heat(temp=cells), name="Drift", nothing="-"))  # noqa: S314
    shown = [(cell.get("class"), cell.text, cell.get("title")) for cell in drawn.iter("td")]
    assert shown == [("s0", None, None), ("s3", None, None), ("s6", "●", "temp, y: moved"), ("not", None, None)]
    assert [head.text for head in drawn.iter("th")] == [None, "w", "x", "y", "z", "temp"]
    assert drawn.findtext("caption") == "Drift"
    assert heat_map(heat(), name="Drift", nothing="none yet") == '<p class="empty">none yet</p>'
    assert heat_map(None, name="Drift", nothing="none yet") == '<p class="empty">none yet</p>'


def test_the_legend_tells_only_what_is_in_the_picture() -> None:
    assert "not judged" in heat_legend(shade="darker", mark="a finding", unjudged="not judged")
    assert "●" not in heat_legend(shade="darker")


def test_names_from_outside_cannot_break_the_page() -> None:
    evil = '<script>&"'
    drawn = lines([Line(name=evil, colour="#000", values=[1.0])], labels=[evil], axes=replace(AXES, name=evil))
    row: dict[str, list[Cell | None]] = {evil: [Cell(shade=1.0, said=evil)] * 4}
    assert "<script>" not in drawn + heat_map(heat(**row), name=evil, nothing=evil)
    assert drawing(drawn) is not None
    assert "<script>" not in as_html(SUMMARY, [replace(EVENTFUL, damage=evil)], title=evil)


class Tags(HTMLParser):
    """Open tags that were never closed, and whatever would be loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("summary", "weeks"), [(SUMMARY, [QUIET, EVENTFUL]), (UNJUDGED, [QUIET]), (replace(UNJUDGED, weeks=0), [])]
)
def test_the_report_is_one_whole_page_that_needs_nothing_else(summary: Summary, weeks: list[WeekStory]) -> None:
    page = as_html(summary, weeks, title="The year 2013")
    assert "<script" not in page
    tags = Tags()
    tags.feed(page)
    assert (tags.open, tags.loaded) == ([], [])
    assert page.count('class="empty"') == (0 if EVENTFUL in weeks else 3)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "nan" not in page.lower().replace("finance", "")


def test_the_sentence_says_what_came_of_it_or_that_nothing_can_be_said() -> None:
    assert in_a_sentence(SUMMARY) == (
        "Over 2 weeks the log loss was 0.4100 with Andon, 0.4500 without any retraining, 0.4000 with ungated weekly "
        "retraining (gap closed: 0.80); 2 promotions, 600 requests served, 0 failed."
    )
    assert in_a_sentence(UNJUDGED) == (
        "2 weeks replayed; no week has labels yet, so nothing can be said of the quality."
    )
    without = replace(SUMMARY, log_loss_weekly_retrain=None, gap_closed=None)
    assert "0.4500 without any retraining; 2 promotions" in in_a_sentence(without)


def test_the_table_for_a_terminal_tells_each_week_in_a_row() -> None:
    console = Console(width=240)
    with console.capture() as captured:
        console.print(as_table([QUIET, EVENTFUL]))
    quiet, eventful = (line for line in captured.get().splitlines() if "2013-W1" in line)
    assert re.findall(r"[^\s│]+", quiet) == ["2013-W14", "6,000", "+0.1%", "v1"]
    for told in ("180 rows, a file", "truncated <upload>", "2 drift, 1 suspect", "+2.1%", "run", "promote +3.4%",
                 "v1", "0.4100", "0.4500", "0.4000"):  # fmt: skip
        assert told in eventful, told
