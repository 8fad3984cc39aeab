import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.http.metrics import SECONDS, Metrics
from tests.unit.serving_world import ListLog

# One worker: counts as told on the command line, says so, and lives until its input ends.
WORKER = """
import sys
from serving.http.metrics import Metrics
metrics = Metrics()
tally = metrics.tally("trips", "7", "3")
for _ in range(int(sys.argv[1])):
    tally.answered(0.002)
tally.ended(500)
metrics.waiting("trips", int(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""
READER = """
import os, sys
from serving.http.metrics import Metrics, forget_worker
for pid in sys.argv[1:]:
    forget_worker(int(pid))
sys.stdout.buffer.write(Metrics().text())
"""


class Figures:
    scored, failed, skipped, seconds = 0, 0, 0, 0.0


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Value by name and label values, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_outcome_and_timed_when_they_are_answered() -> None:
    metrics = Metrics()
    tally = metrics.tally("trips", "7", "3")
    tally.answered(0.0003)
    tally.answered(20.0)
    for status in (400, 422, 500, 503, 503):
        tally.ended(status)
    told = samples(metrics.text())
    counts = {status: told["andon_requests_total", "3", "trips", status, "7"] for status in ("2xx", "4xx", "5xx")}
    assert counts == {"2xx": 2, "4xx": 2, "5xx": 3}
    buckets = [told["andon_request_seconds_bucket", "3", repr(bound), "trips", "7"] for bound in SECONDS]
    assert buckets == [0, 0] + [1] * (len(SECONDS) - 2)
    assert told["andon_request_seconds_count", "3", "trips", "7"] == 2
    assert told["andon_request_seconds_sum", "3", "trips", "7"] == pytest.approx(20.0003)


def test_what_a_log_has_counted_is_taken_over_once() -> None:
    metrics, log, next_log = Metrics(), ListLog(), ListLog(written=5)
    log.written, log.dropped, log.sampled_out = 3, 2, 1
    metrics.copy_log("trips", log)
    metrics.copy_log("trips", log)
    log.written = 4
    metrics.copy_log("trips", log)
    metrics.copy_log("trips", next_log)
    metrics.waiting("trips", 2)
    told = samples(metrics.text())
    rows = {
        outcome: told["andon_log_rows_total", outcome, "trips"] for outcome in ("written", "dropped", "sampled_out")
    }
    assert rows == {"written": 9, "dropped": 2, "sampled_out": 1}
    assert told["andon_log_waiting_segments", "trips"] == 2


def test_shadows_and_swaps_are_counted() -> None:
    metrics, figures = Metrics(), Figures()
    figures.scored, figures.failed, figures.seconds = 10, 1, 0.5
    metrics.copy_shadow("trips", "8", figures)
    figures.scored, figures.skipped, figures.seconds = 15, 2, 0.75
    metrics.copy_shadow("trips", "8", figures)
    metrics.swapped("trips", "refused")
    told = samples(metrics.text())
    rows = {
        outcome: told["andon_shadow_rows_total", outcome, "trips", "8"] for outcome in ("scored", "failed", "skipped")
    }
    assert rows == {"scored": 15, "failed": 1, "skipped": 2}
    assert told["andon_shadow_seconds_total", "trips", "8"] == 0.75
    assert told["andon_swap_total", "refused", "trips"] == 1


def test_all_workers_are_told_together_and_of_dead_ones_only_what_they_counted(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def told(*dead: int) -> dict[tuple[str, ...], float]:
        command = [sys.executable, "-c", READER, *map(str, dead)]
        return samples(subprocess.run(command, env=env, capture_output=True, check=True, timeout=60).stdout)

    def worker(count: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(count)], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    with worker(2) as first, worker(3) as second:
        for one in (first, second):
            assert one.stdout is not None
            assert one.stdout.readline() == "counted\n"
        both = told()
        first.kill()
        first.wait()
        one_dead = told(first.pid)
        second.communicate("")
    for now, segments in ((both, 5), (one_dead, 3)):
        assert now["andon_requests_total", "3", "trips", "2xx", "7"] == 5
        assert now["andon_requests_total", "3", "trips", "5xx", "7"] == 2
        assert now["andon_request_seconds_count", "3", "trips", "7"] == 5
        assert now["andon_log_waiting_segments", "trips"] == segments
