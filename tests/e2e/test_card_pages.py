"""Model cards in a real browser, on a wide screen and on a phone: do they open from a file, and fit?"""

import html
from pathlib import Path

import pytest

from andon.pages.card_page import card_page
from tests.e2e.browser import browser, visit
from tests.unit.test_card_page import FULL, NOTHING

__all__ = ["browser"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_PHONE, _DESK = 390, 1280
_FRAME = """<!doctype html><body style="margin:0"><p id="said"></p>
<iframe srcdoc="{page}" style="width:{width}px;height:6000px;border:0" onload="look(this)"></iframe><script>
function look(frame) {{
  const inside = frame.contentDocument, root = inside.documentElement;
  const moved = [...inside.querySelectorAll(".scroll")].filter(part => part.scrollWidth > part.clientWidth + 1);
  const narrowest = Math.min(...[...inside.querySelectorAll(".roomy td:first-child")].map(one => one.clientWidth));
  const smallest = Math.min(...[...inside.querySelectorAll("text")].map(one =>
    parseFloat(getComputedStyle(one).fontSize) * one.getBoundingClientRect().height / one.getBBox().height));
  const leaves = (text, picture) => text.right > picture.right + 1 || text.left < picture.left - 1;
  const outside = [...inside.querySelectorAll("text")].filter(
    one => leaves(one.getBoundingClientRect(), one.closest("svg").getBoundingClientRect()));
  document.getElementById("said").textContent =
    "page " + root.scrollWidth + " of " + root.clientWidth + "; moved sideways: " + moved.length
    + "; names " + (narrowest < 90 ? "of " + narrowest : "have room")
    + "; letters " + (smallest < 10.5 ? "of " + smallest : "readable") + "; texts cut off: " + outside.length + ".";
}}
</script>"""


def test_a_card_opens_from_its_file_and_the_console_is_silent(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "card.html"
    path.write_text(card_page(FULL), encoding="utf-8")
    words = ("It saves 3.4% of the loss.", "champion, version 3", "Learning curves", "none was found of these:")
    text, console = visit(browser, path.as_uri(), *words, folder=tmp_path / "seen")
    assert console == []
    assert text.index("Against what") < text.index("What moves its predictions") < text.index("How it was made")
    assert (tmp_path / "seen" / "page.png").stat().st_size > 40_000, "it draws something"


@pytest.mark.parametrize(("width", "sideways"), [(_PHONE, 5), (_DESK, 0)])
def test_it_fits_a_phone_and_a_desk(browser: str, tmp_path: Path, width: int, sideways: int) -> None:
    """Only tables of numbers and curves are moved sideways."""
    frame = tmp_path / "frame.html"
    frame.write_text(_FRAME.format(page=html.escape(card_page(FULL)), width=width), encoding="utf-8")
    seen = f"page {width} of {width}; moved sideways: {sideways}; names have room; letters readable; texts cut off: 0."
    visit(browser, frame.as_uri(), seen, folder=tmp_path / "seen")


def test_a_card_without_anything_to_draw_says_so(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "nothing.html"
    path.write_text(card_page(NOTHING), encoding="utf-8")
    _, console = visit(browser, path.as_uri(), "Too few rows.", "No row has shown it yet.", folder=tmp_path / "seen")
    assert console == []
