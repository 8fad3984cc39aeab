"""Every channel hears of every incident, a dead one keeps nobody waiting, and the sweep watches the monitor."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from andon.processes import free_port
from andon.settings import Settings
from registry.ledger import Arrival
from tasks.alerts import deliver_waiting, waiting
from tasks.incidents import news, open_incidents, public, record
from tasks.responses import response
from tasks.silence import watch_the_monitor
from tasks.site import Site
from tests.receiver import Receiver, receiving
from tests.unit.window_world import BEGIN, DAY, Watched
from validation.deeds import Cord, Scored
from validation.deeds import Watched as Report
from validation.governor_rules import BREAKER
from validation.verdict import Verdict
from validation.watch.drift import PREDICTION
from validation.watch.incidents import Finding, Incident, next_incidents

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NULLS = pl.lit(None, pl.Float64)


@dataclass
class Clock:
    """The ledger's: moved by hand."""

    now: datetime = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> Watched:
    made = Watched(home=tmp_path, changes={"owner": "the met office"})
    made.ledger._clock = clock
    made.crown()
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def telling(world: Watched, *urls: str) -> Site:
    """The site, with these webhooks."""
    settings = Settings(home=world.home, alert_webhooks=SecretStr(",".join(urls)))
    return replace(world.site, settings=settings)


def finding(kind: Any = "drift", doing: str = "nothing") -> Finding:
    return Finding(
        kind=kind, about="a window", title="the predictions have moved", cause="the world", doing=doing,
        severity="a person should look",
    )  # fmt: skip


def happen(site: Site, *findings: Finding) -> None:
    """What is found now is recorded."""
    for incident in next_incidents(open_incidents(site, "drift"), findings, pipeline="trips", as_of=BEGIN):
        site.ledger.record(incident, actor="me")


def outcomes(site: Site) -> list[tuple[str, int, bool]]:
    return [
        (row.outcome, row.body["attempt"], row.body["is_final"]) for row in site.ledger.verdicts("trips", kind="alert")
    ]


def test_each_channel_hears_of_an_incident_once(world: Watched, receiver: Receiver) -> None:
    site = telling(world, f"{receiver.url}/a", f"{receiver.url}/b")
    happen(site, finding())
    assert [alert.outcome for alert in deliver_waiting(site, BEGIN)] == ["delivered", "delivered"]
    assert deliver_waiting(site, BEGIN) == ()
    assert sorted(post.path for post in receiver.posts) == ["/a", "/b"]
    (row,) = world.ledger.verdicts("trips", kind="incident")
    assert {post.headers["Idempotency-Key"] for post in receiver.posts} == {f"{row.subject}-{row.seq}"}
    assert receiver.texts()[0].startswith("*trips: the predictions have moved*\n\nA person should look.")


def test_where_nobody_is_to_be_told_nothing_is_written(world: Watched) -> None:
    happen(world.site, finding())
    before = len(world.ledger.verdicts())
    assert deliver_waiting(world.site, BEGIN) == ()
    assert len(world.ledger.verdicts()) == before


