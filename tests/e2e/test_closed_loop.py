"""The loop closes by itself: through events, through the sweep when events are lost, and never against the cord."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.e2e.audit import audit, query
from tests.e2e.line import MONITOR, RETRAIN, SCORE, Client, Line
from tests.e2e.world import NAME, begins, let_a_minute_pass, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_batch_that_lands_ends_in_a_new_champion_that_serves_and_no_request_fails(line: Line) -> None:
    """One run of ingest is started; all that follows, score, monitor and retrain, are events, automations, worker."""
    before, lap = line.champion(), line.land()
    for automation in (SCORE, MONITOR):
        line.enable(automation, on=True)
    deployment = line.api("GET", "/deployments/name/ingest/ingest")
    parameters = {"pipeline": NAME, "as_of": begins(lap).isoformat()}
    with Client(line.stack.scorer_url, lap=lap, first_key=10_000_000) as client:
        line.api("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        asked = wait_for(
            "the monitor to ask for a retrain",
            lambda: [row for row in line.intents() if row["state"] != "closed"],
            seconds=240,
        )[0]
        assert asked["reason"].startswith("regret: retraining would gain")
        line.await_promoted(asked["id"])
        after = line.champion()
        line.await_serving(after["version"])
        wait_for("a request that the new champion answers", lambda: len(client.versions()) == 2, seconds=30)
    for automation in (SCORE, MONITOR):
        line.enable(automation, on=False)

    assert client.failures == []
    assert client.versions() == [before["version"], after["version"]]
    assert (after["epoch"], after["from_version"], after["intent"]) == (
        before["epoch"] + 1,
        before["version"],
        asked["id"],
    )
    (run,) = line.retrain_runs(asked["id"])
    assert run["created_by"]["type"] == "AUTOMATION"
    kinds = ("performance", "governor", "training", "gate", "promotion")
    story = query(line.home, "ledger.db", "select kind, outcome from andon_verdicts order by seq desc limit 20")
    assert [row["outcome"] for row in reversed(story) if row["kind"] in kinds][-5:] == [
        "regret", "run", "trained", "promote", "promoted",
    ]  # fmt: skip
    audit(line.home)


def test_when_the_event_is_lost_two_sweeps_start_one_run_and_the_loop_closes(line: Line) -> None:
    before = line.champion()
    line.enable(RETRAIN, on=False)
    asked = line.next_lap()
    assert line.intent(asked)["state"] == "open"
    assert line.retrain_runs(asked) == []
    assert line.andon("reconcile") == [], "a young intent is left to its event"
    let_a_minute_pass(line.home)
    with ThreadPoolExecutor(2) as pool:
        sweeps = list(pool.map(line.andon, ["reconcile"] * 2))
    found = [reason for sweep in sweeps for verdict in sweep for reason in verdict["reasons"]]
    assert any(why.startswith(f"intent {asked} is open and nobody answers it") for why in found)
    line.await_promoted(asked)
    line.await_serving(line.champion()["version"])
    line.enable(RETRAIN, on=True)

    (run,) = line.retrain_runs(asked)
    assert run["idempotency_key"].endswith(f"retrain:{NAME}:{asked}:0")
    assert line.champion()["epoch"] == before["epoch"] + 1
    assert line.champion()["version"] == str(int(before["version"]) + 1)
    audit(line.home)


def test_the_cord_stops_the_line_and_what_was_asked_for_meanwhile_comes_when_it_is_released(line: Line) -> None:
    before = line.champion()
    line.andon("pause", "--why", "the depot is being rebuilt")
    asked = line.next_lap()
    assert (line.intent(asked)["state"], line.intent(asked)["condition"]) == ("deferred", "the cord is released")
    line.andon("reconcile")
    assert line.retrain_runs(asked) == []
    assert (line.champion(), line.serving()) == (before, before["version"])
    line.andon("resume", "--why", "it is rebuilt")
    line.andon("reconcile")
    line.await_promoted(asked)
    audit(line.home)


def test_a_promotion_that_a_person_must_approve_waits_for_the_answer_and_then_serves(line: Line) -> None:
    """From the data to the form in Prefect by itself; the answer comes from the command line, and ends the run."""
    before, definition = line.champion(), line.home / "pipelines" / f"{NAME}.py"
    unasked = definition.read_text()
    definition.write_text(unasked.replace("gate=Gate(", 'gate=Gate(approval="always", '))
    try:
        asked = line.next_lap()
        wait_for(
            "a flow run that waits for a person",
            lambda: [run["state_name"] for run in line.retrain_runs(asked)] == ["Suspended"],
            seconds=180,
        )
        assert line.champion() == before
        (answer,) = line.andon("approve", "--why", "seen the evidence")
    finally:
        definition.write_text(unasked)

    after = line.champion()
    assert (answer["kind"], answer["outcome"], after["epoch"], after["intent"]) == (
        "promotion", "promoted", before["epoch"] + 1, asked,
    )  # fmt: skip
    assert line.await_closed(asked).startswith("approved by ")
    assert [run["state_name"] for run in line.retrain_runs(asked)] == ["Answered"]
    line.await_serving(after["version"])
    audit(line.home)


def test_a_rollback_puts_the_champion_before_back_into_the_scorer(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    before = line.champion()
    line.await_serving(before["version"])
    with Client(line.stack.scorer_url, lap=line.lap, first_key=20_000_000) as client:
        wait_for("a first answer", lambda: client.answers, seconds=30)
        began = time.monotonic()
        line.andon("rollback", "--why", "customers complain")
        line.await_serving(before["from_version"])
        took, crowned, loaded = time.monotonic() - began, line.champion()["recorded_at"], line.describe()["loaded_at"]
        wait_for("an answer of the old champion", lambda: len(client.versions()) == 2, seconds=30)
    swapped = datetime.fromisoformat(loaded) - datetime.fromisoformat(f"{crowned}Z")
    with capsys.disabled():
        print(  # noqa: T201
            f"\nrollback: {swapped.total_seconds():.1f} s from the ledger's row to serving, {took:.1f} s for the whole "
            "command (start, load check in a fresh process, end)"
        )

    assert client.failures == []
    assert client.versions() == [before["version"], before["from_version"]]
    assert line.champion()["kind"] == "rollback"
    audit(line.home)
