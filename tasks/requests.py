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
    """Ask for a retrain. While an earlier wish is unanswered this one joins it: a burst of alarms is one retrain.

    Empty when nothing new is answered: the earlier wish is permitted and announced, or waits for what it waited for.
    """
    intent = site.ledger.ask(
        intent_id=_intent_id(site.name, reason, as_of), pipeline=site.name, reason=reason, data_time=as_of
    )
    reached("monitor.asked")
    state = _already(site, intent, as_of)
    if state is not None:
        log.info("%s: %s, but intent %s is %s", site.name, reason, intent.id, state)
        return ()
    return put_before_governor(site, intent, snapshot, as_of)


def put_before_governor(
    site: Site, intent: Intent, snapshot: Snapshot | None, as_of: datetime
) -> tuple[GovernorVerdict, ...]:
    """Let the governor answer an open or deferred intent, and carry the answer out."""
    verdict = governor.judge(
        history(site.ledger, site.name, snapshot),
        policy=site.pipeline.governor,
        pipeline=site.name,
        subject=intent.id,
        as_of=as_of,
    )
    return answer(site, intent, verdict)


def answer(site: Site, intent: Intent, verdict: GovernorVerdict) -> tuple[GovernorVerdict, ...]:
    """Carry out the governor's answer: announce the retrain, or let the intent wait. Empty, and not written down again,
    when it waits for just that already.
    """
    if verdict.outcome != "run" and _waits_so(intent, verdict):
        _defer(site, intent, verdict)  # from now on it counts as looked at (deferrals.py)
        log.info("%s", verdict)
        return ()
    note(site, verdict)
    if verdict.outcome != "run":
        decline(site, intent, verdict)
        return (verdict,)
    if intent.state == "deferred":
        site.ledger.reopen(intent.id)
    reached("monitor.permitted")
    request_retrain(site.name, intent=intent.id, as_of=verdict.data_time, reason=intent.reason)
    return (verdict,)


def decline(site: Site, intent: Intent, verdict: GovernorVerdict, *, lease: Lease | None = None) -> None:
    """Carry out the governor's no: the intent waits for its moment or condition."""
    _defer(site, intent, verdict, lease=lease)
    why, as_of = verdict.reasons[0], verdict.data_time.isoformat()
    announce("retrain.skipped", site.name, intent=intent.id, as_of=as_of, why=why)


def _defer(site: Site, intent: Intent, verdict: GovernorVerdict, *, lease: Lease | None = None) -> None:
    site.ledger.defer(intent.id, until=verdict.until, condition=verdict.condition, lease=lease)


def _already(site: Site, intent: Intent, as_of: datetime) -> str | None:
    """How an earlier wish stands that this one cannot move; None when the governor is to be asked."""
    if intent.state in ("claimed", "closed"):
        return f"{intent.state} already"
    if (waits := awaits(intent, as_of)) is not None:
        return f"waiting for {waits}"
    if intent.state == "open" and _is_permitted(site, intent):
        return "permitted already"  # its event was emitted, or the sweep sees to it
    return None


def _is_permitted(site: Site, intent: Intent) -> bool:
    answers = site.ledger.verdicts(site.name, kind="governor", subject=intent.id, limit=1)
    return bool(answers) and answers[0].outcome == "run"


def _waits_so(intent: Intent, verdict: GovernorVerdict) -> bool:
    return intent.state == "deferred" and (intent.until, intent.condition) == (verdict.until, verdict.condition)


def _intent_id(pipeline: str, reason: str, as_of: datetime) -> str:
    digest = hashlib.sha256(reason.encode()).hexdigest()[:6]
    return f"{pipeline}-{as_of:%Y%m%dT%H%M%S}-{digest}"
