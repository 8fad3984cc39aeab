"""`andon why`: what a tired operator is told, in which words, and that nothing is left out when there is nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from andon import Governor
from andon.cli import why_words
from andon.cli.why_words import Facts
from registry.ledger import Change, Intent, Ledger
from tests.unit.shell import Ran, Shell
from tests.unit.test_cli import loaded_by
from validation.deeds import Cord, Trained, Watched
from validation.governor import Attempt, GovernorVerdict, History
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict
from validation.watch.findings import FeatureDrift
from validation.watch.incidents import Finding, Incident
from validation.watch.performance import Monitor, judge

DAY = datetime(2013, 4, 7, tzinfo=UTC)


def facts(**changed: Any) -> Facts:
    nothing = dict.fromkeys(("champion", "watch", "performance", "governor", "training", "gate", "change"))
    lists: dict[str, Any] = dict.fromkeys(("drift", "windows", "intents", "incidents"), ())
    history = History(attempts=(), snapshot="", new_rows=0)
    known: dict[str, Any] = {"pipeline": "trips", "as_of": DAY, "history": history, "policy": Governor()}
    return Facts(**{**nothing, **lists, **known, **changed})


def intent(state: Any, **changed: Any) -> Intent:
    known: dict[str, Any] = {
        "id": "i1", "pipeline": "trips", "reason": "regret: it would gain +2% (bounds)", "data_time": DAY, "attempt": 2,
        "until": None, "condition": "", "outcome": "", "created_at": DAY, "changed_at": DAY,
    }  # fmt: skip
    return Intent(state=state, **{**known, **changed})


WISH = "the wish of 2013-04-07 (regret: it would gain +2%)"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (intent("open"), " may run, and waits for its flow run; the sweep starts one if nobody does: andon reconcile"),
        (intent("claimed"), " is worked on now (attempt 2)"),
        (
            intent("deferred", until=DAY + timedelta(hours=30)),
            " is put off until 2013-04-08 06:00; it is not forgotten",
        ),
        (
            intent("deferred", condition="the cord is released"),
            " is put off until the cord is released: andon resume trips --why ...; it is not forgotten",
        ),
        (
            intent("deferred", condition="at least 10 new mature rows"),
            " is put off for at least 10 new mature rows; it is not forgotten",
        ),
        (
            intent("deferred", condition="a person's answer"),
            " is put off for a person's answer: andon approve trips --why ... (or reject); it is not forgotten",
        ),
        (
            intent("deferred", until=DAY + timedelta(days=1), condition="more evidence on its challenger"),
            " is put off until 2013-04-08 and for more evidence on its challenger; it is not forgotten",
        ),
    ],
)
def test_a_wish_that_waits_says_for_what(wish: Intent, told: str) -> None:
    assert why_words.waiting(facts(intents=(intent("closed"), wish))) == (f"{WISH}{told}",)


@pytest.mark.parametrize("intents", [(), (intent("closed"),)])
def test_where_nothing_waits_it_says_so(intents: tuple[Intent, ...]) -> None:
    assert why_words.waiting(facts(intents=intents)) == ("no wish is waiting",)


def tried(*days_ago: float, outcome: Any = "reject", **more: Any) -> History:
    attempts = tuple(Attempt(at=DAY - timedelta(days=ago), outcome=outcome, snapshot="") for ago in days_ago)
    return History(attempts=attempts, snapshot="", new_rows=0, **more)


@pytest.mark.parametrize(
    ("history", "left", "last"),
    [
        (tried(), 8, "the next retrain could run at once, given a reason and a new mature row"),
        (
            tried(1),
            7,
            "the next retrain could run on 2013-04-09 at the earliest, given a reason and a new mature row",
        ),
        (
            tried(1, paused="rain"),
            7,
            (
                "once a person resumes the pipeline (andon resume trips --why ...), the next retrain could run on "
                "2013-04-09 at the earliest, given a reason and a new mature row"
            ),
        ),
        (
            tried(5, 6, 7, 8, 9, outcome="failed"),
            3,
            (
                "once a person resumes the pipeline (andon resume trips --why ...), the next retrain could run at "
                "once, given a reason and a new mature row"
            ),
        ),
    ],
)
def test_the_next_retrain_is_told_with_what_stands_in_its_way(history: History, left: int, last: str) -> None:
    *ways, budget, moment = why_words.next_retrain(facts(history=history))
    assert (budget, moment) == (f"{left} of 8 attempts in 30 days are left", last)
    assert len(ways) == (history.paused is not None) + (len(history.attempts) in (1, 5))


def feature(name: str, **changed: Any) -> FeatureDrift:
    known: dict[str, Any] = {
        "name": name, "drifted": True, "p_value": 1e-6, "cause": "shift", "shift": 0.5, "spread": 1.0, "nulls": 0.0,
        "sentence": f"{name} moved by +0.50 reference sd",
    }  # fmt: skip
    return FeatureDrift(**{**known, **changed})


def window(number: int, *features: FeatureDrift, outcome: str = "drift", **more: Any) -> DriftVerdict:
    return DriftVerdict(
        pipeline="trips", subject=(DAY + timedelta(days=number)).isoformat(), outcome=outcome, reasons=("why",),
        data_time=DAY + timedelta(days=number + 1), raised=outcome == "drift", rows=100, p_value=0.1, judged=9,
        features=features, **more,
    )  # fmt: skip


def labels(regret: float, **more: Any) -> Verdict:
    loss = np.full(70, 0.5)
    verdict = judge(
        pipeline="trips", window_start=DAY - timedelta(days=7), champion_loss=loss, probe_loss=loss - regret,
        blocks=np.repeat(np.arange(7), 10), label=loss, prediction=loss, task="binary", coverage=1.0, policy=Monitor(),
        min_coverage=0.8, as_of=DAY,
    )  # fmt: skip
    return replace(verdict, **more)


def crown(ledger: Ledger, version: str, *, kind: Any = "promotion", epoch: int = 0) -> None:
    change = Change(
        pipeline="trips", kind=kind, version=version, bundle_sha256="a" * 64, trained_until=DAY - timedelta(days=3),
        why="so", data_time=DAY - timedelta(days=2), actor="tester",
    )  # fmt: skip
    ledger.crown(change, expected_epoch=epoch)


def note(ledger: Ledger, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        ledger.record(verdict, actor="tester")


def reported(told: str = "no window is due; no reason to retrain") -> Watched:
    return Watched(
        pipeline="trips", subject=DAY.isoformat(), outcome="reported", reasons=(told,), data_time=DAY, scored=0
    )


def answer(andon: Shell, *words: str) -> dict[str, Any]:
    found = json.loads(andon("why", "trips", *words, "--json").out)
    assert isinstance(found, dict)
    return found


def test_an_empty_installation_says_what_to_do_first(andon: Shell) -> None:
    ran = andon("why", "trips")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("trips: no champion yet; let data in and train one: andon retrain trips as of ")
    assert ran.err.endswith(
        "looked at - nothing was watched yet: andon monitor trips "
        "decided - no retrain was asked for yet "
        "waiting - no wish is waiting "
        "next retrain - 8 of 8 attempts in 30 days are left "
        "- the next retrain could run at once, given a reason and a new mature row "
        "open incidents - none"
    )


def test_an_unknown_pipeline_is_one_sentence_with_the_known_ones(andon: Shell) -> None:
    expected = "DefinitionError: there is no pipeline 'nope'; known are: trips"
    assert andon("why", "nope") == Ran(code=2, out="", err=expected)


def test_it_is_light() -> None:
    assert loaded_by("import andon.cli.why, registry.sql, tasks.history") == {"sqlalchemy"}


def test_a_quiet_day_is_told_in_a_few_lines(andon: Shell) -> None:
    ledger = andon.ledger()
    note(ledger, window(-9, outcome="drift"))
    crown(ledger, "3")
    note(
        ledger, window(-2, outcome="quiet"), window(-1, outcome="quiet"), labels(0.0, champion_version="3"), reported()
    )
    told = answer(andon)
    assert told["headline"] == (
        "trips: version 3 is champion since 2013-04-05 (epoch 1), trained on rows before 2013-04-04"
    )
    assert told["looked_at"][:4] == [
        "the monitor's last report is of 2013-04-07",
        "2 windows since 2013-04-05 under this champion: 2 quiet",
        "the newest window, 2013-04-06: nothing has moved further than it moves anyway",
        (
            "on 2013-04-07 labels of rows from 2013-03-31 on told of the champion: a retrain would gain nothing that "
            "is worth it"
        ),
    ]
    assert told["as_of"] == "2013-04-07T00:00:00Z", "a replay of the past is told as of its own moment"
    assert answer(andon, "--as-of", "2013-05-01")["as_of"] == "2013-05-01T00:00:00Z"


def test_an_alarm_is_told_with_its_features_and_since_when(andon: Shell) -> None:
    ledger = andon.ledger()
    since = (DAY - timedelta(days=1)).isoformat()
    moved = [feature(name, since=since) for name in "abcdefg"]
    note(ledger, window(0, *moved, feature("still", drifted=False), since=since, bad_data=("b", "c")), labels(0.1))
    _, many, newest, *lines, bad, _, _, _ = answer(andon)["looked_at"]
    assert many == "the window since 2013-04-07 under this champion: 1 drift"
    assert newest == (
        "the newest window, 2013-04-07: the data have moved, and the alarm is raised, since the window of 2013-04-06"
    )
    assert lines[0] == "a moved by +0.50 reference sd, since the window of 2013-04-06"
    assert (len(lines), lines[-1]) == (6, "and 2 more")
    assert bad == "probably bad data in b, c: no retrain is asked for because of it, the data are to be mended"


def test_what_labels_told_of_an_earlier_champion_is_not_told_of_this_one(andon: Shell) -> None:
    ledger = andon.ledger()
    note(ledger, labels(0.1, champion_version="3"))
    crown(ledger, "4")
    *_, labelled, _, _ = answer(andon)["looked_at"]
    assert labelled == (
        "on 2013-04-07 labels of rows from 2013-03-31 on told of version 3, the champion of then: it is stale"
    )


def test_a_stopped_line_is_told_with_what_waits_and_who_must_act(andon: Shell) -> None:
    ledger = andon.ledger()
    crown(ledger, "3")
    crown(ledger, "4", epoch=1)
    crown(ledger, "3", kind="rollback", epoch=2)
    asked = ledger.ask(intent_id="i1", pipeline="trips", reason="regret: it gains (much)", data_time=DAY)
    said = GovernorVerdict(
        pipeline="trips", subject="i1", outcome="defer", reasons=("the cord is pulled (rain)",), data_time=DAY,
        until=None, condition="the cord is released", new_rows=0, attempts_in_budget=0,
    )  # fmt: skip
    note(
        ledger,
        Cord(pipeline="trips", subject="trips", outcome="paused", reasons=("rain",), data_time=DAY),
        said,
        reported(),
    )
    ledger.defer(asked.id, until=None, condition="the cord is released")
    told = answer(andon)
    assert told["decided"] == [
        "the last retrain was asked for on 2013-04-07, because of regret: it gains",
        "the governor put it off (on 2013-04-07): the cord is pulled (rain)",
        "on 2013-04-05 a person rolled back from version 4 to version 3: so",
    ]
    assert told["waiting"] == [
        (
            "the wish of 2013-04-07 (regret: it gains) is put off until the cord is released: andon resume trips --why "
            "...; it is not forgotten"
        )
    ]
    assert told["next_retrain"][0] == "the cord is pulled (rain); when it is solved: andon resume trips"
    assert told["next_retrain"][1].startswith(
        "version 4 was rolled back from (so); the cooldown after it ends at 2013-"
    )
    assert (told["paused"], told["breaker_open"], told["suppressed_until"]) == ("rain", False, "2013-04-08T00:00:00Z")
    assert [item["id"] for item in told["intents"]] == ["i1"]


def test_a_failed_attempt_is_told_loudly(andon: Shell) -> None:
    ledger = andon.ledger()
    asked = ledger.ask(intent_id="i1", pipeline="trips", reason="regret", data_time=DAY)
    failed = Trained(
        pipeline="trips", subject="i1", outcome="failed", reasons=("DefinitionError: no",), data_time=DAY, snapshot="",
        rows=0, searched=False, recipe={},
    )  # fmt: skip
    note(ledger, failed)
    ledger.close(asked.id, outcome="failed")
    assert answer(andon)["decided"][1:] == [
        "the last attempt, of 2013-04-07, FAILED: DefinitionError: no",
        "the wish has ended: failed",
    ]


def test_open_incidents_are_told_and_closed_ones_are_over(andon: Shell) -> None:
    ledger = andon.ledger()
    finding = Finding(
        kind="bad data", about=DAY.isoformat(), title="humid is null", cause="null flood", doing="nothing is retrained",
        severity="a person must act",
    )  # fmt: skip
    opened = Incident(
        pipeline="trips", subject="one", outcome="opened", reasons=("so",), data_time=DAY, finding=finding, told=(),
        opened_at=DAY,
    )  # fmt: skip
    note(ledger, opened, replace(opened, subject="two"), replace(opened, subject="two", outcome="closed"))
    told = answer(andon)
    assert told["open_incidents"] == ["since 2013-04-07: humid is null; null flood; nothing is retrained"]
    assert "humid is null" in andon("why", "trips").err
