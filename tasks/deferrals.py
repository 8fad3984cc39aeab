"""Deferred is not forgotten: intents whose moment may have come are put before the governor again."""

from collections.abc import Callable
from datetime import datetime, timedelta

from prefect import task

from registry.ledger import Intent
from storage.snapshot import Snapshot
from tasks.history import history
from tasks.policies import PLAIN
from tasks.requests import answer, put_before_governor
from tasks.site import Site
from tasks.snapshots import take_snapshot
from tasks.waiting import awaits
from validation import governor
from validation.governor import NEW_ROWS, GovernorVerdict

# Rows also mature by time alone, and definitions change. On the ledger's clock, as everything about being looked at.
LOOK_AGAIN = timedelta(minutes=10)
_BRING_ROWS = ("contract", "release")  # the kinds of verdict by which a batch is taken in


@task(task_run_name="look at what is deferred", **PLAIN)
def reexamine(site: Site, as_of: datetime) -> tuple[GovernorVerdict, ...]:
    """The governor's answers to deferred intents that may run now, or wait for something else now; what must still
    wait as it did stays as it is, silently.
    """
    return look_again(site, as_of, take=lambda: take_snapshot(site, as_of))


def look_again(site: Site, as_of: datetime, *, take: Callable[[], Snapshot | None]) -> tuple[GovernorVerdict, ...]:
    """As `reexamine`; `take` takes the snapshot of all rows, and is called only where it may say something new."""
    due = [
        intent
        for intent in site.ledger.intents(site.name, states=("deferred",))
        if (intent.until is None or intent.until <= as_of) and awaits(intent, as_of) is None
    ]
    return tuple(verdict for intent in due for verdict in _look_at(site, intent, as_of, take))


def _look_at(
    site: Site, intent: Intent, as_of: datetime, take: Callable[[], Snapshot | None]
) -> tuple[GovernorVerdict, ...]:
    no = governor.judge_without_rows(
        history(site.ledger, site.name),
        policy=site.pipeline.governor,
        pipeline=site.name,
        subject=intent.id,
        as_of=as_of,
    )
    if no is not None:
        return answer(site, intent, no)
    return put_before_governor(site, intent, take(), as_of) if _may_have_rows(site, intent) else ()


def _may_have_rows(site: Site, intent: Intent) -> bool:
    """Whether more rows may be mature than when it was last looked at: always, unless it waits for rows, and neither
    has a batch come since then nor much time passed.
    """
    if intent.until is not None or not intent.condition.endswith(NEW_ROWS):
        return True
    newest = (site.ledger.verdicts(site.name, kind=kind, limit=1) for kind in _BRING_ROWS)
    came = any(found and found[0].recorded_at >= intent.changed_at for found in newest)
    return came or site.ledger.now() - intent.changed_at >= LOOK_AGAIN
