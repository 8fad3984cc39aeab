"""Watching: each window is judged once, a proven regret asks for one retrain, and the governor says when."""

import polars as pl
import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.retrain import retrain
from flows.score import score
from tasks.cord import pull, release
from tasks.deferrals import reexamine
from tasks.leases import holding
from tasks.requests import request
from tasks.snapshots import take_snapshot
from tests.flows.world import POLICIES, World, at_once, day
from validation.verdict import Verdict

LATER = POLICIES + 'governor=Governor(cooldown="30d"),'


def of_kind(kind: str, verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.kind == kind]


def changed(world: World) -> None:
    """A week of the changed world has labels."""
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))


def test_each_window_is_judged_once_and_its_verdict_is_in_the_ledger(world: World) -> None:
    score("bikes", as_of=day(1, 31))
    windows = of_kind("drift", monitor("bikes", as_of=day(1, 31)))
    days = [day(1, 24 + n) for n in range(8)] + [day(2, 1 + n) for n in range(6)]
    assert [item.subject for item in windows] == [moment.isoformat() for moment in days]
    assert of_kind("drift", monitor("bikes", as_of=day(1, 31, 12))) == []
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    assert len(of_kind("drift", monitor("bikes", as_of=day(2, 7)))) == 7
    subjects = [subject for subject, _ in world.told("drift")]
    assert (len(subjects), len(set(subjects))) == (21, 21)


def test_a_stuck_sensor_is_drift_that_names_it_and_asks_for_nothing(world: World) -> None:
    score("bikes", as_of=day(1, 31))
    monitor("bikes", as_of=day(1, 31))
    stuck = world.rows(6).with_columns(humidity=pl.lit(0.97))
    world.put("bikes", "2011-W06.parquet", stuck)
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    windows = of_kind("drift", monitor("bikes", as_of=day(2, 7)))
    assert {item.outcome for item in windows} == {"drift"}
    assert all("humidity" in item.reasons[0] for item in windows)
    assert [intent.state for intent in world.ledger.intents("bikes")] == ["closed"]


def test_as_soon_as_there_are_labels_it_asks_for_the_first_champion(empty: World) -> None:
    empty.land(0)
    ingest("bikes", as_of=day(1, 3))
    assert monitor("bikes", as_of=day(1, 3)) == ()
    empty.land(1)
    ingest("bikes", as_of=day(1, 10))
    (asked,) = of_kind("governor", monitor("bikes", as_of=day(1, 10)))
    assert asked.outcome == "run"
    assert of_kind("governor", monitor("bikes", as_of=day(1, 10, 1))) == [], "the wish is there, and permitted"
    (intent,) = empty.ledger.intents("bikes")
    assert (intent.state, intent.reason) == ("open", "there is no champion yet")


def test_a_proven_regret_asks_for_one_retrain_however_often_it_is_seen(world: World) -> None:
    changed(world)
    found = monitor("bikes", as_of=day(2, 14))
    assert [(item.kind, item.outcome) for item in found] == [
        ("performance", "regret"),
        ("governor", "run"),
        ("incident", "opened"),
        ("watch", "reported"),
    ]
    (intent,) = world.ledger.intents("bikes", states=("open",))
    assert intent.reason.startswith("regret: retraining would gain +")
    assert monitor("bikes", as_of=day(2, 14, 1)) == ()
    assert monitor("bikes", as_of=day(2, 14, 2)) == ()
    assert len(world.ledger.intents("bikes")) == 2


@pytest.mark.slow
def test_a_burst_of_monitors_is_one_intent(world: World) -> None:
    changed(world)
    found = at_once(*[lambda: monitor("bikes", as_of=day(2, 14))] * 3)
    assert all(isinstance(verdicts, tuple) for verdicts in found), found
    assert [intent.state for intent in world.ledger.intents("bikes")] == ["closed", "open"]
    assert [outcome for _, outcome in world.told("governor")].count("run") == 1 + 1  # the first champion's, by hand


def test_in_the_cooldown_the_wish_is_deferred_with_its_moment(world: World) -> None:
    world.define(LATER)
    changed(world)
    (governor,) = of_kind("governor", monitor("bikes", as_of=day(2, 14)))
    assert governor.outcome == "defer"
    *_, intent = world.ledger.intents("bikes")
    assert (intent.state, intent.until) == ("deferred", day(3, 2))


