"""The demo's pictures and its report: whole without a network, honest where there is nothing to show."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from demo.charts import Line, Marker, heat_map, lines
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


def test_a_line_leaves_a_gap_where_nothing_is_known_and_higher_is_more() -> None:
    drawn = drawing(lines([Line(name="a", colour="#000", values=[1.0, 2.0, None, 1.5])], labels=list("wxyz")))
    (path,) = drawn.iter("path")
    d = path.get("d") or ""
    assert (d.count("M"), d.count("L")) == (2, 1)
    (_, first, _, second, _, last) = numbers(d)
    assert second < last < first
    assert [title.text for title in drawn.iter("title")] == ["a, w: 1.0000", "a, x: 2.0000", "a, z: 1.5000"]


@pytest.mark.parametrize("values", [[0.0], [0.5, 0.5], [-3.0, 3.0]])
def test_all_points_lie_in_the_picture(values: list[float]) -> None:
    drawn = drawing(lines([Line(name="a", colour="#000", values=values)], labels=["w"] * len(values)))
    _, _, width, height = numbers(drawn.get("viewBox"))
    for circle in drawn.iter("circle"):
        assert 0 < float(circle.get("cx") or -1) < width
        assert 0 < float(circle.get("cy") or -1) < height


def test_markers_stand_at_their_week_and_tell_what_happened() -> None:
    marked = lines(
        [Line(name="a", colour="#000", values=[1.0, 2.0])],
        labels=["w", "x"],
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
    assert lines(series, labels=["w", "x"]) == '<p class="empty">Nothing to draw yet: no labelled week.</p>'


def test_a_heat_map_has_a_cell_for_each_week_and_the_darkest_for_the_most() -> None:
    drawn = drawing(heat_map({"temp": [0, 3, 9]}, labels=["w", "x", "y"], most=7))
    fills = [cell.get("fill") for cell in drawn.iter("rect")]
    assert fills == ["#f2f2ef", "rgba(180, 60, 20, 0.43)", "rgba(180, 60, 20, 1.00)"]
    assert [title.text for title in drawn.iter("title")][1] == "temp, x: 3 of 7 windows"
    assert heat_map({}, labels=["w"], most=7) == '<p class="empty">No feature was a finding in any window.</p>'


def test_names_from_outside_cannot_break_the_page() -> None:
    evil = "<script>&"
    drawn = lines([Line(name=evil, colour="#000", values=[1.0])], labels=[evil], y_title=evil)
    assert "<script>" not in drawn + heat_map({evil: [1]}, labels=[evil], most=1)
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
