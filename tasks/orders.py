"""Taking an intent: the lease, the claim, the governor, and what an earlier attempt left behind."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from registry.ledger import Intent, Lease, Recorded
from storage.snapshot import Snapshot
from tasks.approval import AWAITING
from tasks.crowning import finish
from tasks.descriptions import describe
from tasks.history import history
from tasks.leases import holding
from tasks.plans import forget_study
from tasks.policies import MISHAPS
from tasks.requests import decline
from tasks.rollout_start import SHADOW
from tasks.site import Site
from tasks.snapshots import record, take_snapshot
from tasks.taking import question, why_nothing
from tasks.telling import log, note
from tasks.waiting import may_look_again
from validation import governor
from validation.deeds import Trained, skipped
from validation.errors import AndonError, LeaseLostError, TrainingFailedError
from validation.failpoints import reached
from validation.training_set import Description
from validation.verdict import Verdict

_LONGEST = 500  # characters of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A claimed intent: the right, and the duty, to answer it. `epoch`: of the champion when the work began.

    `looks`: the gate's verdicts on a challenger of this intent that still lacks evidence, oldest first. `search`: a
    person wants the recipe to be searched.
    """

    site: Site
    intent: Intent
    lease: Lease
    snapshot: Snapshot
    description: Description
    as_of: datetime
    epoch: int
    looks: tuple[Recorded, ...] = ()
    search: bool = False

    @property
    def candidate(self) -> Recorded | None:
        """The newest look at the challenger that is to be looked at again; None: a new one is to be trained."""
        return self.looks[-1] if self.looks else None

    @property
    def folder(self) -> Path:
        """Where this attempt's bundle is made."""
        return self.site.work / f"{self.intent.id}-{self.intent.attempt}"


class RetrainOverError(AndonError):
    """A retrain ends before the gate, and the ledger says why by `verdict`: its training process failed, or inputs know
    the target.
    """

    def __init__(self, verdict: Trained) -> None:
        super().__init__(verdict.reasons[0])
        self.verdict = verdict


def answered(
    site: Site,
    intent_id: str | None,
    as_of: datetime,
    reason: str,
    *,
    search: bool = False,
    work: Callable[[Order], Verdict],
) -> Verdict:
    """What `work` makes of the order, or why there is none, or why nothing came to the gate."""
    try:
        with answering(site, intent_id, as_of, reason) as order:
            return work(replace(order, search=search)) if isinstance(order, Order) else order
    except RetrainOverError as over:
        return over.verdict


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
            yield skipped("retrain", site.name, _why_not(site, wanted), as_of)
            return
        reached("retrain.claimed")
        try:
            yield _order(site, intent, lease, as_of, by_hand=intent_id is None)
        except LeaseLostError:  # another one works on it now, and what it writes counts
            raise
        except RetrainOverError as over:
            site.ledger.close(intent.id, outcome=over.verdict.outcome, lease=lease)
            raise
        except TrainingFailedError as error:
            verdict = _failed(site, intent, lease, as_of, f"training failed: {error}"[:_LONGEST])
            raise RetrainOverError(verdict) from error
        except MISHAPS as error:
            _failed(site, intent, lease, as_of, f"{type(error).__name__}: {error}"[:_LONGEST])
            raise


def _order(site: Site, intent: Intent, lease: Lease, as_of: datetime, *, by_hand: bool) -> Order | Verdict:
    """What is to be done for a claimed intent; a verdict when it is settled already, or may not be answered."""
    judged = [item for item in site.ledger.verdicts(site.name, kind="gate") if item.body["intent"] == intent.id]
    if judged and not (by_hand and may_look_again(judged[-1])):
        finished = finish(site, intent, judged[-1], as_of, lease=lease)
        if finished is not None:
            return finished
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
        looks=_looks(site, judged),
    )
    objection = _objection(order, by_hand=by_hand)
    if objection is None:
        record(site, order.description, lease=lease)
    return objection or order


def _by_hand(site: Site, as_of: datetime, reason: str) -> str:
    """A person's wish; it takes over an unanswered one, deferred ones included."""
    asked = f"{site.name}-{as_of:%Y%m%dT%H%M%S}-hand-{site.ledger.now():%H%M%S%f}"
    intent = site.ledger.ask(intent_id=asked, pipeline=site.name, reason=reason, data_time=as_of)
    if intent.state == "deferred" and intent.condition not in (AWAITING, SHADOW):
        site.ledger.reopen(intent.id)
    return intent.id


def _why_not(site: Site, wanted: str) -> str:
    known = site.ledger.intent(wanted)
    if known is not None and known.state == "deferred" and known.condition == AWAITING:
        return f"intent {wanted} waits for a person's answer: andon approve {site.name}, or andon reject {site.name}"
    if known is not None and known.state == "deferred" and known.condition == SHADOW and known.until is not None:
        return (
            f"intent {wanted} waits while its challenger answers in the shadow until {known.until:%Y-%m-%d %H:%M}; "
            f"see it: andon why {site.name}"
        )
    return f"intent {wanted} is not open: it is answered, deferred, or unknown"


def _objection(order: Order, *, by_hand: bool) -> Verdict | None:
    """The governor's no, noted and carried out. An intent of the monitor's was permitted when it was asked for; what
    may be new is looked at again: a pulled cord, a snapshot that was judged meanwhile, a rollback.
    """
    site, intent = order.site, order.intent
    verdict = governor.judge(
        history(site.ledger, site.name, order.snapshot),
        policy=site.pipeline.governor,
        pipeline=site.name,
        subject=intent.id,
        as_of=order.as_of,
        by_hand=by_hand,
        permitted=True,
    )
    if by_hand or verdict.outcome != "run":
        note(site, verdict, lease=order.lease)
    if verdict.outcome == "run":
        return None
    decline(site, intent, verdict, lease=order.lease)
    return verdict


def _looks(site: Site, judged: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """The looks so far at a challenger that may be looked at again; none when a new one is to be trained: there is no
    such challenger, the champion that it was compared with is replaced, or the pipeline's definition is another one.
    """
    if not judged or not may_look_again(judged[-1]):
        return ()
    last, champion = judged[-1], site.ledger.champion(site.name)
    taken = site.ledger.verdicts(site.name, kind="snapshot", subject=last.body["snapshot"], limit=1)
    definition = taken[0].body["description"]["definition"] if taken else ""
    same_champion = last.body["champion_version"] == (champion.change.version if champion else "")
    if not same_champion or definition != site.pipeline.fingerprint:
        return ()
    return tuple(item for item in judged if item.subject == last.subject)


def _epoch(site: Site) -> int:
    champion = site.ledger.champion(site.name)
    return champion.epoch if champion else 0


def _failed(site: Site, intent: Intent, lease: Lease, as_of: datetime, why: str) -> Trained:
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
    forget_study(site, intent)  # nothing goes on with a closed intent's search; a killed one's stays, which is not here
    site.ledger.close(intent.id, outcome="failed", lease=lease)
    return verdict
