"""`andon report`: where the page of a window is, for people and for scripts; and what to do when there is none."""

import json
from pathlib import Path

import pytest

from tests.unit.shell import Shell

PAGE = "<!doctype html><html><head><title>trips, Tuesday 30 April 2013: 3 &lt; 4 moved.</title></head></html>"


@pytest.fixture
def pages(andon: Shell) -> Path:
    folder = andon.home / "reports" / "trips"
    folder.mkdir(parents=True)
    for name in ("2013-04-29.html", "2013-04-30.html", "2013-04-30T1400.html", "latest.html"):
        (folder / name).write_text(PAGE if name != "2013-04-29.html" else "nothing of ours", encoding="utf-8")
    return folder


def test_the_newest_page_is_told_with_what_it_says(andon: Shell, pages: Path) -> None:
    ran = andon("report", "trips")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("trips, Tuesday 30 April 2013: 3 < 4 moved. Open it in a browser: file://")
    assert (pages / "2013-04-30T1400.html").absolute().as_uri() in ran.err
    assert "3 windows, 2013-04-29 to 2013-04-30T1400: andon report trips --window" in ran.err


@pytest.mark.parametrize(
    ("window", "name"),
    [("2013-04-29", "2013-04-29.html"), ("2013-04-30T16:00+02:00", "2013-04-30T1400.html")],
)
def test_a_window_is_asked_for_by_its_start(andon: Shell, pages: Path, window: str, name: str) -> None:
    told = json.loads(andon("report", "trips", "--window", window, "--json").out)
    says = "" if name == "2013-04-29.html" else "trips, Tuesday 30 April 2013: 3 < 4 moved."
    assert told == {"pipeline": "trips", "page": str((pages / name).absolute()), "says": says, "kept": 3}


def test_a_window_without_a_page_is_a_wrong_request(andon: Shell, pages: Path) -> None:
    assert pages.exists()
    ran = andon("report", "trips", "--window", "2012-01-01")
    assert ran.code == 2
    assert "there are pages of 2013-04-29 to 2013-04-30T1400; older ones lie in MLflow" in ran.err


def test_without_any_page_it_says_how_to_get_one(andon: Shell) -> None:
    ran = andon("report", "trips")
    assert (ran.code, "no window of trips has a page yet" in ran.err) == (0, True)
    assert ran.err.endswith("andon monitor trips")
    assert andon("report", "trips", "--json").out == "null\n"
    ran = andon("report", "trips", "--window", "2013-04-29")
    assert (ran.code, "there is none" in ran.err) == (2, True)