def test_a_dead_channel_keeps_no_other_waiting_and_its_secret_is_in_no_row(
    world: Watched, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.alerts.SECONDS", 1.0)
    site = telling(world, f"http://127.0.0.1:{free_port()}/T0PS3CRET", receiver.url)
    happen(site, finding())
    began = time.monotonic()
    alerts = deliver_waiting(site, BEGIN)
    assert time.monotonic() - began < 8
    assert [alert.outcome for alert in alerts] == ["delivered", "failed"], "who has answered is written down first"
    assert len(receiver.posts) == 1
    assert not [row for row in world.ledger.verdicts() if "T0PS3CRET" in str(row)]


def test_a_channel_that_fails_is_tried_later_and_later_and_given_up_after_a_day(
    world: Watched, receiver: Receiver, clock: Clock
) -> None:
    site = telling(world, receiver.url)
    receiver.answers = [404] * 100
    happen(site, finding())
    start, tried = clock.now, []
    while clock.now < start + 2 * DAY:
        tried += [clock.now - start] * len(deliver_waiting(site, BEGIN))
        clock.now += MINUTE
    assert tried[:5] == [0 * MINUTE, MINUTE, 5 * MINUTE, 21 * MINUTE, 85 * MINUTE]
    assert {later - earlier for earlier, later in pairwise(tried[5:])} == {4 * HOUR}
    assert tried[-1] > DAY
    assert outcomes(site)[-1] == ("failed", len(tried), True)
    assert [final for *_, final in outcomes(site)].count(True) == 1
    assert "given up after a day" in world.ledger.verdicts("trips", kind="alert")[-1].reasons[0]
    assert list(waiting(site)) == []


def test_after_a_bad_hour_a_channel_hears_what_has_become_of_it(
    world: Watched, receiver: Receiver, clock: Clock
) -> None:
    site = telling(world, receiver.url)
    receiver.answers = [404]
    happen(site, finding())
    deliver_waiting(site, BEGIN)
    happen(site, finding(doing="a retrain was asked for"))
    happen(site)
    assert deliver_waiting(site, BEGIN) == (), "it is left alone for a minute"
    clock.now += MINUTE
    deliver_waiting(site, BEGIN)
    assert [text.partition("*\n")[0] for text in receiver.texts()] == [
        "*trips: the predictions have moved",
        "*trips: over: the predictions have moved",
    ]
    assert deliver_waiting(site, BEGIN) == ()


def test_a_channel_that_is_new_hears_of_what_is_open_not_of_what_was(
    world: Watched, receiver: Receiver, clock: Clock
) -> None:
    happen(world.site, finding())
    happen(world.site)
    happen(world.site, finding(doing="something else"))
    clock.now += 2 * DAY
    deliver_waiting(telling(world, receiver.url), BEGIN)
    assert len(receiver.posts) == 1
    assert "over" not in receiver.texts()[0].partition("\n")[0]


def test_while_another_process_tells_it_is_left_to_it(world: Watched, receiver: Receiver) -> None:
    site = telling(world, receiver.url)
    happen(site, finding())
    lease = world.ledger.acquire("trips", "alerts", holder="another", ttl=HOUR)
    assert lease is not None
    assert deliver_waiting(site, BEGIN) == ()
    world.ledger.release(lease)
    assert len(deliver_waiting(site, BEGIN)) == 1


def monitor(world: Watched, as_of: datetime = BEGIN) -> list[tuple[str, str]]:
    """What a monitor does at its end."""
    found = news(world.site, as_of)
    lease = world.watch().lease
    record(world.site, found, lease=lease)
    verdict = Report(pipeline="trips", subject="", outcome="reported", reasons=("",), data_time=as_of, scored=0)
    world.ledger.record(verdict, actor="me")
    return [(item.finding.kind, item.outcome) for item in found]


def test_what_a_killed_monitor_has_found_is_raised_by_the_next(world: Watched) -> None:
    for number in range(8):  # the flood has come and gone when the next one looks
        world.day(number, temp=NULLS if number in (2, 3) else pl.col("temp"))
    assert monitor(world) == [("bad data", "opened"), ("bad data", "closed")]
    assert monitor(world) == []


def test_of_an_alarm_the_monitor_tells_the_beginning_and_the_end(world: Watched) -> None:
    told = []
    for number in range(9):
        moved = {PREDICTION: pl.col(PREDICTION) + 0.15} if number in (2, 3, 4) else {}
        world.day(number, **moved)  # type: ignore[arg-type]
        told += [(number, *item) for item in monitor(world)]
    assert told == [(2, "drift", "opened"), (7, "drift", "closed")]


def test_a_new_champion_ends_what_was_drift_against_the_old_one(world: Watched, clock: Clock) -> None:
    world.day(0, **{PREDICTION: pl.col(PREDICTION) + 0.15})  # type: ignore[arg-type]
    world.compared(0, 0.04, outcome="regret")
    assert monitor(world) == [("drift", "opened"), ("quality", "opened")]
    clock.now += HOUR
    version = world.crown()
    assert monitor(world) == [("drift", "closed"), ("quality", "closed")]
    assert {row.reasons[0] for row in world.ledger.verdicts("trips", kind="incident", limit=2)} == {
        f"version {version} serves now"
    }


def test_quality_is_well_again_only_when_labels_say_so(world: Watched) -> None:
    world.compared(1, 0.04, outcome="regret")
    assert monitor(world) == [("quality", "opened")]
    world.compared(2, 0.05, outcome="regret")
    assert monitor(world) == []
    world.compared(3, 0.0, outcome="need evidence")
    assert monitor(world) == []
    world.compared(4, 0.05, outcome="biased")
    assert monitor(world) == [("quality", "changed")]
    world.compared(5, 0.0)
    assert monitor(world) == [], "proven one week and not the next"
    world.compared(6, 0.0, outcome="need evidence")
    assert monitor(world) == []
    world.compared(7, 0.0)
    assert monitor(world) == []
    world.compared(8, 0.0)
    assert monitor(world) == [("quality", "closed")]


def test_without_a_champion_there_is_nothing_to_raise(tmp_path: Path) -> None:
    assert news(Watched(home=tmp_path).site, BEGIN) == ()


def test_what_becomes_of_the_retrain_is_news(world: Watched) -> None:
    world.compared(1, 0.04, outcome="regret")
    ledger, key = world.ledger, {"intent_id": "i1", "pipeline": "trips", "reason": "regret", "data_time": BEGIN}
    ledger.ask(**key)  # type: ignore[arg-type]
    monitor(world)
    ledger.defer("i1", until=BEGIN + 3 * DAY, condition="")
    assert monitor(world) == [("quality", "changed")]
    assert monitor(world) == []
    ledger.close("i1", outcome="reject")
    assert monitor(world) == [("quality", "changed")]
    said = [row.body["finding"]["doing"] for row in ledger.verdicts("trips", kind="incident")]
    assert said == [
        "a retrain was asked for on 2013-04-01; what comes of it serves only when it is proven better",
        "a retrain was asked for on 2013-04-01, and waits until 2013-04-04 00:00",
        "nothing for now; the retrain that was asked for on 2013-04-01 ended with: reject",
    ]


@pytest.mark.parametrize(
    ("do", "doing", "severity"),
    [
        ({}, "nothing yet: there is no reason to retrain", "a person should look"),
        ({"pause": True}, "the cord is pulled (wrong prices).*andon resume trips", "a person must act"),
        ({"condition": "a person's answer"}, "waits for a person's answer: andon approve trips", "a person must act"),
        ({"condition": BREAKER}, f"waits for {BREAKER}; .*andon resume trips", "a person must act"),
        ({"condition": "new mature rows"}, "and waits for new mature rows", "Andon acts"),
        ({"condition": "more evidence", "until": BEGIN}, "2013-04-01, and waits for more evidence", "Andon acts"),
        ({"condition": "", "until": BEGIN + DAY}, "and waits until 2013-04-02 00:00", "Andon acts"),
        ({"outcome": "refused: the breaker is open"}, "which was refused: the breaker is open", "a person must act"),
    ],
)  # fmt: skip
def test_what_is_done_is_told_in_words(world: Watched, do: dict[str, Any], doing: str, severity: str) -> None:
    ledger, champion = world.ledger, world.ledger.champion("trips")
    assert champion is not None
    if "pause" in do:
        cord = Cord(pipeline="trips", subject="", outcome="paused", reasons=("wrong prices",), data_time=BEGIN)
        ledger.record(cord, actor="me")
    elif do:
        ledger.ask(intent_id="i1", pipeline="trips", reason="regret", data_time=BEGIN)
    if "condition" in do:
        ledger.defer("i1", until=do.get("until"), condition=do["condition"])
    if "outcome" in do:
        ledger.close("i1", outcome=do["outcome"])
    found = response(world.site, champion)
    assert doing.replace(".*", "") in found.doing or all(part in found.doing for part in doing.split(".*"))
    assert (found.severity, found.champion) == (severity, "1")
    assert found.ask == "ask the met office what has changed in landing/trips/*.parquet"


def scored(world: Watched) -> None:
    verdict = Scored(
        pipeline="trips", subject="1", outcome="scored", reasons=("",), data_time=BEGIN, rows=10, versions=("1",),
        span=None, through="here", delivered=(),
    )  # fmt: skip
    world.ledger.record(verdict, actor="me")


def sweep(world: Watched, *, as_of: datetime = BEGIN + 90 * DAY) -> list[tuple[str, str]]:
    found = watch_the_monitor(world.site, as_of)
    return [(item.finding.kind, item.outcome) for item in found if isinstance(item, Incident)]


def log_file(world: Watched, name: str, *, at: datetime, written: datetime) -> Path:
    path = world.site.lake.predictions("trips") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"trip_id": ["a"], "started_at": [at], "prediction": [0.5]}).write_parquet(path)
    os.utime(path, (written.timestamp(), written.timestamp()))
    return path


