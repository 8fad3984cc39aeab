"""What takes over: a challenger answers in the shadow first, and a champion that turns out worse is rolled back by
itself, once; whoever dies in between, the next sweep finishes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import httpx
import polars as pl
import pytest

from andon.processes import PROJECT, free_port, start_scorer
from flows.reconcile import reconcile
from registry.rollout import in_shadow
from storage.log_keeper import read_shadow
from storage.snapshot import Snapshot
from tasks.approval import answer_question, ask_person, lapse
from tasks.cord import pull, release
from tasks.crowning import change_of
from tasks.deferrals import reexamine
from tasks.history import history
from tasks.incidents import open_incidents
from tasks.leases import holding
from tasks.live import read_figures, scorer_status
from tasks.orders import Order, answering
from tasks.promote import force_version, promote_version, roll_back_to
from tasks.requests import request
from tasks.rollout import roll_out
from tasks.rollout_start import SHADOW, goes_first, into_shadow
from tasks.settling import Filed, settle
from tasks.waiting import awaits
from tests.flows.deciding import NAME, Deciding, day
from tests.flows.rolling import SURE, UNSURE, Rolling, Scorer, failing, json_of, rows_of, saying, scoring
from tests.flows.world import at_once
from validation.errors import RefusedError, ServiceDownError
from validation.gate import GateVerdict
from validation.rollout_verdict import ShadowVerdict
from validation.training_set import Description
from validation.verdict import Verdict

A_DAY = "Rollout(shadow='24h', min_requests=20)"
WEEK = "Rollout(watch='7d', min_requests=20)"
BEGAN, OVER = day(14), day(15, 1)


def found(verdicts: list[Verdict]) -> list[tuple[str, str, str]]:
    return [(verdict.kind, verdict.subject, verdict.outcome) for verdict in verdicts]


@pytest.fixture
def rolled(decided: Deciding) -> Rolling:
    """Version 2 is champion, after version 1; there is no scorer."""
    return Rolling(decided.home)


@pytest.fixture
def scorer(rolled: Rolling, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scorer]:
    assert rolled.home
    with scoring() as answering_:
        monkeypatch.setenv("ANDON_SCORER_URL", answering_.url)
        yield answering_


def test_what_has_passed_the_gate_waits_in_the_shadow_and_nothing_cuts_that_short(rolled: Rolling) -> None:
    rolled.define(A_DAY)
    site, (intent, judged) = rolled.site, rolled.pass_gate()
    with holding(site, "retrain") as lease:
        assert lease is not None
        assert rolled.ledger.claim(intent.id, lease=lease)
        order = Order(
            site=site, intent=intent, lease=lease, as_of=BEGAN, epoch=2,
            snapshot=cast("Snapshot", None), description=cast("Description", None),
        )  # fmt: skip
        verdict = settle(order, Filed(verdict=cast("GateVerdict", _Passed()), recorded=judged))
    assert isinstance(verdict, ShadowVerdict)
    assert (verdict.subject, verdict.outcome, verdict.gate, verdict.epoch) == ("3", "started", judged.seq, 2)
    assert timedelta(0) <= verdict.since - BEGAN < timedelta(minutes=1)
    assert verdict.until - verdict.since == timedelta(hours=24)
    assert rolled.reigns() == [("promotion", "1"), ("promotion", "2")]
    (silent,) = in_shadow(rolled.ledger, NAME)
    assert (silent.version, silent.bundle_sha256, silent.role) == ("3", rolled.digest("3"), "challenger")
    assert (silent.change.pipeline, silent.since, silent.until) == (NAME, verdict.since, verdict.until)

    waiting = rolled.ledger.intents(NAME)[-1]
    assert (waiting.state, waiting.condition, waiting.until) == ("deferred", SHADOW, verdict.until)
    assert awaits(waiting, BEGAN) == awaits(waiting, day(30)) == f"{SHADOW} until 2013-04-15 00:00"
    assert reexamine(site, OVER) == ()
    assert request(site, None, "still drifting", OVER) == ()
    with answering(site, None, OVER, "by hand") as told:
        assert isinstance(told, Verdict)
        assert "waits while its challenger answers in the shadow until 2013-04-15 00:00" in told.reasons[0]
    with pytest.raises(RefusedError, match=r"version 3 answers in the shadow until .*andon promote rides 3 --force"):
        promote_version(site, "3", "at once", OVER)
    assert into_shadow(site, intent, judged, lease=None).seq == rolled.ledger.verdicts(NAME, kind="shadow")[0].seq
    assert found(roll_out(site, day(14, 12))) == [("probation", "2", "started")]
    assert rolled.word("shadow") == ("3", "started")


class _Passed:
    """The gate's verdict as settle looks at it."""

    asks, outcome = "", "promote"


