"""Each named point is one at which a crash test kills: a new one that nobody kills at is found here."""

import re

from andon.processes import PROJECT
from tests.e2e import (
    test_ingest_kills,
    test_kills,
    test_log_kills,
    test_publish_kills,
    test_score_kills,
    test_scorer_kills,
)
from tests.e2e.promotion_world import POINTS

PACKAGES = ("andon", "flows", "modelling", "registry", "serving", "storage", "tasks", "validation")
CALL = re.compile(r"\breached\(([^)]*)\)")
# A person's correction of a batch: tests/e2e/test_ingest_history.py; alerts: tests/e2e/test_alert_kills.py.
# The rollout: tests/flows/test_rollout_flow.py.
ROLLOUT = {"shadow.started", "shadow.judged", "shadow.closed", "watch.judged"}
ELSEWHERE = {"ingest.released", "incident.recorded", "alert.sent", *ROLLOUT}


def named() -> set[str]:
    """What the source calls `reached` with."""
    files = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")]
    calls = {call for file in files if file.name != "failpoints.py" for call in CALL.findall(file.read_text())}
    assert all(re.fullmatch(r'"[a-z]+\.[a-z_]+"', call) for call in calls), f"names are written out: {calls}"
    return {call.strip('"') for call in calls}


def killed_at() -> set[str]:
    ingest = {f"ingest.{point}" for point in test_ingest_kills.POINTS}
    loop = {f"{activity}.{point}" for activity, points in test_kills.POINTS.items() for point in points}
    swap = {f"{process}.{point}" for process, points in test_scorer_kills.POINTS.items() for point in points}
    score = {f"score.{point}" for point in test_score_kills.POINTS}
    publish = {f"publish.{point}" for points in test_publish_kills.POINTS.values() for point in points}
    return ingest | loop | publish | score | swap | set(POINTS) | set(test_log_kills.POINTS) | ELSEWHERE


def test_a_crash_test_kills_at_each_named_point_and_each_point_of_a_crash_test_is_in_the_source() -> None:
    assert named() == killed_at()


def test_there_are_twenty_points_between_a_trained_challenger_and_all_workers_that_serve_it() -> None:
    assert len(POINTS) >= 20