def test_what_was_scored_and_not_watched_is_an_alarm_after_two_hours(world: Watched, clock: Clock) -> None:
    assert sweep(world) == [], "nothing has come, so nothing is due"
    clock.now += 30 * DAY
    assert sweep(world) == []
    scored(world)
    clock.now += 2 * HOUR
    assert sweep(world) == []
    clock.now += MINUTE
    assert sweep(world) == [("silence", "opened")]
    (incident,) = open_incidents(world.site, "silence")
    assert incident.finding.lines == ("a scored batch has had no report since 2026-12-21",)
    assert incident.finding.cause == "the monitor does not run, or fails each time"
    clock.now += HOUR
    scored(world)
    assert sweep(world) == [], "more of the same is no news"
    monitor(world)
    world.ledger.record(
        Report(pipeline="trips", subject="", outcome="reported", reasons=("",), data_time=BEGIN, scored=10_000),
        actor="me",
    )
    assert sweep(world) == [("silence", "closed")]


def test_a_monitor_that_does_not_come_to_its_end_is_told_as_that(world: Watched, clock: Clock) -> None:
    scored(world)
    clock.now += 3 * HOUR
    world.watch()
    assert sweep(world) == [("silence", "opened")]
    assert "does not come to its end" in open_incidents(world.site, "silence")[0].finding.cause


