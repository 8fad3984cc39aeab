"""`andon incidents` and what `andon check` says of alerts: what is wrong, since when, and who has heard of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from andon.processes import free_port
from registry.ledger import Arrival, Ledger
from tasks.channels import channels_of
from tests.receiver import Receiver, receiving
from tests.unit.shell import Shell
from validation.verdict import Verdict
from validation.watch.incidents import Alert, Finding, next_incidents

NOON = datetime(2013, 6, 4, 12, tzinfo=UTC)
FINDING = Finding(
    kind="bad data",
    about="2013-06-03T00:00:00+00:00",
    title="probably bad data in [temp]",
    cause="values no longer arrive",
    doing="Andon does not retrain on this",
    severity="a person must act",
    lines=("[temp] is null in 50.0% of the rows",),
    names=("temp",),
    since="2013-06-03T00:00:00+00:00",
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def hooked(andon: Shell, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", f"{receiver.url}/T0PS3CRET")
    return andon


def happen(ledger: Ledger, *, over: bool = False) -> int:
    (opened,) = next_incidents((), [FINDING], pipeline="trips", as_of=NOON, link="https://andon.example.org/1.html")
    seq = ledger.record(opened, actor="me").seq
    if over:
        (closed,) = next_incidents((opened,), (), pipeline="trips", as_of=NOON, over={"bad data": "it is whole again"})
        seq = ledger.record(closed, actor="me").seq
    return seq


def told(ledger: Ledger, row: int, channel: str, *, why: str = "") -> None:
    alert = Alert(
        pipeline="trips",
        subject="trips-bad-data",
        outcome="failed" if why else "delivered",
        reasons=(f"{channel}: {why}" if why else channel,),
        data_time=NOON,
        channel=channel,
        row=row,
        attempt=1,
    )
    ledger.record(alert, actor="me")


def channel_name() -> str:
    from andon.settings import Settings

    (channel,) = channels_of(Settings())
    return channel.name


def test_where_all_is_well_that_is_said(andon: Shell) -> None:
    ran = andon("incidents")
    assert ran.code == 0
    assert ran.err.startswith("trips: no open incident; no rows have come yet nobody is told of incidents: set ANDON_")


def test_an_open_incident_is_told_as_people_were_told(hooked: Shell) -> None:
    happen(hooked.ledger())
    ran = hooked("incidents", "trips")
    assert "trips: 1 open incident; no rows have come yet" in ran.err
    assert "trips: probably bad data in [temp] A person must act. Since 2013-06-03." in ran.err
    assert "- [temp] is null in 50.0% of the rows Probable cause: values no longer arrive." in ran.err
    assert f"{channel_name()}: not told yet" in ran.err


def test_who_has_heard_of_it_is_told_and_why_somebody_has_not(hooked: Shell) -> None:
    ledger = hooked.ledger()
    row, name = happen(ledger), channel_name()
    told(ledger, row, name, why="it answered 404")
    assert f"{name}: NOT told, try 1 on " in hooked("incidents").err
    assert ": it answered 404" in hooked("incidents").err
    told(ledger, row, name)
    assert f"{name}: told on " in hooked("incidents").err


def test_what_is_over_is_told_in_a_line_with_a_message_that_failed(hooked: Shell) -> None:
    ledger = hooked.ledger()
    row = happen(ledger, over=True)
    assert "trips: no open incident" in hooked("incidents").err
    assert "probably bad data in [temp]: over, it is whole again" in hooked("incidents").err
    assert "T0PS3CRET" not in hooked("incidents").err
    assert "not told" not in hooked("incidents").err
    told(ledger, row, channel_name(), why="it answered 404; given up after a day")
    assert "given up after a day" in hooked("incidents").err
    assert "over, it is" not in hooked("incidents", "--limit", "0").err


def test_when_rows_last_came_is_told_where_no_incident_says_so(andon: Shell) -> None:
    ledger = andon.ledger()
    (batch,) = ledger.claim_batches("trips", "rows", [Arrival(name="1.parquet", sha256="a" * 64)])
    verdict = Verdict(pipeline="trips", subject="1", outcome="accept", reasons=("",), data_time=NOON)
    ledger.finish_batches([(replace(batch, state="accepted"), verdict)], actor="me")
    assert f"rows last came in on {datetime.now(UTC):%Y-%m-%d}" in andon("incidents").err


def test_scripts_get_all_of_it(hooked: Shell) -> None:
    row = happen(hooked.ledger())
    watch = json.loads(hooked("incidents", "trips", "--json").out)
    (incident,) = watch["open"]
    assert (incident["row"], incident["channels"]) == (row, {channel_name(): "not told yet"})
    assert incident["incident"]["finding"]["names"] == ["temp"]
    assert [item["pipeline"] for item in json.loads(hooked("incidents", "--json").out)] == ["trips"]


def test_the_history_tells_incidents_in_a_sentence_and_messages_that_arrived_not_at_all(hooked: Shell) -> None:
    ledger = hooked.ledger()
    row = happen(ledger, over=True)
    told(ledger, row, channel_name())
    told(ledger, row, channel_name(), why="it answered 404")
    history = hooked("history", "trips").err
    assert "an incident: probably bad data in [temp]" in history
    assert "an incident is over: probably bad data in [temp], it is whole again" in history
    assert history.count("people were not told of trips-bad-data") == 1
    assert "people were told" not in history


def state_of(shell: Shell, what: str) -> tuple[str, str, int]:
    (found,) = [item for item in json.loads(shell("check", "--json").out) if item["what"].startswith(what)]
    return found["state"], found["detail"], found["code"]


def test_check_says_that_nobody_is_told(andon: Shell) -> None:
    state, detail, code = state_of(andon, "alerts")
    assert (state, code) == ("not set", 0)
    assert "set ANDON_ALERT_WEBHOOKS or ANDON_ALERT_BLOCKS" in detail


def test_check_looks_at_a_channel_and_sends_nothing(hooked: Shell, receiver: Receiver) -> None:
    assert state_of(hooked, "webhook 127.0.0.1") == ("ok", "it was never told of anything", 0)
    ledger = hooked.ledger()
    told(ledger, 1, channel_name(), why="it answered 404")
    state, detail, code = state_of(hooked, "webhook 127.0.0.1")
    assert (state, code) == ("failed", 3)
    assert "it answered 404" in detail
    told(ledger, 1, channel_name())
    assert state_of(hooked, "webhook 127.0.0.1")[0] == "ok"
    assert receiver.posts == []


def test_check_tells_a_channel_where_nobody_listens(andon: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", f"http://127.0.0.1:{free_port()}/T0PS3CRET")
    state, detail, code = state_of(andon, "webhook 127.0.0.1")
    assert (state, code) == ("not reachable", 3)
    assert "T0PS3CRET" not in detail


def test_check_says_that_a_block_cannot_be_looked_at_without_prefect(
    andon: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_ALERT_BLOCKS", "slack-webhook/ops")
    assert state_of(andon, "block slack-webhook/ops") == ("not known", "Prefect's server does not run: andon up", 0)
