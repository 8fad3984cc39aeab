"""The sweep's step for what takes over: challengers in the shadow, champions that are watched, and a scorer in trouble.

Everything here can run twice, at once, and at any moment: what is decided is one answer in the ledger, and what follows
from it is looked for again by the next sweep.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from tasks.incidents import open_incidents, record
from tasks.leases import holding
from tasks.reconcile import in_turn
from tasks.rollout_serving import OVER, findings
from tasks.rollout_shadow import leave_shadow
from tasks.rollout_watch import ROLLING, watch_champion
from tasks.site import Site
from validation.verdict import Verdict
from validation.watch.incidents import Incident, next_incidents


def roll_out(site: Site, as_of: datetime) -> list[Verdict]:
    """Let challengers out of the shadow, watch the champion, and raise or close what people must know of both."""
    steps: tuple[Callable[[Site, datetime], Sequence[Verdict]], ...] = (leave_shadow, watch_champion, _incidents)
    return in_turn(steps, lambda step: step(site, as_of))


def _incidents(site: Site, as_of: datetime) -> tuple[Incident, ...]:
    if not _news(site, as_of):
        return ()
    with holding(site, ROLLING) as lease:
        if lease is None:  # another sweep is at it
            return ()
        found = _news(site, as_of)
        record(site, found, lease=lease)
        return found


def _news(site: Site, as_of: datetime) -> tuple[Incident, ...]:
    if site.ledger.champion(site.name) is None:
        return ()
    known = open_incidents(site, "rollout", "serving")
    return next_incidents(known, tuple(findings(site)), pipeline=site.name, as_of=as_of, over=OVER)
