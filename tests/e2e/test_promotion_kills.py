"""SIGKILL anywhere between "the challenger is trained" and "all workers serve": after one sweep of reconcile there is
one champion, of whom ledger, MLflow and scorer say the same.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

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
