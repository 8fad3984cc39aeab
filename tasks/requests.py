"""A wish to retrain: written to the ledger, put before the governor, and only then announced."""

import hashlib
from datetime import datetime

from registry.ledger import Intent, Lease
from storage.snapshot import Snapshot
from tasks.events import announce, request_retrain
from tasks.history import history
from tasks.site import Site
from tasks.telling import log, note
from tasks.waiting import awaits
from validation import governor
from validation.failpoints import reached
from validation.governor import GovernorVerdict


def request(site: Site, snapshot: Snapshot | None, reason: str, as_of: datetime) -> tuple[GovernorVerdict, ...]:
    """Ask for a retrain. While an earlier wish is unanswered this one joins it: a burst of alarms is one retrain."""
    intent = site.ledger.ask(
        intent_id=_intent_id(site.name, reason, as_of), pipeline=site.name, reason=reason, data_time=as_of
    )
    reached("monitor.asked")
    if intent.state in ("claimed", "closed") or (waits := awaits(intent, as_of)):
        state = f"waiting for {waits}" if intent.state == "deferred" else f"{intent.state} already"
        log.info("%s: %s, but intent %s is %s", site.name, reason, intent.id, state)
        return ()
    return (put_before_governor(site, intent, snapshot, as_of),)


def put_before_governor(site: Site, intent: Intent, snapshot: Snapshot | None, as_of: datetime) -> GovernorVerdict:
    """Let the governor answer an open or deferred intent: announce it, defer it, or close it."""
    verdict = governor.judge(
        history(site.ledger, site.name, snapshot),
        policy=site.pipeline.governor,
        pipeline=site.name,
        subject=intent.id,
        as_of=as_of,
    )
    note(site, verdict)
    if verdict.outcome != "run":
        decline(site, intent, verdict)
        return verdict
    if intent.state == "deferred":
        site.ledger.reopen(intent.id)
    reached("monitor.permitted")
    request_retrain(site.name, intent=intent.id, as_of=as_of, reason=intent.reason)
    return verdict


def decline(site: Site, intent: Intent, verdict: GovernorVerdict, *, lease: Lease | None = None) -> None:
    """Carry out the governor's no: the intent waits for its moment or condition, or is closed."""
    why = verdict.reasons[0]
    if verdict.outcome == "defer":
        site.ledger.defer(intent.id, until=verdict.until, condition=verdict.condition, lease=lease)
    else:
        site.ledger.close(intent.id, outcome=f"refused: {why}", lease=lease)
    announce("retrain.skipped", site.name, intent=intent.id, as_of=verdict.data_time.isoformat(), why=why)


def _intent_id(pipeline: str, reason: str, as_of: datetime) -> str:
    digest = hashlib.sha256(reason.encode()).hexdigest()[:6]
    return f"{pipeline}-{as_of:%Y%m%dT%H%M%S}-{digest}"
