"""What a deferred intent waits for that no new wish may cut short: a person's answer, more evidence, or its
challenger's time in the shadow.
"""

from datetime import datetime, timedelta

from registry.ledger import Intent, Lease, Recorded
from tasks.approval import AWAITING, hear, open_question
from tasks.rollout_start import SHADOW
from tasks.site import Site
from validation.verdict import Verdict

EVIDENCE = "more evidence on its challenger"
_BLOCK = timedelta(days=1)  # the gate's blocks are days (tasks.monitor.days)


def may_look_again(judged: Recorded) -> bool:
    """Whether the gate left it open, and its challenger may be looked at once more."""
    body = judged.body
    left = int(body.get("look", 1)) < int(body.get("max_looks", 1))
    return judged.outcome == "need evidence" and left and bool(body["challenger_version"])


def next_look(judged: Recorded) -> datetime:
    """When (data time) so many more days are mature that a further look can decide; never later than as many days on
    as the first look had, and at least one.
    """
    body = judged.body
    first = int((body.get("earlier_blocks") or [body["blocks"]])[0])
    days = min(int(body.get("more_blocks") or first), first)
    return judged.data_time + max(days, 1) * _BLOCK


def await_evidence(site: Site, intent: Intent, judged: Recorded, *, lease: Lease) -> None:
    """Defer the intent until the next look at its challenger."""
    site.ledger.defer(intent.id, until=next_look(judged), condition=EVIDENCE, lease=lease)


def awaits(intent: Intent, as_of: datetime) -> str | None:
    """What the intent is still waiting for, in words; None when it may be answered now."""
    if intent.state != "deferred" or intent.condition not in (AWAITING, EVIDENCE, SHADOW):
        return None
    if intent.condition == EVIDENCE and intent.until is not None and intent.until <= as_of:
        return None
    until = f" until {intent.until:%Y-%m-%d %H:%M}" if intent.until else ""
    return f"{intent.condition}{until}"


def heard(site: Site) -> Verdict | None:
    """What came of the question that is open about the pipeline; None when none is."""
    question = open_question(site)
    return hear(site, question) if question else None