def test_accepted_rows_that_nobody_scores_are_not_watched_either(world: Watched, clock: Clock) -> None:
    (batch,) = world.ledger.claim_batches("trips", "rows", [Arrival(name="1.parquet", sha256="a" * 64)])
    accepted = replace(batch, state="accepted", rows_in=1, rows_accepted=1, span=(BEGIN, BEGIN + DAY))
    verdict = Verdict(pipeline="trips", subject="1", outcome="accept", reasons=("",), data_time=BEGIN)
    world.ledger.finish_batches([(accepted, verdict)], actor="me")
    clock.now += 3 * HOUR
    assert sweep(world) == [("silence", "opened")]
    assert "accepted batch has had no predictions" in open_incidents(world.site, "silence")[0].finding.lines[0]


def test_a_replay_of_a_past_year_is_no_silence(world: Watched, clock: Clock) -> None:
    """As fast as it is scored it is watched; data time is years behind, and runs faster than the clock."""
    for number in range(5):
        scored(world)
        log_file(world, f"{number}.parquet", at=BEGIN + number * DAY, written=clock.now)
        world.day(number)
        seen = world.ledger.verdicts("trips")[-1].seq
        report = Report(pipeline="trips", subject="", outcome="reported", reasons=("",), data_time=BEGIN, scored=seen)
        world.ledger.record(report, actor="me")
        clock.now += MINUTE
        assert sweep(world, as_of=datetime(2026, 11, 21, tzinfo=UTC)) == []
    clock.now += 90 * DAY
    assert sweep(world, as_of=clock.now) == []


