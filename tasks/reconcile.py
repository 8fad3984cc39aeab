"""The sweep's eye for unfinished work, which it names for flows to do, and what keeps one thing from stopping the rest.

Everything here can run twice, at once, and at any moment: what is done twice, the ledger refuses.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar, cast

from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from registry.ledger import Intent
from tasks.approval import lapse
from tasks.history import since_report, unscored
from tasks.policies import IDEMPOTENT_IO, MISHAPS
from tasks.repairs import at_work
from tasks.score_delivery import unfinished_deliveries
from tasks.site import Site
from tasks.telling import log
from validation.deeds import Repair
from validation.verdict import Verdict

T = TypeVar("T")
Activity = Literal["ingest", "score", "monitor", "retrain"]
# An event takes about 7 s from its emission to a running flow; an intent that waits longer was not heard.
UNHEARD = timedelta(seconds=45)
_CLOSING = ("promote", "reject", "expired")  # the gate's last words on an intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Work that somebody began, or should have begun, and that nobody is doing.

    `judged`: of an intent, the gate has decided; what is left to do takes no time.
    """

    site: Site
    activity: Activity
    why: str
    intent: Intent | None = None
    judged: bool = False


def in_turn(items: Iterable[T], do: Callable[[T], Sequence[Verdict]]) -> list[Verdict]:
    """What `do` returns for one item after the other. What fails for one is raised when all had their turn: a batch
    that cannot be scored does not keep a dead retrain unanswered.
    """
    verdicts: list[Verdict] = []
    errors: list[BaseException] = []
    for item in items:
        try:
            verdicts += do(item)
        except MISHAPS as error:  # whatever it is, it is raised at the end
            log.error("reconcile: %s", error)
            errors.append(error)
    if errors:
        raise errors[0]
    return verdicts


def unfinished(site: Site) -> Iterator[Unfinished]:
    """Batches that were claimed but not finished, or not scored; a monitor without a report; intents nobody answers.

    In the order of the loop, and each looked for when it is asked for: what one leaves to do, the next one finds.
    """
    for activity, why, intent in _gaps(site):
        yield Unfinished(site=site, activity=activity, why=why, intent=intent, judged=_is_judged(site, intent))


def carry_out_answers(site: Site, as_of: datetime) -> tuple[Verdict, ...]:  # noqa: ARG001 - as all steps of the sweep
    """What people have answered, and what nobody has answered in time."""
    return lapse(site)


@task(task_run_name="start a retrain", **IDEMPOTENT_IO)
def start_by_deployment(site: Site, intent: Intent, as_of: datetime) -> bool:
    """Create the flow run that the lost event should have created; False when no server has the deployment.

    The idempotency key makes two reconcilers start one run; a run that ended without answering gets a successor.
    """
    parameters = {"pipeline": site.name, "intent": intent.id, "as_of": as_of.isoformat(), "reason": intent.reason}
    key = f"retrain:{site.name}:{intent.id}:{intent.attempt}"
    try:
        with get_client(sync_client=True) as client:
            client.read_deployment_by_name("retrain/retrain")
    except ObjectNotFound:
        return False
    while True:
        run = cast(
            "FlowRun",
            run_deployment("retrain/retrain", parameters=parameters, idempotency_key=key, timeout=0, as_subflow=False),
        )
        if run.state is None or not run.state.is_final():
            return True
        key = f"{key}:{run.id}"


def resumed(work: Unfinished, as_of: datetime, *, by: str) -> Repair:
    """What the sweep tells of unfinished work, before what came of it."""
    why = f"{work.why}; that is done by {by}"
    return Repair(pipeline=work.site.name, subject=work.activity, outcome="repaired", reasons=(why,), data_time=as_of)


Gap = tuple[Activity, str, Intent | None]


def _gaps(site: Site) -> Iterator[Gap]:
    ledger, name = site.ledger, site.name
    claimed = [batch for batch in ledger.batches(name) if batch.state == "claimed"]
    if claimed and not at_work(site, "ingest"):
        yield "ingest", f"{len(claimed)} files were claimed and not finished", None
    if (waiting := unscored(ledger, name)) and not at_work(site, "score"):
        yield "score", f"{len(waiting)} accepted batches have no predictions", None
    if (left := unfinished_deliveries(site)) and not at_work(site, "score"):
        yield "score", left, None
    if since_report(ledger, name) and not at_work(site, "monitor"):
        yield "monitor", "there are predictions or findings after its newest report: it did not come to its end", None
    for intent in ledger.intents(name, states=("open",)):
        if _is_judged(site, intent):
            yield "retrain", f"the gate's decision on intent {intent.id} was not carried out to its end", intent
        elif ledger.now() - intent.changed_at >= UNHEARD or _has_died(site, intent):
            yield "retrain", f"intent {intent.id} is open and nobody answers it", intent


def _is_judged(site: Site, intent: Intent | None) -> bool:
    if intent is None or not intent.attempt:
        return False
    verdicts = [item for item in site.ledger.verdicts(site.name, kind="gate") if item.body["intent"] == intent.id]
    return bool(verdicts) and verdicts[-1].outcome in _CLOSING


def _has_died(site: Site, intent: Intent) -> bool:
    """Whether a sweep has opened it again: of that, no event tells."""
    last = site.ledger.verdicts(site.name, kind="repair", subject=intent.id, limit=1)
    return bool(last) and last[0].recorded_at >= intent.changed_at
