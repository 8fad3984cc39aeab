"""SIGKILL anywhere between "the challenger is trained" and "all workers serve": after one sweep of reconcile there is
one champion, of whom ledger, MLflow and scorer say the same.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from tests.e2e.audit import query
from tests.e2e.promotion_world import POINTS, Case, Moments, check_consistent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CASES = [pytest.param(point, case, id=f"{point}-{case.name}") for point, cases in POINTS.items() for case in cases]


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory, prefect_api: Mapping[str, str]) -> Iterator[Moments]:
    made = Moments(tmp_path_factory.mktemp("promotion"), prefect_api)
    with closing(made.runner):
        yield made


@pytest.mark.parametrize(("point", "case"), CASES)
def test_killed_at_a_named_point_one_sweep_leaves_one_champion(moments: Moments, point: str, case: Case) -> None:
    home = moments.at(case.moment)
    moments.kill(point, case)
    moments.pass_time()

    moments.reconcile()

    champion = check_consistent(home, champions=case.champions)
    assert moments.answer().startswith(case.answer)
    said = moments.serving()
    assert (said["status"], said["version"], said["sha256"], said["epoch"]) == (
        "ready",
        champion["version"],
        champion["bundle_sha256"],
        champion["epoch"],
    )
    assert moments.reconcile() == [], "a second sweep finds something"


def test_two_sweeps_at_once_leave_one_champion_and_tell_each_thing_once(moments: Moments) -> None:
    """Of a wreck on which there is a bit of everything to be done."""
    home = moments.at("asked")
    moments.kill("promotion.crowned", POINTS["promotion.crowned"][0])
    stray = home / "work" / f".{moments.intent()}-1-half"
    stray.mkdir()
    moments.pass_time()

    sweeps = [moments.runner.begin(moments.env, "reconcile") for _ in range(2)]
    ended = [moments.runner.wait(pid) for pid in sweeps]

    assert [sweep.code for sweep in ended] == [0, 0], [sweep.log[-2000:] for sweep in ended]
    check_consistent(home, champions=("1", "2"))
    assert moments.answer() == "promote"
    written = query(home, "ledger.db", "select subject, body from andon_verdicts where kind = 'repair' order by seq")
    told = [(row["subject"], json.loads(row["body"])["reasons"][0]) for row in written]
    assert len(set(told)) == len(told), "both have told the same"
    assert {subject for subject, _ in told} >= {moments.intent(), "retrain", "alias champion", "work folder", "2"}
    assert moments.reconcile() == []


@pytest.mark.parametrize(("point", "version"), [("loaded", "1"), ("swapped", "1"), ("remembered", "2")])
def test_a_scorer_killed_while_it_swaps_serves_what_it_has_last_without_ledger_and_mlflow(
    moments: Moments, point: str, version: str
) -> None:
    home = moments.at("promoted")
    moments.kill(f"scorer.{point}", POINTS[f"scorer.{point}"][0])
    (home / "ledger.db").rename(home / "ledger-is-away.db")
    (home / "models").rename(home / "models-are-away")
    nobody = {"ANDON_LEDGER_URL": f"sqlite:///{home}/nowhere/ledger.db", "ANDON_MLFLOW_URI": "http://127.0.0.1:9"}
    said = moments.serving(**nobody)
    assert said["version"] == version
    assert said["status"].startswith("degraded: ")
    (home / "ledger-is-away.db").rename(home / "ledger.db")
    (home / "models-are-away").rename(home / "models")
    assert (moments.serving()["version"], moments.serving()["status"]) == ("2", "ready")
