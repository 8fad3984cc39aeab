"""Which champion a window was judged under, what is remembered of windows, and names from data in Prefect's pages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from andon import Monitor
from andon.settings import Settings
from registry.ledger import Change
from registry.memory import MemoryLedger
from registry.records import is_of_reign
from storage.lake import open_lake
from tasks.pages import _plain
from tasks.site import Site, open_store
from tasks.windows import told_windows
from tests.unit.modelling_world import pipeline_in
from validation.watch.drift import DriftVerdict
from validation.watch.windows import WindowVerdict

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def crown(ledger: MemoryLedger, version: str, epoch: int) -> None:
    change = Change(
        pipeline="rides", kind="promotion", version=version, bundle_sha256="a" * 64, trained_until=DAY, why="better",
        data_time=DAY, actor="me",
    )  # fmt: skip
    ledger.crown(change, expected_epoch=epoch)


def test_a_window_belongs_to_the_reign_by_whose_reference_it_was_judged_whenever_that_was_written() -> None:
    ledger = MemoryLedger()
    crown(ledger, "1", 0)
    verdict = DriftVerdict(
        pipeline="rides", subject=DAY.isoformat(), outcome="quiet", reasons=(), data_time=DAY, raised=False, rows=1,
        p_value=1.0, judged=1, features=(), epoch=1,
    )  # fmt: skip
    crown(ledger, "2", 1)
    late = ledger.record(verdict, actor="a monitor that had begun before")
    first, second = ledger.champions("rides")
    assert (is_of_reign(late, first), is_of_reign(late, second)) == (True, False)
    old = ledger.record(replace(verdict, epoch=0), actor="an older Andon")
    assert is_of_reign(old, second)
    crown(ledger, "3", 2)
    assert not is_of_reign(old, ledger.champions("rides")[-1])


def test_of_each_window_that_a_label_may_change_the_verdict_is_remembered(tmp_path: Path) -> None:
    """Quarters of an hour, whose labels may come for eight days: 769 windows, told three times each."""
    settings, ledger = Settings(home=tmp_path / "home"), MemoryLedger()
    pipeline = replace(pipeline_in(tmp_path), monitor=Monitor(every="15m"))
    site = Site(
        pipeline=pipeline, settings=settings, ledger=ledger, store=open_store(settings), lake=open_lake(settings),
        actor="me",
    )  # fmt: skip
    starts = [DAY + number * timedelta(minutes=15) for number in range(769)]
    for start in starts:
        for outcome in ("estimated", "partly labelled", "realised"):
            told = WindowVerdict(
                pipeline="rides", subject=start.isoformat(), outcome=outcome, reasons=(), data_time=DAY,
                champion_version="1", rows=1, labelled=0, coverage=0.0,
            )  # fmt: skip
            ledger.record(told, actor="me")
    found = told_windows(site)
    assert sorted(found) == [start.isoformat() for start in starts]
    assert {item.outcome for item in found.values()} == {"realised"}


@pytest.mark.parametrize("text", ["![x](https://example.org/x.png)", "<b>", "`code`", "*loud*", "a|b", "# head"])
def test_names_from_data_are_no_markup(text: str) -> None:
    shown = _plain(text)
    assert shown.replace("\\", "") == text
    assert all(shown[place - 1] == "\\" for place, sign in enumerate(shown) if sign in "`*_[]<>!|#")
