"""Taking an intent: the lease, the claim, the governor, and what an earlier attempt left behind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from registry.ledger import Change, Intent, Lease, Recorded
from storage.snapshot import Snapshot
from tasks.events import announce
from tasks.failpoints import reached
from tasks.history import history, paused
from tasks.leases import holding
from tasks.promote import crown
from tasks.site import Site
from tasks.snapshots import take_snapshot
from tasks.telling import log, note
from validation import governor
from validation.deeds import Repair, Trained, skipped
from validation.errors import LeaseLostError, StaleEpochError
from validation.gate import GateVerdict
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A claimed intent: the right, and the duty, to answer it. `epoch`: of the champion when the work began."""

    site: Site
    intent: Intent
    lease: Lease
    snapshot: Snapshot
    as_of: datetime
    epoch: int


@contextmanager
def answering(site: Site, intent_id: str | None, as_of: datetime, reason: str) -> Iterator[Order | Verdict]:
    """The order to answer, or the verdict that says why there is none. An error in the block closes the intent as
    failed, with its reason in the ledger, and is raised again.
    """
    with holding(site, "retrain") as lease:
        if lease is None:
            yield skipped("retrain", site.name, "another retrain of this pipeline is running", as_of)
            return
        taken = _take(site, lease, intent_id, as_of, reason)
        if isinstance(taken, Verdict):
            yield taken
            return
        reached("retrain.claimed")
        try:
            yield taken
        except LeaseLostError:  # another one works on it now, and what it writes counts
            raise
        except Exception as error:
            _failed(taken, error)
            raise


def settle(order: Order, verdict: GateVerdict) -> Verdict:
    """Carry the gate's verdict out and close the intent with it; returns the verdict."""
    site, outcome = order.site, verdict.outcome
    if outcome == "promote":
        change = _change(site, asdict(verdict), verdict.trained_until, verdict.reasons[0], verdict.data_time)
        outcome = _crown(site, change, epoch=order.epoch, lease=order.lease)
    else:
        announce("challenger.rejected", site.name, outcome=outcome, as_of=order.as_of.isoformat())
    site.ledger.close(order.intent.id, outcome=outcome, lease=order.lease)
    return verdict


def _take(site: Site, lease: Lease, intent_id: str | None, as_of: datetime, reason: str) -> Order | Verdict:
    snapshot = take_snapshot(site, as_of)
    if snapshot is None or not snapshot.rows.height:
        why = "no accepted row has a mature label yet; land batches and labels, then: andon ingest " + site.name
        return skipped("retrain", site.name, why, as_of)
    wanted = intent_id or _by_hand(site, as_of, reason)
    intent = site.ledger.claim(wanted, lease=lease)
    if intent is None:
        return skipped(
            "retrain", site.name, f"intent {wanted} is not open: it is answered, deferred, or unknown", as_of
        )
    objection = _objection(site, intent, snapshot, as_of, by_hand=intent_id is None)
    if objection is not None:
        return objection
    champion = site.ledger.champion(site.name)
    order = Order(
        site=site,
        intent=intent,
        lease=lease,
        snapshot=snapshot,
        as_of=as_of,
        epoch=champion.epoch if champion else 0,
    )
    proven = _unfinished(site, intent)
    return order if proven is None else _finish(order, proven)


def _by_hand(site: Site, as_of: datetime, reason: str) -> str:
    """A person's wish; it takes over an unanswered one, deferred ones included."""
    asked = f"{site.name}-{as_of:%Y%m%dT%H%M%S}-hand-{site.ledger.now():%H%M%S%f}"
    intent = site.ledger.ask(intent_id=asked, pipeline=site.name, reason=reason, data_time=as_of)
    if intent.state == "deferred":
        site.ledger.reopen(intent.id)
    return intent.id


def _objection(site: Site, intent: Intent, snapshot: Snapshot, as_of: datetime, *, by_hand: bool) -> Verdict | None:
    """The governor's no, noted and carried out. An intent of the monitor's has been permitted: only the cord counts."""
    if not by_hand and paused(site.ledger, site.name) is None:
        return None
    verdict = governor.judge(
        history(site.ledger, site.name, snapshot),
        policy=site.pipeline.governor,
        pipeline=site.name,
        subject=intent.id,
        as_of=as_of,
        by_hand=True,
    )
    note(site, verdict)
    if verdict.outcome == "run":
        return None
    if verdict.outcome == "defer":
        site.ledger.defer(intent.id, until=verdict.until, condition=verdict.condition)
    else:
        site.ledger.close(intent.id, outcome=f"refused: {verdict.reasons[0]}")
    return verdict


def _unfinished(site: Site, intent: Intent) -> Recorded | None:
    """A "promote" of this intent that never became a champion: its process died in between."""
    crowned = {champion.change.intent for champion in site.ledger.champions(site.name)}
    passed = [
        item
        for item in site.ledger.verdicts(site.name, kind="gate")
        if item.body["intent"] == intent.id and item.outcome == "promote"
    ]
    return passed[-1] if passed and intent.id not in crowned else None


def _finish(order: Order, proven: Recorded) -> Verdict:
    """Carry out what an earlier attempt had proven, unless another champion has come in between."""
    site, body = order.site, proven.body
    current = site.ledger.champion(site.name)
    if (current.change.version if current else "") == body["champion_version"]:
        until = datetime.fromisoformat(body["trained_until"])
        change = _change(site, body, until, proven.reasons[0], proven.data_time)
        outcome, told = _crown(site, change, epoch=order.epoch, lease=order.lease), "finished"
    else:
        outcome, told = "overtaken", "given up: there is another champion by now"
    site.ledger.close(order.intent.id, outcome=outcome, lease=order.lease)
    verdict = Repair(
        pipeline=site.name,
        subject=proven.subject,
        outcome="repaired",
        reasons=(f"the interrupted promotion of version {proven.subject} was {told}",),
        data_time=order.as_of,
    )
    note(site, verdict, lease=order.lease)
    return verdict


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


def _crown(site: Site, change: Change, *, epoch: int, lease: Lease) -> str:
    try:
        crown(site, change, epoch=epoch, lease=lease)
    except StaleEpochError as error:  # e.g. a person rolled back meanwhile: the comparison no longer holds
        log.warning("%s", error)
        return "overtaken"
    return "promote"


def _failed(order: Order, error: Exception) -> None:
    site, why = order.site, f"{type(error).__name__}: {error}"[:500]
    log.error("%s: the retrain failed: %s", site.name, why)
    verdict = Trained(
        pipeline=site.name,
        subject=order.intent.id,
        outcome="failed",
        reasons=(why,),
        data_time=order.as_of,
        snapshot=order.snapshot.id,
        rows=order.snapshot.rows.height,
        searched=False,
        recipe={},
    )
    note(site, verdict, lease=order.lease)
    site.ledger.close(order.intent.id, outcome="failed", lease=order.lease)
