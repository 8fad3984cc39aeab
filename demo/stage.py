"""The demo's stage: an empty folder of its own, and Prefect set up so that the replay alone moves time."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from andon.settings import Settings
from validation.errors import DefinitionError

_MARK = ".andon-demo"
# Called in process by the replay; by event they would do the same a second time.
_CALLED_HERE = ("andon-monitor-scored-windows", "andon-score-accepted-batches")


def fresh(folder: Path) -> Settings:
    """An empty demo folder, and settings that point into it and nowhere else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise DefinitionError(f"{folder} is not empty and no demo's folder; name another: andon demo --folder ...")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    for name in [name for name in os.environ if name.startswith("ANDON_")]:
        del os.environ[name]
    os.environ["ANDON_HOME"] = str(folder)
    os.environ["ANDON_SETTLE_SECONDS"] = "0"  # the replay writes whole files, and cut ones on purpose
    return Settings()


@contextmanager
def in_process_flows() -> Iterator[None]:
    """Flow calls in this process without heartbeats, whose thread costs a second at the end of each.

    What is still to be sent is sent at the end, while the server answers: at the end of the process it would be tried
    for more than a minute.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOGGING_LEVEL, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_LEVEL: "ERROR"}):
        try:
            yield
        finally:
            EventsWorker.drain_all()
            APILogWorker.drain_all()


def leave_the_driving_to_the_replay() -> None:
    """Switch off the automations of what the replay calls itself; that of the retrain stays on."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:  # asks again while the server's database is locked (503)
        for name in _CALLED_HERE:
            for automation in client.read_automations_by_name(name):
                client.pause_automation(automation.id)
