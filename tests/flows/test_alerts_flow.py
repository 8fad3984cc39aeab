"""From arriving data to a message that somebody reads: the real monitor, the real sweep, webhook and block."""

from collections.abc import Iterator

import polars as pl
import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.reconcile import reconcile
from flows.score import score
from tests.flows.test_alert_blocks import custom
from tests.flows.test_monitor_flow import changed
from tests.flows.world import World, day
from tests.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def told(world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world on 31 January, with a webhook."""
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", f"{receiver.url}/hook")
    score("bikes", as_of=day(1, 31))
    monitor("bikes", as_of=day(1, 31))
    assert receiver.posts == []
    return world


def titles(receiver: Receiver) -> list[str]:
    return [text.partition("\n")[0].strip("*") for text in receiver.texts()]


def about_the_log(receiver: Receiver) -> list[str]:
    return [title for title in titles(receiver) if "prediction log" in title]


@pytest.mark.slow
def test_a_stuck_sensor_is_told_once_with_whom_to_ask_and_is_over_when_it_moves_again(
    told: World, receiver: Receiver
) -> None:
    told.put("bikes", "2011-W06.parquet", told.rows(6).with_columns(humidity=pl.lit(0.97)))
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    monitor("bikes", as_of=day(2, 7))
    assert titles(receiver) == ["bikes: probably bad data in humidity"]
    assert "Andon does not retrain on this, and serves on with version 1; ask" in receiver.texts()[0]
    assert "landing/bikes/*.parquet" in receiver.texts()[0]
    assert reconcile("bikes", as_of=day(2, 7)) == (), "the sweep has nothing to add"
    assert [intent.state for intent in told.ledger.intents("bikes")] == ["closed"]
    told.put("bikes", "2011-W07.parquet", told.rows(6).with_columns(pl.col("ts") + pl.duration(days=7)))
    ingest("bikes", as_of=day(2, 14))
    score("bikes", as_of=day(2, 14))
    monitor("bikes", as_of=day(2, 14))
    assert titles(receiver)[1:] == ["bikes: over: probably bad data in humidity"]


def test_a_stale_champion_is_told_by_webhook_and_block_from_within_the_flow_run(
    told: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_ALERT_BLOCKS", custom(f"{receiver.url}/block").slug)
    changed(told)
    monitor("bikes", as_of=day(2, 14))
    assert sorted(post.path for post in receiver.posts) == ["/block", "/hook"]
    for text in receiver.texts():
        assert "bikes: version 1, which serves, has become stale" in text
        assert "a retrain was asked for on 2011-02-14; what comes of it serves only when it is proven better" in text
    assert [outcome for _, outcome in told.told("alert")] == ["delivered", "delivered"]


def test_a_log_that_cannot_be_read_is_told_by_the_sweep_and_over_when_it_can(told: World, receiver: Receiver) -> None:
    log = told.site.lake.predictions("bikes")
    broken = log / "0-broken.parquet"
    broken.write_bytes(b"PAR1 what a disk makes of it")
    told.land(6)
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    with pytest.raises(Exception, match="parquet"):
        reconcile("bikes", as_of=day(2, 7))
    assert about_the_log(receiver) == ["bikes: a file of the prediction log cannot be read"]
    assert "0-broken.parquet is not a whole Parquet file" in receiver.texts()[0]
    broken.unlink()
    reconcile("bikes", as_of=day(2, 7))
    assert about_the_log(receiver)[1:] == ["bikes: over: a file of the prediction log cannot be read"]
    assert told.told("watch")[-1][1] == "reported"
