"""Who reigned over a past window, by the ledger's order and by data time; and what the command line asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from andon.cli.setup import data_time
from registry.ledger import Champion, Change, Recorded
from tasks.told import Told, report_differs
from validation.errors import DefinitionError
from validation.watch.trigger import Reason

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def champion(epoch: int, *, data_time: datetime, recorded_at: datetime) -> Champion:
    change = Change(
        pipeline="rides", kind="promotion", version=str(epoch), bundle_sha256="", trained_until=data_time, why="",
        data_time=data_time, actor="",
    )  # fmt: skip
    return Champion(epoch=epoch, change=change, from_version=None, recorded_at=recorded_at)


def row(seq: int, *, data_time: datetime = NOON, recorded_at: datetime = NOON, reason: str = "") -> Recorded:
    return Recorded(
        seq=seq, kind="", pipeline="rides", subject="", outcome="", reasons=(reason,), body={}, data_time=data_time,
        actor="", recorded_at=recorded_at, prev_hash="", hash="",
    )  # fmt: skip


CHAMPIONS = tuple(
    champion(number, data_time=NOON + number * DAY, recorded_at=NOON + timedelta(minutes=number)) for number in (1, 2)
)


def told(*, performance: tuple[Recorded, ...] = (), reports: tuple[Recorded, ...] = ()) -> Told:
    return Told(champions=CHAMPIONS, drift={}, performance=performance, reports=reports)


@pytest.mark.parametrize(
    ("end", "version"),
    [(NOON, "1"), (NOON + 2 * DAY, "1"), (NOON + 2 * DAY + timedelta(microseconds=1), "2"), (NOON + 9 * DAY, "2")],
)
def test_without_a_record_the_champion_is_that_of_the_windows_end(end: datetime, version: str) -> None:
    """Who is crowned at that very moment comes after; before the first it is the first, who scored what was there."""
    assert told().reigning(end, None).change.version == version


@pytest.mark.parametrize(("minutes", "version"), [(1, "1"), (1.9, "1"), (2, "2"), (99, "2")])
def test_where_the_ledger_judged_the_champion_is_the_one_of_its_order(minutes: float, version: str) -> None:
    found = row(1, recorded_at=NOON + timedelta(minutes=minutes))
    assert told().reigning(NOON + 9 * DAY, found).change.version == version


def test_the_monitor_of_a_window_is_the_first_from_its_end_to_the_next_ones() -> None:
    rows = tuple(row(number, data_time=NOON + number * DAY / 2) for number in range(5))
    found = told(performance=rows)
    assert found.performance_after(NOON + DAY, DAY) is rows[2]
    assert found.performance_after(NOON + DAY + timedelta(seconds=1), DAY) is rows[3]
    assert found.performance_after(NOON + 3 * DAY, DAY) is None


def test_a_reason_that_there_was_not_then_is_told() -> None:
    reason = Reason(sentence="regret: much", by="regret")
    reports = (row(3, reason="drift quiet (1); no reason to retrain"), row(9, reason="a retrain was asked for"))
    found = told(reports=reports)
    assert found.report_of(row(2)) is reports[0]
    assert found.report_of(row(10)) is None
    assert report_differs(reason, reports[0]) == ("then there was no reason to retrain, now there would be one",)
    assert report_differs(reason, reports[1]) == report_differs(None, reports[0]) == report_differs(reason, None) == ()


def test_the_options_are_named_in_their_errors() -> None:
    assert data_time("2013-04-01", option="--from") == datetime(2013, 4, 1, tzinfo=UTC)
    with pytest.raises(DefinitionError, match="--from must be a moment"):
        data_time("April", option="--from")
    with pytest.raises(DefinitionError, match="--to must lie between"):
        data_time("1813-04-01", option="--to")