def test_a_champion_is_made_after_approval_and_shadow_with_the_evidence_of_both(
    rolled: Rolling, scorer: Scorer
) -> None:
    rolled.define(A_DAY, approval="always")
    intent, judged = rolled.pass_gate(asks="always")
    question = ask_person(rolled.site, gate=judged, intent=intent, why="always", lease=None, timeout=timedelta(days=3))
    assert in_shadow(rolled.ledger, NAME) == ()
    told = answer_question(rolled.site, question, approve=True, why="seen it", actor="bob")
    assert (told.kind, told.outcome) == ("shadow", "started")
    assert lapse(rolled.site) == ()  # the answer is carried out
    rows = rows_of(day(14, 1), days=1)
    rolled.log(rows, live=("2", saying(UNSURE)), shadow=("3", saying(SURE)))
    rolled.label(rows, as_of=OVER)
    scorer.count({2: (48, 0)}, shadows={"3": (48, 0, 0.01)})
    assert found(roll_out(rolled.site, OVER)) == [("shadow", "3", "passed")]
    assert rolled.reigns()[2:] == [("promotion", "3")]
    assert [row.outcome for row in rolled.ledger.verdicts(NAME, kind="shadow")] == ["started", "passed"]
    change = rolled.ledger.champions(NAME)[-1].change
    assert (change.actor, change.intent, change.evidence, change.data_time) == ("bob", "intent-3", judged.seq, OVER)
    assert change.why.startswith(
        "approved by bob: seen it; in the shadow it answered 48 of 48 rows, 0.21 ms each; where labels are mature, "
        "nothing proves it worse than the champion: its loss is -0.4"
    )
    assert change.why.endswith("; a gain of 16.67 %")
    assert rolled.state() == ("closed", "promote")
    word = rolled.ledger.verdicts(NAME, kind="shadow")[-1]
    assert (word.body["rows"], word.body["failed"], word.body["labelled"]) == (48, 0, 47)  # one after the span
    assert word.body["lower"] > 0
    assert rolled.word("probation") == ("3", "started")
    (previous,) = in_shadow(rolled.ledger, NAME)
    assert (previous.version, previous.role, previous.since, previous.until) == ("2", "previous", OVER, day(22, 1))
    assert roll_out(rolled.site, OVER) == []


