"""Whoever watches is told how many rows are done; on a terminal it becomes a bar, elsewhere nothing is printed."""

import io
import logging
import sys

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from andon.cli.bar import counting_rows, showing_training
from tasks.progress import Picture, counting, in_words, training_progress
from tasks.watchers import Step, training_watched, watched


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


def test_on_a_terminal_training_is_told_with_its_best_loss_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with showing_training("retraining trips"), training_progress("retraining trips") as tell:
        tell("looking for leaks", 0.0, None, None)
        tell("searching, 7 trials", 0.4, 0.31415, 36.0)
    assert "retraining trips: searching, 7 trials" in terminal.getvalue()
    assert "best 0.31415, 36 s left" in terminal.getvalue()


def test_a_watcher_is_told_each_step_of_a_training_and_nobody_else_is() -> None:
    told: list[Step] = []
    with training_watched(told.append), training_progress("retraining trips") as tell:
        tell("fitting the challenger", 0.5, None, None)
    with training_progress("nobody watches") as tell:
        tell("fitting the challenger", 0.5, None, None)
    assert told == [Step(what="retraining trips", doing="fitting the challenger", share=0.5, best=None, left=None)]


def test_elsewhere_training_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with showing_training("retraining trips"), training_progress("retraining trips") as tell:
        tell("searching", 0.4, 0.3, 36.0)
    assert capsys.readouterr() == ("", "")


def test_what_is_known_is_one_line() -> None:
    assert in_words("fitting", None, None) == "fitting"
    assert in_words("searching", 0.25, 3.4) == "searching, best 0.25000, 3 s left"


@pytest.mark.filterwarnings("ignore:Artifact creation outside of a flow")
def test_a_prefect_that_does_not_answer_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each try takes its client seconds, and a training tells a hundred times."""
    picture = Picture()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), caplog.at_level(logging.WARNING):
        picture.show(1.0, "searching")
        picture.show(2.0, "searching")
    said = [record.getMessage() for record in caplog.records if "no progress is shown" in record.getMessage()]
    assert (picture.artifact, len(said)) == (None, 1)
    assert "ConnectError" in said[0]
