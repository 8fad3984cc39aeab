"""From what the monitor has found to incidents: recorded in the ledger first, then told.

Works off the ledger alone: the findings of a monitor that was killed are raised by the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from prefect import task

from registry.ledger import Champion, Lease
from registry.records import is_of_reign
from tasks.alerts import deliver_waiting
from tasks.history import KEPT
from tasks.policies import PLAIN
from tasks.responses import response
from tasks.rows import as_verdict
from tasks.site import Site
from tasks.telling import note
from tasks.watch import Watch
from validation.failpoints import reached
from validation.watch.alarms import Response, after_windows, quality_finding
from validation.watch.drift import DriftVerdict
from validation.watch.incidents import Incident, IncidentKind, next_incidents, restored, still_open
from validation.watch.performance import PerformanceVerdict

QUIET = 2  # comparisons that find nothing, in a row, after which a champion's quality is no incident any more


@task(task_run_name="raise incidents", **PLAIN)
def raise_incidents(watch: Watch, as_of: datetime, *, link: str) -> tuple[Incident, ...]:
    """Record and tell what is new of the pipeline's troubles by the ledger's verdicts; `link`: the newest page."""
    found = news(watch.site, as_of, link=public(watch.site, link))
    record(watch.site, found, lease=watch.lease)
    deliver_waiting(watch.site, as_of)
    return found


def news(site: Site, as_of: datetime, *, link: str = "") -> tuple[Incident, ...]:
    """What is new of drift, bad data and the champion's quality; nothing is written."""
    champion = site.ledger.champion(site.name)
    if champion is None:
        return ()
    reply = response(site, champion)
    found = (*_of_windows(site, champion, reply, as_of), *_of_quality(site, champion, reply, as_of))
    return tuple(replace(row, link=link or row.link) for row in found)


def record(site: Site, found: Sequence[Incident], *, lease: Lease) -> None:
    """Write them to the ledger."""
    for incident in found:
        note(site, incident, lease=lease)
        reached("incident.recorded")


def open_incidents(site: Site, *kinds: IncidentKind) -> tuple[Incident, ...]:
    """The newest row of each incident of these kinds that is not closed."""
    return tuple(incident for _, incident in _open(site, kinds))


def public(site: Site, link: str) -> str:
    """The link as others can follow it, where ANDON_PUBLIC_URL says how."""
    reports = (site.settings.home / "reports").absolute()
    path = Path(link.removeprefix("file://"))
    if not (site.settings.public_url and path.is_absolute() and path.is_relative_to(reports)):
        return link
    return f"{site.settings.public_url.rstrip('/')}/{path.relative_to(reports).as_posix()}"


def _of_windows(site: Site, champion: Champion, reply: Response, as_of: datetime) -> tuple[Incident, ...]:
    """Window after window since it was last looked; drift against an earlier champion's reference is over."""
    known = _open(site, ("drift", "bad data"))
    stale = [row for at, row in known if row.finding.kind == "drift" and at < champion.recorded_at]
    over: Mapping[IncidentKind, str] = {"drift": _replaced(champion)}
    ended = next_incidents(stale, (), pipeline=site.name, as_of=as_of, over=over)
    mark = _mark(site)
    rows = [
        row
        for row in site.ledger.verdicts(site.name, kind="drift", limit=KEPT)
        if is_of_reign(row, champion) and row.outcome != "not enough history"
    ]
    begun = after_windows(
        [row for _, row in known if row not in stale],
        [as_verdict(row, DriftVerdict) for row in rows],
        reply,
        fresh=sum(row.seq > mark for row in rows),
        clear_after=site.pipeline.drift.clear_after,
        as_of=as_of,
    )
    seen = max((row.seq for row in rows), default=mark)
    return tuple(replace(row, seen=seen) for row in (*ended, *begun))


def _of_quality(site: Site, champion: Champion, reply: Response, as_of: datetime) -> tuple[Incident, ...]:
    """By the newest comparisons of the present champion with its probe. What was proven once is over when `QUIET` of
    them in a row are fine, or another champion serves: a gain near its limit is proven one week and not the next.
    """
    known = open_incidents(site, "quality")
    version = champion.change.version
    compared = [
        as_verdict(row, PerformanceVerdict)
        for row in site.ledger.verdicts(site.name, kind="performance", limit=QUIET)
        if row.body.get("champion_version") == version
    ]
    finding = quality_finding(compared[-1], reply) if compared else None
    why = f"the last {QUIET} comparisons with a refit found nothing against the champion"
    if finding is None and known and known[0].finding.about != f"version {version}":
        why = _replaced(champion)
    elif finding is None and known and [item.outcome for item in compared] != ["fine"] * QUIET:
        finding = replace(known[0].finding, doing=reply.doing, severity=reply.severity)
    findings = (finding,) if finding else ()
    return next_incidents(known, findings, pipeline=site.name, as_of=as_of, over={"quality": why})


def _replaced(champion: Champion) -> str:
    return f"version {champion.change.version} serves now"


def _mark(site: Site) -> int:
    """What was found up to this row of the ledger has been raised: a monitor reports when it has done all else."""
    rows = site.ledger.verdicts(site.name, kind="incident", limit=KEPT)
    reports = site.ledger.verdicts(site.name, kind="watch", limit=1)
    return max((*(row.seq for row in reports), *(int(row.body["seen"]) for row in rows)), default=0)


def _open(site: Site, kinds: Sequence[IncidentKind]) -> list[tuple[datetime, Incident]]:
    """With the moment, by the ledger's clock, at which the row was written."""
    rows = [
        (row.recorded_at, restored(row.body)) for row in site.ledger.verdicts(site.name, kind="incident", limit=KEPT)
    ]
    left = still_open(incident for _, incident in rows)
    return [(at, row) for at, row in rows if row.finding.kind in kinds and any(row is item for item in left)]