@pytest.mark.parametrize(
    ("worse", "why"),
    [
        ("labels", "in the shadow it was provably worse than the champion: its loss is +0."),
        ("errors", "in the shadow it failed on 48 of 48 rows, 100.00%: at most 1.00% may"),
        ("slow", "in the shadow a row took it 90.00 ms, at most 50 ms are allowed"),
    ],
)
def test_what_does_worse_in_the_shadow_is_refused_with_its_numbers(
    rolled: Rolling, scorer: Scorer, worse: str, why: str
) -> None:
    rolled.define(A_DAY)
    rolled.finished()
    rows = rows_of(day(14, 1), days=1)
    says = failing if worse == "errors" else saying(UNSURE if worse == "labels" else SURE)
    rolled.log(rows, live=("2", saying(SURE)), shadow=("3", says))
    rolled.label(rows, as_of=OVER)
    scorer.count({}, shadows={"3": (48, 0, 48 * 0.09 if worse == "slow" else 0.01)})
    assert found(roll_out(rolled.site, OVER))[:1] == [("shadow", "3", "failed")]
    word = rolled.ledger.verdicts(NAME, kind="shadow")[-1]
    assert word.reasons[0].startswith(why)
    assert rolled.state() == ("closed", f"in the shadow: failed: {word.reasons[0]}")
    assert rolled.reigns()[2:] == []
    assert [item.role for item in in_shadow(rolled.ledger, NAME)] == ["previous"]
    with pytest.raises(RefusedError, match=r"version 3 has failed: in the shadow .*andon promote rides 3 --force"):
        promote_version(rolled.site, "3", "all the same", OVER)


def test_what_happens_meanwhile_ends_the_time_in_the_shadow(rolled: Rolling) -> None:
    rolled.define(A_DAY)
    rolled.finished()
    rolled.crown("4")
    (word, *_) = roll_out(rolled.site, BEGAN)
    assert (word.kind, word.subject, word.outcome) == ("shadow", "3", "ended")
    assert word.reasons[0].startswith("the gate compared version 3 with version 2, and now version 4 is champion")
    assert rolled.state() == ("closed", f"in the shadow: ended: {word.reasons[0]}")
    assert rolled.site.ledger.champion(NAME).change.version == "4"  # type: ignore[union-attr]


def test_a_pulled_cord_ends_the_time_in_the_shadow(rolled: Rolling) -> None:
    rolled.define(A_DAY)
    rolled.finished()
    pull(NAME, "the stops are rebuilt")
    (word, *_) = roll_out(rolled.site, BEGAN)
    assert (word.outcome, word.reasons[0][:46]) == ("ended", "the cord is pulled (the stops are rebuilt); wh")
    assert [item.role for item in in_shadow(rolled.ledger, NAME)] == ["previous"]


def test_without_a_champion_or_a_declared_span_nobody_waits_in_the_shadow(rolled: Rolling) -> None:
    rolled.define("Rollout(watch=None)")
    assert roll_out(rolled.site, BEGAN) == []
    _, judged = rolled.pass_gate()
    assert not goes_first(rolled.site, judged)


def test_a_burst_of_errors_puts_the_predecessor_back_once_and_tells_people(rolled: Rolling, scorer: Scorer) -> None:
    rolled.define(WEEK)
    assert found(roll_out(rolled.site, BEGAN)) == [("probation", "2", "started")]
    scorer.count({1: (500, 0), 2: (1_000, 10)})
    assert roll_out(rolled.site, day(14, 1)) == []  # 10 of 1,010: not more than 1 %
    scorer.count({1: (500, 0), 2: (1_000, 11)})
    done = found(roll_out(rolled.site, day(14, 2)))
    assert done[:2] == [("probation", "2", "roll back"), ("rollback", "1", "rolled_back")]
    assert rolled.reigns()[2:] == [("rollback", "1")]
    change = rolled.ledger.champions(NAME)[-1].change
    assert change.actor == "watch"
    assert change.why == (
        "found errors while it was watched: 11 of 1,011 answers since its promotion failed, 1.09%: at most 1.00% may; "
        "of its predecessor's 0.00% did"
    )
    assert [row.outcome for row in rolled.ledger.verdicts(NAME, kind="probation")] == ["started", "roll back"]
    assert [attempt.outcome for attempt in history(rolled.ledger, NAME).attempts] == ["promote", "rolled back"]
    roll_out(rolled.site, day(14, 3))
    (incident,) = open_incidents(rolled.site, "rollout")
    assert incident.finding.title == "version 2 is worse than it was proven to be: rolled back"
    assert incident.finding.doing.startswith("version 1 serves again")
    assert roll_out(rolled.site, day(14, 4)) == []
    assert in_shadow(rolled.ledger, NAME) == ()
    assert rolled.reigns()[2:] == [("rollback", "1")]
    rolled.crown("4", at=day(20))
    assert ("incident", incident.subject, "closed") in found(roll_out(rolled.site, day(20)))


