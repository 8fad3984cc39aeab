"""Watching: each window is judged once, a proven regret asks for one retrain, and the governor says when."""

import polars as pl

from flows.ingest import ingest
from flows.monitor import monitor
from flows.score import score
from tasks.cord import pull, release
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
    for hour in (0, 1):
        (asked,) = of_kind("governor", monitor("bikes", as_of=day(1, 10, hour)))
        assert asked.outcome == "run"
    (intent,) = empty.ledger.intents("bikes")
    assert (intent.state, intent.reason) == ("open", "there is no champion yet")


def test_a_proven_regret_asks_for_one_retrain_however_often_it_is_seen(world: World) -> None:
    changed(world)
    found = monitor("bikes", as_of=day(2, 14))
    assert [(item.kind, item.outcome) for item in found] == [
        ("performance", "regret"),
        ("governor", "run"),
        ("watch", "reported"),
    ]
    (intent,) = world.ledger.intents("bikes", states=("open",))
    assert intent.reason.startswith("regret: retraining would gain +")
    assert monitor("bikes", as_of=day(2, 14, 1)) == ()
    assert monitor("bikes", as_of=day(2, 14, 2)) == ()
    assert len(world.ledger.intents("bikes")) == 2


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


def test_while_the_cord_is_pulled_it_watches_and_asks_in_vain(world: World) -> None:
    pull("bikes", "the docks are rebuilt")
    changed(world)
    found = monitor("bikes", as_of=day(2, 14))
    ((performance,), (governor,)) = (of_kind(kind, found) for kind in ("performance", "governor"))
    assert (performance.outcome, governor.outcome) == ("regret", "refuse")
    assert "the cord is pulled (the docks are rebuilt)" in governor.reasons[0]
    assert [intent.state for intent in world.ledger.intents("bikes")] == ["closed", "closed"]
    release("bikes", "done")
    assert [outcome for _, outcome in world.told("cord")] == ["paused", "resumed"]


def test_a_new_champion_is_watched_against_its_own_reference(later: World) -> None:
    """It has answered for no window yet, and none of its alarms is the old one's."""
    score("bikes", as_of=day(2, 14))
    verdicts = monitor("bikes", as_of=day(2, 14))
    assert len(of_kind("drift", verdicts)) == 28
    (performance,) = of_kind("performance", verdicts)
    assert performance.outcome == "need evidence"
    assert [intent.state for intent in later.ledger.intents("bikes")] == ["closed", "closed"]
