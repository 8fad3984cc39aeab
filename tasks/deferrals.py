"""Deferred is not forgotten: intents whose moment may have come are put before the governor again."""

from datetime import datetime

from prefect import task

from tasks.history import history
from tasks.policies import PLAIN
from tasks.requests import put_before_governor
from tasks.site import Site
from tasks.snapshots import take_snapshot
from tasks.waiting import awaits
from validation import governor
from validation.governor import GovernorVerdict


@task(task_run_name="look at what is deferred", **PLAIN)
def reexamine(site: Site, as_of: datetime) -> tuple[GovernorVerdict, ...]:
    """The governor's answers to deferred intents that may run now; what must still wait stays as it is, silently."""
    due = [
        intent
        for intent in site.ledger.intents(site.name, states=("deferred",))
        if (intent.until is None or intent.until <= as_of) and awaits(intent, as_of) is None
    ]
    if not due:
        return ()
    snapshot = take_snapshot(site, as_of)
    known = history(site.ledger, site.name, snapshot)
    return tuple(
        put_before_governor(site, intent, snapshot, as_of)
        for intent in due
        if governor.judge(
            known, policy=site.pipeline.governor, pipeline=site.name, subject=intent.id, as_of=as_of
        ).outcome
        != "defer"
    )