def test_requests_that_are_answered_and_never_watched_are_an_alarm(world: Watched, clock: Clock) -> None:
    """A champion that answers by REST alone, whose monitor has died; a window is a day, patience two hours."""
    world.day(0)
    monitor(world)
    clock.now += DAY + 3 * HOUR
    log_file(world, "old.parquet", at=BEGIN + DAY, written=clock.now - DAY)
    assert sweep(world) == [], "nothing was answered since a window has passed"
    log_file(world, "unripe.parquet", at=BEGIN + DAY + HOUR, written=clock.now)
    assert sweep(world, as_of=BEGIN + DAY + 2 * HOUR) == [], "that window is not past"
    log_file(world, "again.parquet", at=BEGIN, written=clock.now)
    assert sweep(world, as_of=BEGIN + DAY + 2 * HOUR) == [], "that window was judged"
    assert sweep(world, as_of=BEGIN + 3 * DAY) == [("silence", "opened")]
    assert "no window of them was judged" in open_incidents(world.site, "silence")[0].finding.lines[0]


@pytest.mark.parametrize("damage", [b"", b"no parquet at all", b"PAR1 cut short PAR1"])
def test_a_log_that_cannot_be_read_is_an_alarm_until_it_can(world: Watched, clock: Clock, damage: bytes) -> None:
    good = log_file(world, "good.parquet", at=BEGIN, written=clock.now)
    bad = log_file(world, "bad.parquet", at=BEGIN, written=clock.now)
    whole = bad.read_bytes()
    scored(world)
    bad.write_bytes(damage)
    assert sweep(world) == [("unreadable data", "opened")]
    (incident,) = open_incidents(world.site, "unreadable data")
    assert incident.finding.title == "a file of the prediction log cannot be read"
    assert incident.finding.lines[0].startswith("bad.parquet is ")
    assert str(good.parent) in incident.finding.doing
    assert sweep(world) == []
    bad.write_bytes(whole)
    assert sweep(world) == [("unreadable data", "closed")]


def test_a_file_that_was_taken_away_is_no_trouble_any_more(world: Watched, clock: Clock) -> None:
    bad = log_file(world, "bad.parquet", at=BEGIN, written=clock.now)
    bad.write_bytes(b"x" * 100)
    monitor(world)
    assert sweep(world) == [("unreadable data", "opened")]
    clock.now += 30 * DAY
    monitor(world)
    assert sweep(world) == [], "a report since then does not make it readable"
    bad.unlink()
    assert sweep(world) == [("unreadable data", "closed")]


def test_two_sweeps_at_once_open_one_incident(world: Watched, clock: Clock) -> None:
    scored(world)
    clock.now += 3 * HOUR
    lease = world.ledger.acquire("trips", "incidents", holder="the other sweep", ttl=HOUR)
    assert lease is not None
    assert sweep(world) == []
    world.ledger.release(lease)
    assert sweep(world) == [("silence", "opened")]


@pytest.mark.parametrize(
    ("base", "link", "told"),
    [
        ("", "{home}/reports/trips/1.html", "{home}/reports/trips/1.html"),
        ("https://a.example.org/", "{home}/reports/trips/1.html", "https://a.example.org/trips/1.html"),
        ("https://a.example.org", "file://{home}/reports/trips/1.html", "https://a.example.org/trips/1.html"),
        ("https://a.example.org", "{home}/elsewhere/1.html", "{home}/elsewhere/1.html"),
        ("https://a.example.org", "https://b.example.org/1.html", "https://b.example.org/1.html"),
        ("https://a.example.org", "", ""),
    ],
)
def test_a_link_is_what_others_can_follow(world: Watched, base: str, link: str, told: str) -> None:
    site = replace(world.site, settings=Settings(home=world.home, public_url=base))
    assert public(site, link.format(home=world.home)) == told.format(home=world.home)
