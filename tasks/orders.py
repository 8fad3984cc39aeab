"""Taking an intent: the lease, the claim, the governor, and what an earlier attempt left behind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from registry.ledger import Change, Intent, Lease, Recorded
from storage.snapshot import Snapshot
from tasks.descriptions import describe
from tasks.events import announce
from tasks.history import history, paused
from tasks.leases import holding
from tasks.promote import crown
from tasks.requests import decline
from tasks.site import Site
from tasks.snapshots import record, take_snapshot
from tasks.taking import question, why_nothing
from tasks.telling import log, note
from validation import governor
from validation.deeds import Repair, Trained, skipped
from validation.errors import LeaseLostError, StaleEpochError
from validation.failpoints import reached
from validation.gate import GateVerdict
from validation.training_set import Description
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A claimed intent: the right, and the duty, to answer it. `epoch`: of the champion when the work began."""

    site: Site
    intent: Intent
    lease: Lease
    snapshot: Snapshot
    description: Description
    as_of: datetime
    epoch: int


@contextmanager
def answering(site: Site, intent_id: str | None, as_of: datetime, reason: str) -> Iterator[Order | Verdict]:
    """The order to answer, or the verdict that says why there is none. An error in the block, or on the way to it,
    closes the claimed intent as failed, with its reason in the ledger, and is raised again.
    """
    with holding(site, "retrain") as lease:
        if lease is None:
            yield skipped("retrain", site.name, "another retrain of this pipeline is running", as_of)
            return
        wanted = intent_id or _by_hand(site, as_of, reason)
        intent = site.ledger.claim(wanted, lease=lease)
        if intent is None:
            why = f"intent {wanted} is not open: it is answered, deferred, or unknown"
            yield skipped("retrain", site.name, why, as_of)
            return
        reached("retrain.claimed")
        try:
            yield _order(site, intent, lease, as_of, by_hand=intent_id is None)
        except LeaseLostError:  # another one works on it now, and what it writes counts
            raise
        except Exception as error:
            _failed(site, intent, lease, as_of, error)
            raise


def settle(order: Order, verdict: GateVerdict) -> Verdict:
    """Carry the gate's verdict out and close the intent. Returns it, or why what has passed did not become champion."""
    site, obstacle = order.site, None
    if verdict.outcome == "promote":
        change = _change(site, asdict(verdict), verdict.trained_until, verdict.reasons[0], verdict.data_time)
        obstacle = _crown(site, change, epoch=order.epoch, lease=order.lease)
    else:
        announce("challenger.rejected", site.name, outcome=verdict.outcome, as_of=order.as_of.isoformat())
    site.ledger.close(order.intent.id, outcome=obstacle or verdict.outcome, lease=order.lease)
    return verdict if obstacle is None else skipped("retrain", site.name, obstacle, order.as_of)


def _order(site: Site, intent: Intent, lease: Lease, as_of: datetime, *, by_hand: bool) -> Order | Verdict:
    """What is to be done for a claimed intent; a verdict when it is settled already, or may not be answered."""
    judged = [item for item in site.ledger.verdicts(site.name, kind="gate") if item.body["intent"] == intent.id]
    if judged:
        return _finish(site, intent, lease, judged[-1], as_of)
    snapshot = take_snapshot(site, as_of)
    if snapshot is None or not snapshot.rows.height:
        site.ledger.close(intent.id, outcome="skipped: nothing to learn from", lease=lease)
        return skipped("retrain", site.name, why_nothing(site, question(site, as_of)), as_of)
    order = Order(
        site=site,
        intent=intent,
        lease=lease,
        snapshot=snapshot,
        description=describe(site, snapshot),
        as_of=as_of,
        epoch=_epoch(site),
    )
    objection = _objection(order, by_hand=by_hand)
    if objection is None:
        record(site, order.description, lease=lease)
    return objection or order


def _by_hand(site: Site, as_of: datetime, reason: str) -> str:
    """A person's wish; it takes over an unanswered one, deferred ones included."""
    asked = f"{site.name}-{as_of:%Y%m%dT%H%M%S}-hand-{site.ledger.now():%H%M%S%f}"
    intent = site.ledger.ask(intent_id=asked, pipeline=site.name, reason=reason, data_time=as_of)
    if intent.state == "deferred":
        site.ledger.reopen(intent.id)
    return intent.id


def _objection(order: Order, *, by_hand: bool) -> Verdict | None:
    """The governor's no, noted and carried out. An intent of the monitor's was permitted when it was asked for; what
    may be new is looked at again: a pulled cord, a snapshot that was judged meanwhile.
    """
    site, intent = order.site, order.intent
    verdict = governor.judge(
        history(site.ledger, site.name, order.snapshot),
        policy=site.pipeline.governor,
        pipeline=site.name,
        subject=intent.id,
        as_of=order.as_of,
        by_hand=True,
    )
    if by_hand or verdict.outcome != "run":
        note(site, verdict, lease=order.lease)
    if verdict.outcome == "run":
        return None
    decline(site, intent, verdict, lease=order.lease)
    return verdict


def _finish(site: Site, intent: Intent, lease: Lease, judged: Recorded, as_of: datetime) -> Verdict:
    """Close what an earlier attempt had judged before it died; promote what it had proven, if that still holds."""
    outcome, body = judged.outcome, judged.body
    champions = site.ledger.champions(site.name)
    crowned = intent.id in {champion.change.intent for champion in champions}
    if outcome == "promote" and not crowned:
        if (champions[-1].change.version if champions else "") == body["champion_version"]:
            until = datetime.fromisoformat(body["trained_until"])
            change = _change(site, body, until, judged.reasons[0], judged.data_time)
            outcome = _crown(site, change, epoch=_epoch(site), lease=lease) or outcome
        else:
            outcome = "not promoted: the champion that it was compared with has been replaced"
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


def _epoch(site: Site) -> int:
    champion = site.ledger.champion(site.name)
    return champion.epoch if champion else 0


def _change(site: Site, body: Mapping[str, Any], until: datetime | None, why: str, data_time: datetime) -> Change:
    assert until is not None, "what the gate passed was trained"  # noqa: S101 - trained_until is set with the refit
    return Change(
        pipeline=site.name,
        kind="promotion",
        version=body["challenger_version"],
        bundle_sha256=body["bundle_sha256"],
        trained_until=until,
        why=why,
        data_time=data_time,
        actor=site.actor,
        intent=body["intent"],
    )


def _crown(site: Site, change: Change, *, epoch: int, lease: Lease) -> str | None:
    """Promote; or why it may not be any more: while it was trained, a person pulled the cord or rolled back."""
    told = f"version {change.version} passed the gate, but was not promoted"
    if (why := paused(site.ledger, site.name)) is not None:
        return f"{told}: the cord is pulled ({why}); when it is solved: andon resume {site.name}"
    try:
        crown(site, change, epoch=epoch, lease=lease)
    except StaleEpochError as error:
        return f"{told}: {error}"
    return None


def _failed(site: Site, intent: Intent, lease: Lease, as_of: datetime, error: Exception) -> None:
    why = f"{type(error).__name__}: {error}"[:500]
    log.error("%s: the retrain failed: %s", site.name, why)
    verdict = Trained(
        pipeline=site.name,
        subject=intent.id,
        outcome="failed",
        reasons=(why,),
        data_time=as_of,
        snapshot="",
        rows=0,
        searched=False,
        recipe={},
    )
    note(site, verdict, lease=lease)
    site.ledger.close(intent.id, outcome="failed", lease=lease)