def test_a_wish_of_the_time_when_the_cord_was_pulled_comes_back_when_it_is_released(world: World) -> None:
    pull("bikes", "the docks are rebuilt")
    changed(world)
    found = monitor("bikes", as_of=day(2, 14))
    ((performance,), (governor,)) = (of_kind(kind, found) for kind in ("performance", "governor"))
    assert (performance.outcome, governor.outcome) == ("regret", "defer")
    assert "the cord is pulled (the docks are rebuilt)" in governor.reasons[0]
    *_, waiting = world.ledger.intents("bikes")
    assert (waiting.state, waiting.until, waiting.condition) == ("deferred", None, "the cord is released")
    assert of_kind("governor", monitor("bikes", as_of=day(2, 14, 1), reason="the docks are full")) == []
    assert reexamine(world.site, day(2, 14, 1)) == ()
    release("bikes", "done")
    (back,) = reexamine(world.site, day(2, 14, 1))
    assert (back.subject, back.outcome) == (waiting.id, "run")
    (asked,) = world.ledger.intents("bikes", states=("open",))
    assert (asked.id, asked.reason) == (waiting.id, waiting.reason)
    assert asked.reason.startswith("regret: ")
    assert [outcome for _, outcome in world.told("cord")] == ["paused", "resumed"]
    assert [outcome for _, outcome in world.told("governor")] == ["run", "defer", "run"]


def test_a_hundred_events_of_drift_are_one_retrain(world: World) -> None:
    """What each event comes to: a wish, from whichever process. The retrain's lease and claim decide who answers."""
    changed(world)
    snapshot = take_snapshot(world.site, day(2, 14))

    def burst(process: int) -> list[Verdict]:
        site, reasons = world.site, [f"drift no. {process * 25 + number}" for number in range(25)]
        return [verdict for reason in reasons for verdict in request(site, snapshot, reason, day(2, 14))]

    answers = at_once(*[lambda process=process: burst(process) for process in range(4)])
    (intent,) = world.ledger.intents("bikes", states=("open",))
    assert intent.reason.startswith("drift no. ")
    permitted = [verdict for verdicts in answers if isinstance(verdicts, list) for verdict in verdicts]
    assert {(verdict.subject, verdict.outcome) for verdict in permitted} == {(intent.id, "run")}, answers
    assert len(permitted) <= 4, "those that came at the same moment; the others joined"
    found = at_once(*[lambda: retrain("bikes", intent=intent.id, as_of=day(2, 14))] * 3)
    assert all(isinstance(item, Verdict) for item in found), found
    assert len(world.told("gate")) == 2
    assert request(world.site, snapshot, "one more", day(2, 14))[0].outcome == "defer"


def test_somebody_outside_is_heard_while_another_process_watches(world: World) -> None:
    changed(world)
    with holding(world.site, "monitor") as lease:
        assert lease is not None
        skipped, asked = monitor("bikes", as_of=day(2, 14), reason="the docks are full")
        (again,) = monitor("bikes", as_of=day(2, 14))
    assert (skipped.kind, again.kind, asked.kind, asked.outcome) == ("skip", "skip", "governor", "run")
    assert world.ledger.intents("bikes")[-1].reason == "told from outside: the docks are full"


def test_a_new_champion_is_watched_against_its_own_reference(later: World) -> None:
    """It has answered for no window yet, and none of its alarms is the old one's."""
    score("bikes", as_of=day(2, 14))
    verdicts = monitor("bikes", as_of=day(2, 14))
    assert len(of_kind("drift", verdicts)) == 28
    (performance,) = of_kind("performance", verdicts)
    assert performance.outcome == "need evidence"
    assert [intent.state for intent in later.ledger.intents("bikes")] == ["closed", "closed"]


@pytest.mark.slow
def test_a_row_far_ahead_hides_no_window_and_half_a_window_waits_for_its_rest(world: World) -> None:
    score("bikes", as_of=day(1, 31))
    monitor("bikes", as_of=day(1, 31))
    rows, spec = world.rows(6).sort("ts"), world.site.pipeline.spec
    odd = rows[12:13].with_columns(pl.col(spec.time).dt.offset_by("3w"))
    world.put("bikes", "odd.parquet", odd.cast(rows.schema))
    ingest("bikes", as_of=day(2, 6))
    score("bikes", as_of=day(2, 6))
    monitor("bikes", as_of=day(2, 6))
    world.put("bikes", "a.parquet", rows.filter(pl.col(spec.time) < day(2, 8, 6)))
    ingest("bikes", as_of=day(2, 7))
    score("bikes", as_of=day(2, 7))
    monitor("bikes", as_of=day(2, 7))
    world.put("bikes", "b.parquet", rows.filter(pl.col(spec.time) >= day(2, 8, 6)))
    ingest("bikes", as_of=day(2, 8))
    score("bikes", as_of=day(2, 8))
    monitor("bikes", as_of=day(2, 9))
    judged = {item.subject: item.body["rows"] for item in world.ledger.verdicts("bikes", kind="drift")}
    assert {start[:10]: judged[start] for start in sorted(judged) if start >= day(2, 7).isoformat()} == {
        "2011-02-07": 24, "2011-02-08": 24, "2011-02-09": 24, "2011-02-10": 24, "2011-02-11": 24, "2011-02-12": 24,
        "2011-02-13": 24,
    }  # fmt: skip
