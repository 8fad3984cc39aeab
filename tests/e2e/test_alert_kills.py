"""SIGKILL between an incident's row and its message, and between the message and its row: people hear of it, once if
anyhow possible, and know a second copy by its key.
"""

import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e import world
from tests.e2e.audit import audit, query
from tests.e2e.test_kills import await_expired_leases
from tests.e2e.world import begins, drive, flows
from tests.receiver import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AS_OF = begins(2)
TITLE = "*parcels: version 1, which serves, has become stale*"


class Line:
    """One home in which the labels of lap 1 have come, which prove that the champion is stale; put back for each test,
    since MLflow's addresses are absolute.
    """

    def __init__(self, folder: Path, prefect: Mapping[str, str], receiver: Receiver) -> None:
        self.home, self._copy, self.receiver = world.build(folder / "home"), folder / "before", receiver
        more = {
            "ANDON_LEASE_SECONDS": "2",
            "ANDON_SETTLE_SECONDS": "0",
            "ANDON_SCORER_URL": "http://127.0.0.1:9",
            "ANDON_ALERT_WEBHOOKS": f"{receiver.url}/hook",
        }
        self.env = world.environment(self.home, **prefect, **more)
        world.land_rows(self.home, 0)
        world.land_labels(self.home, 0)
        drive(self.env, begins(1), "ingest", "retrain")
        world.land_rows(self.home, 1)
        drive(self.env, begins(1), "ingest", "score", "monitor")
        world.land_labels(self.home, 1)
        drive(self.env, AS_OF, "ingest")
        shutil.copytree(self.home, self._copy)

    def kill_monitor(self, at: str) -> None:
        shutil.rmtree(self.home)
        shutil.copytree(self._copy, self.home)
        self.receiver.as_new()
        killed = flows(self.env, AS_OF, "monitor", ANDON_KILL_AT=at)
        assert killed.returncode == -signal.SIGKILL, f"{at} was not reached:\n{killed.stderr[-2000:]}"
        await_expired_leases(self.home)

    def alerts(self) -> list[str]:
        rows = query(self.home, "ledger.db", "select outcome from andon_verdicts where kind = 'alert' order by seq")
        return [row["outcome"] for row in rows]

    def incidents(self) -> list[str]:
        rows = query(self.home, "ledger.db", "select outcome from andon_verdicts where kind = 'incident' order by seq")
        return [row["outcome"] for row in rows]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, prefect_api: Mapping[str, str]) -> Iterator[Line]:
    with receiving() as receiver:
        yield Line(tmp_path_factory.mktemp("alerts"), prefect_api, receiver)


def heads(receiver: Receiver) -> list[str]:
    return [text.partition("\n")[0] for text in receiver.texts()]


def test_killed_before_the_message_the_sweep_sends_it(line: Line) -> None:
    line.kill_monitor("incident.recorded")
    assert (line.incidents(), line.receiver.posts, line.alerts()) == (["opened"], [], [])
    drive(line.env, AS_OF, "reconcile")
    assert heads(line.receiver) == [TITLE]
    assert (line.incidents(), line.alerts()) == (["opened"], ["delivered"])
    drive(line.env, AS_OF, "monitor", "reconcile")
    assert heads(line.receiver) == [TITLE], "nobody is told twice"
    audit(line.home)


def test_killed_after_the_message_its_second_copy_has_the_same_key(line: Line) -> None:
    line.kill_monitor("alert.sent")
    assert (heads(line.receiver), line.alerts()) == ([TITLE], [])
    drive(line.env, AS_OF, "reconcile")
    first, second = line.receiver.posts
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body
    assert (line.incidents(), line.alerts()) == (["opened"], ["delivered"])
    audit(line.home)
