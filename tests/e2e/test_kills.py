"""SIGKILL anywhere: after a restart and one sweep of reconcile the loop goes on, and nothing was lost or done twice."""

import os
import shutil
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from andon.processes import wait_until_up
from tests.e2e import world
from tests.e2e.audit import audit, logged, query
from tests.e2e.line import Client, Line
from tests.e2e.world import NAME, begins, drive, flows, let_a_minute_pass, set_back_alias, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LEASE_SECONDS = 2
AS_OF = begins(2)
POINTS = {
    "ingest": ("claimed", "quarantined", "staged", "appended"),
    "score": ("started", "predicted", "delivered"),
    "monitor": ("window", "labels", "judged", "asked", "permitted"),
    "retrain": ("claimed", "promoted"),  # all others: test_promotion_kills.py
}


class States:
    """One home, and copies of it just before each activity of lap 2; put back in its place, since MLflow's addresses
    are absolute.
    """

    def __init__(self, folder: Path, prefect: Mapping[str, str]) -> None:
        self.home, self._copies = world.build(folder / "home"), folder
        # Nobody listens at the scorer's address; a lease is free soon after its holder was killed.
        more = {
            "ANDON_LEASE_SECONDS": str(LEASE_SECONDS),
            "ANDON_SETTLE_SECONDS": "0",
            "ANDON_SCORER_URL": "http://127.0.0.1:9",
        }
        self.env = world.environment(self.home, **prefect, **more)
        self._first_lap()
        for activity in POINTS:
            shutil.copytree(self.home, self._copies / activity)
            if activity != "retrain":
                drive(self.env, AS_OF, activity)

    def before(self, activity: str) -> Path:
        """The home as it was before the activity."""
        shutil.rmtree(self.home)
        return shutil.copytree(self._copies / activity, self.home)

    def _first_lap(self) -> None:
        world.land_rows(self.home, 0)
        world.land_labels(self.home, 0)
        drive(self.env, begins(1), "ingest", "retrain")
        world.land_rows(self.home, 1)
        drive(self.env, begins(1), "ingest", "score", "monitor")
        world.land_labels(self.home, 1)
        world.land_rows(self.home, 2)
        file = self.home / "lake" / "landing" / NAME / "002.parquet"
        shutil.copy(file, file.with_name("003-again.parquet"))
        world.put(self.home, NAME, "004-broken", pl.read_parquet(file).drop("carrier"))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory, prefect_api: Mapping[str, str]) -> States:
    return States(tmp_path_factory.mktemp("kills"), prefect_api)


def await_expired_leases(home: Path) -> None:
    def held() -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return bool(query(home, "ledger.db", "select 1 from andon_leases where holder != '' and expires_at > ?", now))

    wait_for("the killed process's lease to expire", lambda: not held(), seconds=30)


@pytest.mark.parametrize("point", [f"{activity}.{name}" for activity, names in POINTS.items() for name in names])
def test_killed_at_a_named_point_one_sweep_finishes_the_work(states: States, point: str) -> None:
    activity = point.partition(".")[0]
    home = states.before(activity)
    asked = query(home, "ledger.db", "select id from andon_intents where state = 'open'")
    flow = f"{activity}:{asked[0]['id']}" if asked else activity
    killed = flows(states.env, AS_OF, flow, ANDON_KILL_AT=point)
    assert killed.returncode == -signal.SIGKILL, f"{point} was not reached:\n{killed.stderr[-2000:]}"
    intents = query(home, "ledger.db", "select id from andon_intents")
    if point == "retrain.promoted":  # there is no named point between the ledger's word and the alias
        set_back_alias(home)
    await_expired_leases(home)
    let_a_minute_pass(home)

    drive(states.env, AS_OF, "reconcile")

    found = audit(home)
    windows = query(home, "ledger.db", "select subject from andon_verdicts where kind = 'drift'")
    assert len({row["subject"] for row in windows}) == len(windows) == 24, "each day of both laps is judged once"
    assert len(found["intents"]) == 2, "one for the first champion, one for the regret"
    answered = {row["id"]: row["outcome"] for row in found["intents"] if row["state"] == "closed"}
    assert answered == dict.fromkeys((row["id"] for row in intents), "promote"), "what was asked for is answered"
    assert len(found["champions"]) == len(answered)


def test_a_worker_killed_in_the_middle_of_a_retrain_leaves_an_intent_that_is_answered(line: Line) -> None:
    before = line.champion()
    asked = line.next_lap()
    wait_for("a retrain to claim the intent", lambda: line.intent(asked)["state"] == "claimed", seconds=120, every=0.01)
    line.stack.processes["worker"].kill()  # and the flow run that it had started
    assert line.intent(asked)["state"] == "claimed"
    assert line.champion() == before
    line.stack.start("worker")
    await_expired_leases(line.home)
    repaired = line.andon("reconcile")
    assert [item["reasons"][0] for item in repaired if item["subject"] == asked] == [
        "attempt 1 died without an answer; the intent is open again"
    ]
    line.await_promoted(asked)
    assert line.champion()["epoch"] == before["epoch"] + 1
    assert len(line.retrain_runs(asked)) == 2
    line.await_serving(line.champion()["version"])
    audit(line.home)


def test_a_scorer_killed_under_load_has_logged_each_answer_and_serves_the_last_bundle_again(line: Line) -> None:
    version = line.champion()["version"]
    with Client(line.stack.scorer_url, lap=line.lap, first_key=30_000_000) as client:
        wait_for("two hundred answers", lambda: len(client.answers) >= 200, seconds=60)
        os.killpg(line.stack.processes["scorer"].pid, signal.SIGKILL)
        wait_for("a request that fails", lambda: client.failures, seconds=30)
        before = len(client.answers)
        ledger = line.home / "ledger.db"
        ledger.rename(ledger.with_name("ledger-is-away.db"))  # it needs nobody but its own disk
        try:
            line.stack.start("scorer")
            wait_for("the scorer to answer again", lambda: len(client.answers) >= before + 100, seconds=60)
        finally:
            ledger.with_name("ledger-is-away.db").rename(ledger)
    line.await_serving(version)
    assert client.versions() == [version]
    assert {key for key, _ in client.answers} <= set(logged(line.home)["parcel_id"])
    audit(line.home)


def test_a_killed_prefect_server_comes_back_on_its_port_and_the_loop_goes_on(line: Line) -> None:
    before = line.champion()
    line.stack.processes["server"].kill()
    with Client(line.stack.scorer_url, lap=line.lap, first_key=40_000_000) as client:
        wait_for("answers without Prefect", lambda: len(client.answers) >= 50, seconds=30)
    assert client.failures == []
    line.stack.start("server")
    wait_until_up(line.stack.processes["server"], f"{line.stack.prefect_url}/api/health")
    for name in line.stack.dead():  # as `andon up` does
        line.stack.start(name)
    asked = line.next_lap()
    line.await_promoted(asked)
    assert line.champion()["epoch"] == before["epoch"] + 1
    line.await_serving(line.champion()["version"])
    audit(line.home)