def test_errors_of_the_last_hour_are_seen_behind_a_long_good_reign(rolled: Rolling, scorer: Scorer) -> None:
    rolled.define(WEEK)
    pull(NAME, "so that nothing is rolled back")
    scorer.count({2: (9_000, 0)})
    roll_out(rolled.site, BEGAN)
    assert roll_out(rolled.site, BEGAN) == []
    scorer.count({2: (9_050, 20)})
    told = roll_out(rolled.site, day(14, 1))
    assert told[0].reasons[0] == "20 of 70 answers in the last hour failed, 28.57%: at most 1.00% may"
    assert told[0].outcome == "told"


@pytest.mark.parametrize("who", ["cord", "forced"])
def test_where_a_person_has_decided_people_are_told_and_nothing_is_rolled_back(
    rolled: Rolling, scorer: Scorer, who: str
) -> None:
    rolled.define(WEEK)
    version = "2"
    if who == "cord":
        pull(NAME, "the stops are rebuilt")
    else:
        version = "4"
        rolled.ledger.crown(replace(change_of(rolled.site, rolled.judge("4")), kind="forced"), expected_epoch=2)
    scorer.count({2: (10, 30)} if who == "cord" else {2: (100, 0), 3: (10, 30)}, versions={3: "4"})
    roll_out(rolled.site, BEGAN)
    (told, incident) = roll_out(rolled.site, BEGAN)
    assert (told.kind, told.subject, told.outcome) == ("probation", version, "told")
    said = "the cord is pulled" if who == "cord" else "version 4 was forced past the gate by"
    assert told.reasons[1].startswith(said)
    assert told.reasons[1].endswith("andon rollback rides --why ...")
    assert (incident.kind, incident.outcome) == ("incident", "opened")
    assert roll_out(rolled.site, day(14, 1)) == []
    assert rolled.ledger.champion(NAME).change.version == version  # type: ignore[union-attr]


