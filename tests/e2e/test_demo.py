"""`andon demo`, short: it ends well, its numbers agree with the ledger, and it leaves nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.chain import verify
from registry.sql import open_ledger
from tests.unit.test_architecture import ROOT

PROMISED = {
    "weeks", "batches_accepted", "batches_refused", "rows_quarantined", "drift_verdicts", "retrains",
    "retrains_by_event", "promotions", "rejections", "deferred", "requests_served", "requests_failed",
    "log_loss_andon", "log_loss_never_retrain", "log_loss_weekly_retrain", "gap_closed",
    "seconds_event_to_serving_median", "seconds_total",
}  # fmt: skip


def andon(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANDON_", "PREFECT_"))}
    command = [sys.executable, "-m", "andon.cli", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


def alive_in(folder: Path) -> list[str]:
    """Command lines of processes whose environment names the folder as their home."""
    mark, found = f"ANDON_HOME={folder}".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                found.append((environ.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_the_replay_ends_well_and_its_numbers_are_the_ledgers(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = andon("demo", "--weeks", "4", "--folder", str(folder))
    assert done.returncode == 0, done.stderr[-4000:]
    assert alive_in(folder) == []

    summary = json.loads((folder / "summary.json").read_text())
    assert summary.keys() >= PROMISED
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
    assert verify(ledger.verdicts()) is None
    batches = ledger.batches("flights", kind="rows")
    assert summary["weeks"] == len(summary["timeline"]) == 4
    assert {batch.state for batch in batches} == {"accepted", "refused", "duplicate"}
    assert all(
        batch.rows_in == batch.rows_accepted + batch.rows_quarantined + batch.rows_duplicate
        for batch in batches
        if batch.state == "accepted"
    )
    assert summary["rows_quarantined"] == sum(batch.rows_quarantined for batch in batches if batch.state == "accepted")
    assert summary["promotions"] == len(ledger.champions("flights")) >= 1
    assert summary["retrains"] == summary["retrains_by_event"] >= 1
    assert summary["requests_failed"] == 0 < summary["requests_served"]
    assert not ledger.intents("flights", states=("open", "claimed"))
    assert "<svg" in (folder / "report.html").read_text()


def test_a_folder_that_is_not_a_demos_is_never_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    done = andon("demo", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert "no demo's folder" in " ".join(done.stderr.split())
    assert precious.read_text() == "years of work"
