"""The pages of windows in a real browser, on a wide screen and on a phone: do they open from a file, say what they are
to say, and fit?
"""

import html
from pathlib import Path

import pytest

from andon.pages.window_page import window_page
from tasks.pages import show_windows
from tests.e2e.browser import browser, visit
from tests.unit.test_window_page import NOTHING
from tests.unit.window_world import BEGIN, DAY, LONG, Watched, eventful

__all__ = ["browser"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_PHONE, _DESK = 390, 1280
_FRAME = """<!doctype html><body style="margin:0"><p id="said"></p>
<iframe srcdoc="{page}" style="width:{width}px;height:5000px;border:0" onload="look(this)"></iframe><script>
function look(frame) {{
  const inside = frame.contentDocument, root = inside.documentElement;
  const box = what => inside.querySelector(what).getBoundingClientRect();
  const moved = [...inside.querySelectorAll(".scroll")].filter(part => part.scrollWidth > part.clientWidth + 1);
  const newest = inside.querySelector(".heat tr:last-child td:last-child");
  const smallest = Math.min(...[...inside.querySelectorAll("text")].map(one =>
    parseFloat(getComputedStyle(one).fontSize) * one.getBoundingClientRect().height / one.getBBox().height));
  document.getElementById("said").textContent =
    "page " + root.scrollWidth + " of " + root.clientWidth + "; moved sideways: " + moved.length
    + "; verdict above " + (box(".verdict").bottom < 500 ? "the fold" : box(".verdict").bottom)
    + "; newest window " + (!newest || newest.getBoundingClientRect().right <= root.clientWidth ? "seen" : "hidden")
    + "; letters " + (smallest < 10.5 ? "of " + smallest : "readable") + ".";
}}
</script>"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return eventful(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def page(world: Watched) -> Path:
    show_windows.fn(world.watch(), world.looked[-1:], BEGIN + 31 * DAY)
    return world.home.absolute() / "reports" / "trips" / "latest.html"


def test_a_window_opens_from_its_file_and_the_console_is_silent(browser: str, page: Path, tmp_path: Path) -> None:
    words = (
        "Alarm",
        "Probably bad data in temp",
        "What Andon does",
        "estimate, before the labels",
        LONG,
        "● a finding",
    )
    text, console = visit(browser, page.as_uri(), *words, folder=tmp_path / "seen")
    assert console == []
    assert text.index("Alarm") < text.index("What Andon does") < text.index("Performance")
    assert (tmp_path / "seen" / "page.png").stat().st_size > 40_000, "it draws something"


@pytest.mark.parametrize(("width", "sideways"), [(_PHONE, 5), (_DESK, 0)])
def test_it_fits_a_phone_and_a_desk(browser: str, page: Path, tmp_path: Path, width: int, sideways: int) -> None:
    """Only charts and tables are moved sideways; the newest end of them is what is seen first."""
    frame = tmp_path / "frame.html"
    content = html.escape(page.read_text(encoding="utf-8"))
    frame.write_text(_FRAME.format(page=content, width=width), encoding="utf-8")
    seen = f"page {width} of {width}; moved sideways: {sideways}; verdict above the fold; newest window seen"
    visit(browser, frame.as_uri(), f"{seen}; letters readable.", folder=tmp_path / "seen")


def test_a_page_without_anything_to_draw_says_so(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "nothing.html"
    path.write_text(window_page(NOTHING), encoding="utf-8")
    text, console = visit(browser, path.as_uri(), "Too early to say.", "nothing can be said", folder=tmp_path / "seen")
    assert console == []
    assert "There is no feature to compare." in text
