"""Swaps under full load with all accidents, at small size: nobody goes without an answer, and none comes too late."""

import json
import subprocess
import sys

import pytest

from andon.processes import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_swaps_a_refusal_a_killed_worker_and_a_ledger_that_is_away_cost_no_request() -> None:
    """How long anything took is the machine's affair."""
    command = [sys.executable, "-m", "benchmarks.swap", "--quick"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["accidents"] == {"refused": True, "killed": True, "ledger_away": True}
    assert (told["failed"], told["mixed_version_answers"], told["wrong_answers"]) == (0, 0, 0)
    assert (told["swaps"], told["retried_otherwise"]) == (8, 0)
    assert told["requests"] > 1_000
