"""From a verdict of the gate in the ledger to a champion: also when the process that asked for it has died since."""

from datetime import datetime

from registry.ledger import Change, Intent, Lease, Recorded
from tasks.approval import ask_person
from tasks.objections import objection, replaced
from tasks.promote import crown
from tasks.rollout_start import SHADOW, goes_first, into_shadow
from tasks.rollout_watch import begin_watch
from tasks.site import Site
from tasks.telling import note
from tasks.waiting import await_evidence, may_look_again, next_look
from validation.deeds import Repair
from validation.durations import span
from validation.errors import LeaseLostError, RefusedError
from validation.verdict import Verdict


def promote_judged(site: Site, judged: Recorded, *, epoch: int, lease: Lease) -> str | None:
    """Promote what the gate passed; or why it may not be any more: while it was trained, a person pulled the cord,
    rolled back or promoted something else.
    """
    change, told = change_of(site, judged), f"version {judged.subject} passed the gate, but was not promoted"
    reign = {"version": change.version, "bundle_sha256": change.bundle_sha256}
    if (why := objection(site, **reign, as_of=judged.data_time)) is not None:
        return f"{told}: {why}"
    try:
        crown(site, change, epoch=epoch, lease=lease)
    except LeaseLostError:  # another one works on it now
        raise
    except RefusedError as error:
        return f"{told}: {error}"
    begin_watch(site, change.data_time)
    return None


def ask_about(site: Site, intent: Intent, judged: Recorded, *, lease: Lease) -> None:
    """Put the gate's question to a person; the intent waits for the answer."""
    timeout = span(site.pipeline.gate.approval_timeout)
    ask_person(site, gate=judged, intent=intent, why=judged.body["asks"], lease=lease, timeout=timeout)


def finish(site: Site, intent: Intent, judged: Recorded, as_of: datetime, *, lease: Lease) -> Verdict | None:
    """Do what an attempt that died after the gate's verdict has left to do; None when a further look is due."""
    outcome, body = judged.outcome, judged.body
    if body.get("asks"):
        ask_about(site, intent, judged, lease=lease)
        outcome = "a person is asked"
    elif may_look_again(judged):
        if next_look(judged) <= as_of:
            return None
        await_evidence(site, intent, judged, lease=lease)
    elif outcome == "promote" and _shadows(site, intent, judged):
        into_shadow(site, intent, judged, lease=lease)
        outcome = f"it spends {SHADOW} first"
    else:
        if outcome == "promote":
            outcome = _promoted(site, intent, judged, lease=lease)
        site.ledger.close(intent.id, outcome=outcome, lease=lease)
    verdict = Repair(
        pipeline=site.name,
        subject=judged.subject,
        outcome="repaired",
        reasons=(f"an interrupted retrain was finished with its verdict on version {judged.subject}: {outcome}",),
        data_time=as_of,
    )
    note(site, verdict, lease=lease)
    return verdict


def dry(judged: Recorded) -> str | None:
    """What to say of a promotion of which the definition asks only what would have been; None where it is meant."""
    return f"dry run: version {judged.subject} would be promoted" if judged.body.get("mode") == "dry_run" else None


def change_of(site: Site, judged: Recorded) -> Change:
    """The promotion that the gate's verdict stands for."""
    body = judged.body
    return Change(
        pipeline=site.name,
        kind="promotion",
        version=body["challenger_version"],
        bundle_sha256=body["bundle_sha256"],
        trained_until=datetime.fromisoformat(body["trained_until"]),
        why=judged.reasons[0],
        data_time=judged.data_time,
        actor=site.actor,
        intent=body["intent"],
        evidence=judged.seq,
    )


def _shadows(site: Site, intent: Intent, judged: Recorded) -> bool:
    """Whether it is to answer in the shadow, and is not champion already."""
    crowned = {champion.change.intent for champion in site.ledger.champions(site.name)}
    return goes_first(site, judged) and intent.id not in crowned and replaced(site, judged) is None


def _promoted(site: Site, intent: Intent, judged: Recorded, *, lease: Lease) -> str:
    champions = site.ledger.champions(site.name)
    if (told := dry(judged)) is not None or intent.id in {champion.change.intent for champion in champions}:
        return told or "promote"
    if (why := replaced(site, judged)) is not None:
        return f"not promoted: {why}"
    return promote_judged(site, judged, epoch=champions[-1].epoch if champions else 0, lease=lease) or "promote"