def test_the_cord_stops_a_rollback_that_was_decided_before_it_was_pulled(
    rolled: Rolling, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> Verdict:
        raise ServiceDownError("the model store is away")

    rolled.define(WEEK)
    roll_out(rolled.site, BEGAN)
    scorer.count({1: (500, 0), 2: (1_000, 30)})
    with monkeypatch.context() as away:
        away.setattr("tasks.rollout_watch.roll_back_to", down)
        with pytest.raises(ServiceDownError):
            roll_out(rolled.site, day(14, 1))
    assert rolled.word("probation") == ("2", "roll back")
    pull(NAME, "we look into it")
    roll_out(rolled.site, day(14, 2))
    assert rolled.reigns()[2:] == []
    (incident,) = open_incidents(rolled.site, "rollout")
    assert incident.finding.title.endswith("it still serves")
    assert incident.finding.severity == "a person must act"
    assert incident.finding.doing.startswith(
        "the cord is pulled (we look into it), so a person must act: andon rollback rides --why ..."
    )
    assert roll_out(rolled.site, day(14, 3)) == []
    release(NAME, "we know enough")
    assert found(roll_out(rolled.site, day(14, 4)))[0] == ("rollback", "1", "rolled_back")
    assert rolled.reigns()[2:] == [("rollback", "1")]


def test_a_champion_that_labels_prove_worse_is_found_when_enough_days_have_them(rolled: Rolling) -> None:
    rolled.define(WEEK, matures="1d")
    pull(NAME, "so that nothing is rolled back")  # its proof takes seconds
    roll_out(rolled.site, BEGAN)
    rows = rows_of(BEGAN, days=7)
    rolled.log(rows, live=("2", saying(UNSURE)), shadow=("1", saying(SURE)))
    rolled.label(rows, as_of=day(19))
    assert roll_out(rolled.site, day(19, 23)) == []  # four days and 23 hours are mature
    (told, *_) = roll_out(rolled.site, day(20))
    assert (told.kind, told.outcome) == ("probation", "told")
    assert told.reasons[0].startswith("its loss is 0.4")
    assert "higher than its predecessor's on the 240 rows in 5 blocks of time" in told.reasons[0]
    body = rolled.ledger.verdicts(NAME, kind="probation")[-1].body
    assert (body["found"], body["labelled"], body["blocks"]) == ("quality", 240, 5)


@pytest.fixture
def worse(rolled: Rolling) -> pl.DataFrame:
    """A week of rows that the champion answered worse than its predecessor; nothing is rolled back, to save time."""
    rolled.define(WEEK, matures="1d")
    pull(NAME, "so that nothing is rolled back")
    roll_out(rolled.site, BEGAN)
    rows = rows_of(BEGAN, days=7)
    rolled.log(rows, live=("2", saying(UNSURE)), shadow=("1", saying(SURE)))
    return rows


def test_labels_that_come_later_than_they_are_mature_are_looked_at_when_they_come(
    rolled: Rolling, worse: pl.DataFrame
) -> None:
    assert roll_out(rolled.site, day(20)) == []
    assert roll_out(rolled.site, day(20)) == []
    rolled.label(worse, as_of=day(20, 1))
    (told, *_) = roll_out(rolled.site, day(20, 1))
    assert (told.kind, told.outcome) == ("probation", "told")
    assert "on the 240 rows in 5 blocks of time" in told.reasons[0]


def test_labels_are_waited_for_after_the_last_look_until_their_grace_is_over(
    rolled: Rolling, worse: pl.DataFrame
) -> None:
    (waits,) = roll_out(rolled.site, day(22))
    assert waits.reasons == ("its answers were fine; 336 of them still wait for labels",)
    assert roll_out(rolled.site, day(28, 23)) == []
    rolled.label(worse, as_of=day(28, 23))
    (told, *_) = roll_out(rolled.site, day(28, 23))
    assert (told.kind, told.outcome) == ("probation", "told")
    assert "on the 336 rows in 7 blocks of time" in told.reasons[0]


@pytest.mark.usefixtures("worse")
def test_labels_that_never_come_are_given_up_when_their_grace_is_over(rolled: Rolling) -> None:
    assert found(roll_out(rolled.site, day(22))) == [("probation", "2", "waits for labels")]
    assert found(roll_out(rolled.site, day(29))) == [("probation", "2", "fine")]


def test_a_look_whose_finding_the_ledger_did_not_take_is_had_again(
    rolled: Rolling, worse: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise ServiceDownError("the ledger is away")

    rolled.label(worse, as_of=day(20))
    with monkeypatch.context() as away:
        away.setattr(type(rolled.ledger), "answer", down)
        with pytest.raises(ServiceDownError):
            roll_out(rolled.site, day(20))
    assert rolled.word("probation") == ("2", "started")
    assert found(roll_out(rolled.site, day(20, 1)))[0] == ("probation", "2", "told")


def test_an_equal_champion_is_fine_once_its_labels_have_come(rolled: Rolling) -> None:
    rolled.define(WEEK, matures="3d")
    roll_out(rolled.site, BEGAN)
    rows = rows_of(BEGAN, days=7)
    rolled.log(rows, live=("2", saying(SURE)), shadow=("1", saying(SURE, wobble=-0.02)))
    for at in (day(17), day(20), day(20, 23)):
        rolled.label(rows, as_of=at)
        assert roll_out(rolled.site, at) == []
    (waits,) = roll_out(rolled.site, day(21))
    assert (waits.outcome, waits.reasons) == (
        "waits for labels",
        ("its answers were fine; 144 of them still wait for labels",),
    )
    assert in_shadow(rolled.ledger, NAME) == ()
    rolled.label(rows, as_of=day(23))
    assert roll_out(rolled.site, day(23, 23)) == []
    (fine,) = roll_out(rolled.site, day(24))
    assert (fine.kind, fine.subject, fine.outcome) == ("probation", "2", "fine")
    assert fine.reasons[0].startswith("nothing was found against it: no scorer told of its answers; its loss is ")
    assert roll_out(rolled.site, day(30)) == []
    assert rolled.reigns()[2:] == []


def test_a_champion_whom_nobody_asked_is_fine_when_its_span_is_over(rolled: Rolling) -> None:
    rolled.define(WEEK)
    roll_out(rolled.site, BEGAN)
    assert roll_out(rolled.site, day(20, 23)) == []
    assert found(roll_out(rolled.site, day(21))) == [("probation", "2", "fine")]


def test_what_began_long_ago_is_not_watched_from_today_on(rolled: Rolling) -> None:
    rolled.define("Rollout(watch=timedelta(microseconds=1))")
    path = rolled.home / "pipelines" / f"{NAME}.py"
    path.write_text(f"from datetime import timedelta\n{path.read_text()}")
    assert roll_out(rolled.site, BEGAN) == []


def test_a_scorer_that_refuses_the_champion_is_an_incident_until_it_serves(rolled: Rolling, scorer: Scorer) -> None:
    rolled.define("Rollout(watch=None)")
    assert roll_out(rolled.site, BEGAN) == []
    scorer.status = "refused: the bundle's sha256 is another one"
    (opened,) = roll_out(rolled.site, BEGAN)
    assert (opened.kind, opened.outcome) == ("incident", "opened")
    assert opened.reasons[0] == scorer.status
    assert roll_out(rolled.site, BEGAN) == []
    scorer.status = "ready"
    assert found(roll_out(rolled.site, BEGAN)) == [("incident", opened.subject, "closed")]
    scorer.status = "degraded: the ledger does not answer"
    assert roll_out(rolled.site, BEGAN) == []  # perhaps it is started anew


POINTS = ("shadow.started", "shadow.judged", "shadow.closed", "watch.judged")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point_the_next_sweep_finishes(
    rolled: Rolling, scorer: Scorer, prefect: str, point: str
) -> None:
    rolled.define("Rollout(shadow='24h', watch='7d', min_requests=20)")
    at, reigns = OVER, [("promotion", "3")]
    if point == "watch.judged":
        roll_out(rolled.site, BEGAN)
        scorer.count({2: (10, 30)})
        reigns = [("rollback", "1")]
    elif point == "shadow.started":
        rolled.pass_gate()
    else:
        rolled.finished()
    assert _killed(rolled.home, point, prefect) == -signal.SIGKILL, (rolled.home / "killed.log").read_text()[-2000:]
    if point == "shadow.started":
        intent, judged = rolled.ledger.intents(NAME)[-1], rolled.ledger.verdicts(NAME, kind="gate")[-1]
        into_shadow(rolled.site, intent, judged, lease=None)
    for _ in range(2):
        reconcile(NAME, as_of=at)
    assert rolled.reigns()[2:] == reigns
    assert [row.outcome for row in rolled.ledger.verdicts(NAME, kind="shadow")] == (
        [] if point == "watch.judged" else ["started", "passed"]
    )
    if point != "watch.judged":
        assert rolled.state() == ("closed", "promote")
    assert rolled.site.store.projected(NAME) == reigns[0][1]


def _killed(home: Path, point: str, prefect: str) -> int:
    """The exit code of a process that was at work when it reached the point."""
    act = "from tasks.rollout import roll_out; roll_out(site, day(15, 1))"
    if point == "shadow.started":
        act = (
            "from tasks.rollout_start import into_shadow; "
            "into_shadow(site, site.ledger.intents(site.name)[-1], "
            "site.ledger.verdicts(site.name, kind='gate')[-1], lease=None)"
        )
    code = (
        "from tasks.site import open_sites; from tests.flows.deciding import day; "
        f"(site,) = open_sites('{NAME}'); {act}"
    )
    env = {**os.environ, "ANDON_KILL_AT": point, "ANDON_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    env["PREFECT_API_URL"] = prefect
    with (home / "killed.log").open("w") as log:
        return subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=PROJECT, stdout=log, stderr=log, check=False, timeout=120
        ).returncode


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["shadow", "watch"])
def test_of_two_sweeps_at_once_one_decides_and_it_is_done_once(rolled: Rolling, scorer: Scorer, what: str) -> None:
    rolled.define(A_DAY)
    roll_out(rolled.site, BEGAN)
    if what == "shadow":
        rolled.finished()
    else:
        scorer.count({2: (10, 30)})
    both = at_once(*[lambda: roll_out(rolled.site, OVER)] * 2)
    assert not [item for item in both if isinstance(item, BaseException)], both
    assert rolled.reigns()[2:] == [("promotion", "3") if what == "shadow" else ("rollback", "1")]
    kind = "shadow" if what == "shadow" else "probation"
    words = [row.outcome for row in rolled.ledger.verdicts(NAME, kind=kind)]
    assert words == (["started", "passed"] if what == "shadow" else ["started", "roll back"])
    assert not [item for item in roll_out(rolled.site, OVER) if item.kind in ("rollback", "promotion")]
    assert len(rolled.reigns()) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_scorer_answers_in_the_shadow_and_tells_its_figures(
    rolled: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled.define(A_DAY)
    rolled.finished()
    port, rows = free_port(), rows_of(day(14, 1), days=1)
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("ANDON_SCORER_URL", url)
    mine = {name: value for name, value in os.environ.items() if name.startswith("ANDON_") or name == "PATH"}
    process = start_scorer(rolled.home, port, env=mine)
    try:
        for part in rows.iter_slices(1):
            sent = httpx.post(f"{url}/invocations", content=json_of(part), timeout=30, trust_env=False)
            assert sent.status_code == 200, sent.text
            assert sent.headers["x-andon-model-version"] == "2"
        figures = read_figures(rolled.site)
        assert scorer_status(rolled.site) == "ready"
    finally:
        process.stop()
    assert figures is not None
    assert (figures.reigns[2].requests, figures.reigns[2].failed) == (48, 0)
    assert figures.reigns[2].p95_ms is not None
    said = read_shadow(rolled.site.lake.predictions(NAME), "3")
    assert said.select("answered_by", "outcome").unique().rows() == [("2", "scored")]
    assert found(roll_out(rolled.site, OVER))[:1] == [("shadow", "3", "passed")]
    assert "in the shadow it answered 48 of 48 rows" in rolled.ledger.verdicts(NAME, kind="shadow")[-1].reasons[0]
    assert rolled.reigns()[2:] == [("promotion", "3")]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_worse_champion_is_rolled_back_by_its_labels_and_a_late_person_is_respected(
    rolled: Rolling,
) -> None:
    rolled.define(WEEK)
    roll_out(rolled.site, BEGAN)
    rows = rows_of(BEGAN, days=7)
    rolled.log(rows, live=("2", saying(UNSURE)), shadow=("1", saying(SURE)))
    rolled.label(rows, as_of=day(19, 1))
    told = roll_out(rolled.site, day(19, 1))
    assert found(told)[:2] == [("probation", "2", "roll back"), ("rollback", "1", "rolled_back")]
    force_version(rolled.site, "2", "I know better", day(19, 1))
    (began, *_) = roll_out(rolled.site, day(19, 1))
    assert (began.kind, began.outcome) == ("probation", "started")
    assert "it stays whatever is found, and people are told" in began.reasons[0]
    roll_back_to(rolled.site, "1", "I did not", day(20))
    assert not [item for item in roll_out(rolled.site, day(30)) if item.kind == "probation"]
