"""Whoever watches is told how many rows are done; on a terminal it becomes a bar, elsewhere nothing is printed."""

import io
import sys

import pytest

from andon.cli.bar import counting_rows
from tasks.progress import counting
from tasks.watchers import watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_watcher_is_told_where_it_began_and_of_each_step() -> None:
    told: list[tuple[str, int, int]] = []
    with watched(lambda *step: told.append(step)), counting("rows", 10, done=4) as count:
        count(3)
        count(3)
    with counting("nobody watches", 5) as count:
        count(5)
    assert told == [("rows", 4, 10), ("rows", 7, 10), ("rows", 10, 10)]


def test_on_a_terminal_the_rows_that_are_done_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with counting_rows("scoring trips"), counting("trips: scoring batch 7", 2_000) as count:
        count(500)
    assert "trips: scoring batch 7" in terminal.getvalue()
    assert "500 of 2,000 rows" in terminal.getvalue()


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with counting_rows("scoring trips"), counting("trips: scoring batch 7", 2_000) as count:
        count(500)
    assert capsys.readouterr() == ("", "")
