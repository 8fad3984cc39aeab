"""A retrain that is killed in the midst of its search: the next attempt goes on with the trials that were done."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from andon.processes import PROJECT
from tests.e2e import world
from tests.e2e.audit import query
from tests.e2e.test_kills import await_expired_leases
from tests.e2e.world import NAME, begins, drive, flows_command, let_a_minute_pass, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_USUAL = "Search(budget_seconds=1, budget_trials=2, rounds=60, threads=1)"
_LONG = "Search(budget_seconds=120, budget_trials=40, rounds=2_000, threads=1)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Rows and labels of a history, and a search that takes a while."""
    home = world.build(tmp_path / "home")
    definition = home / "pipelines" / f"{NAME}.py"
    usual = definition.read_text()
    assert _USUAL in usual
    definition.write_text(usual.replace(_USUAL, _LONG))
    world.land_rows(home, 0)
    world.land_labels(home, 0)
    return home


def journal(home: Path) -> Path | None:
    return next((home / "studies").glob("*.journal"), None)


def ended(home: Path) -> list[dict[str, Any]]:
    """The journal's whole lines that tell the end of a trial."""
    file = journal(home)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file else []
    told = [json.loads(line) for line in lines if line.endswith("\n")]
    return [entry for entry in told if "losses" in entry.get("user_attrs", {})]


def spoil(home: Path, trial: dict[str, Any]) -> tuple[int, float]:
    """Write down that this trial lost half as much again in each round; returns its number, and its smallest loss."""
    file, told = journal(home), trial["user_attrs"]
    assert file is not None
    worse = [1.5 * loss for loss in told["losses"]]
    spoilt = {**trial, "user_attrs": {**told, "losses": worse}}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    written = [json.dumps(spoilt if line == trial else line, separators=(",", ":")) for line in lines]
    file.write_text("\n".join(written) + "\n", encoding="utf-8")
    return told["number"], min(worse)


def test_what_a_killed_search_has_tried_is_not_tried_again(home: Path, prefect_api: Mapping[str, str]) -> None:
    env = world.environment(home, **prefect_api, ANDON_LEASE_SECONDS="2", ANDON_SETTLE_SECONDS="0")
    drive(env, begins(1), "ingest")
    retrain = subprocess.Popen(
        flows_command(begins(1), "retrain"), env=env, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for("three trials to end", lambda: len(ended(home)) >= 3, seconds=120, every=0.01)
    os.kill(retrain.pid, signal.SIGKILL)
    retrain.wait()
    done = ended(home)
    assert query(home, "ledger.db", "select 1 from andon_verdicts where kind = 'training'") == []
    number, worse = spoil(home, done[0])

    await_expired_leases(home)
    let_a_minute_pass(home)
    drive(env, begins(1), "reconcile")

    (training,) = query(home, "ledger.db", "select body from andon_verdicts where kind = 'training'")
    losses = json.loads(training["body"])["losses"]
    assert losses[number] == pytest.approx(worse), "it is what was written down, and not what comes of trying it again"
    assert len(losses) > len(done)
    assert list((home / "studies").iterdir()) == [], "nothing will go on with it"
