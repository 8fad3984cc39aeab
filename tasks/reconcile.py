"""The sweep: finds what was interrupted. Small repairs are made here; unfinished work is named, for flows to do.

Everything here can run twice, at once, and at any moment: each repair is a write that the ledger checks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

import httpx
from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from registry.ledger import Intent
from registry.promotion import repair_alias
from tasks.history import since_report, unscored
from tasks.policies import IDEMPOTENT_IO, PLAIN
from tasks.site import Site
from tasks.telling import log, note
from validation.deeds import Repair
from validation.errors import RegistryError, ServiceDownError

Activity = Literal["ingest", "score", "monitor", "retrain"]
# An event takes about 7 s from its emission to a running flow; an intent that waits longer was not heard.
UNHEARD = timedelta(seconds=45)
_SCORER_LAG = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Work that somebody began, or should have begun, and that nobody is doing."""

    site: Site
    activity: Activity
    why: str
    intent: Intent | None = None


@task(task_run_name="repair", **PLAIN)
def repair(site: Site, as_of: datetime) -> tuple[Repair, ...]:
    """Make the small repairs: abandoned intents, dead leases, a moved alias; report a scorer that lags behind."""
    found = [*_abandoned_intents(site), *_dead_leases(site), *_moved_alias(site), *_lagging_scorer(site)]
    verdicts = tuple(
        Repair(pipeline=site.name, subject=subject, outcome=outcome, reasons=(why,), data_time=as_of)
        for subject, outcome, why in found
        if outcome == "repaired" or not _is_told(site, subject, why)
    )
    for verdict in verdicts:
        note(site, verdict)
    return verdicts


def unfinished(site: Site) -> Iterator[Unfinished]:
    """Batches that were claimed but not finished, or not scored; a monitor without a report; intents nobody answers.

    In the order of the loop, and each looked for when it is asked for: what one leaves to do, the next one finds.
    """
    for activity, why, intent in _gaps(site):
        yield Unfinished(site=site, activity=activity, why=why, intent=intent)


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


Finding = tuple[str, str, str]
Gap = tuple[Activity, str, Intent | None]


def _is_told(site: Site, subject: str, why: str) -> bool:
    """Whether the newest report on the subject says the same: a sweep comes every few seconds."""
    last = site.ledger.verdicts(site.name, kind="repair", subject=subject, limit=1)
    return bool(last) and last[0].reasons == (why,)


def _abandoned_intents(site: Site) -> Iterator[Finding]:
    # NOTE: intents first; one that is claimed after leases were read would be taken for abandoned.
    claimed = site.ledger.intents(site.name, states=("claimed",))
    if claimed and not _at_work(site, "retrain"):
        for intent in claimed:
            site.ledger.reopen(intent.id)
            yield intent.id, "repaired", f"attempt {intent.attempt} died without an answer; the intent is open again"


def _dead_leases(site: Site) -> Iterator[Finding]:
    for lease in site.ledger.leases(site.name):
        if not _alive(site, lease.expires_at):
            site.ledger.release(lease)
            yield lease.activity, "repaired", f"{lease.holder} held the {lease.activity} lease and is dead; it is free"


def _moved_alias(site: Site) -> Iterator[Finding]:
    try:
        wrong = repair_alias(site.ledger, site.store, site.name)
    except (ServiceDownError, RegistryError) as error:  # the rest of the sweep does not need the model store
        yield "alias champion", "reported", str(error)
        return
    if wrong is not None:
        yield "alias champion", "repaired", wrong


def _lagging_scorer(site: Site) -> Iterator[Finding]:
    champion = site.ledger.champion(site.name)
    if champion is None or site.ledger.now() - champion.recorded_at < _SCORER_LAG:
        return
    try:
        answer = httpx.get(f"{site.settings.scorer_url.rstrip('/')}/{site.name}/version", timeout=2.0, trust_env=False)
        serving = answer.json().get("version")
    except (httpx.HTTPError, ValueError):
        log.info("%s: no scorer answers at %s", site.name, site.settings.scorer_url)
        return
    if serving != champion.change.version:
        why = f"the scorer serves version {serving}, the champion is {champion.change.version}; see its log, restart it"
        yield "scorer", "reported", why


def _gaps(site: Site) -> Iterator[Gap]:
    ledger, name = site.ledger, site.name
    claimed = [batch for batch in ledger.batches(name) if batch.state == "claimed"]
    if claimed and not _at_work(site, "ingest"):
        yield "ingest", f"{len(claimed)} files were claimed and not finished", None
    if (waiting := unscored(ledger, name)) and not _at_work(site, "score"):
        yield "score", f"{len(waiting)} accepted batches have no predictions", None
    if since_report(ledger, name) and not _at_work(site, "monitor"):
        yield "monitor", "there are predictions or findings after its newest report: it did not come to its end", None
    for intent in ledger.intents(name, states=("open",)):
        if ledger.now() - intent.changed_at >= UNHEARD or intent.attempt:
            yield "retrain", f"intent {intent.id} is open and nobody answers it", intent


def _at_work(site: Site, activity: Activity) -> bool:
    return any(lease.activity == activity and _alive(site, lease.expires_at) for lease in site.ledger.leases(site.name))


def _alive(site: Site, expires_at: datetime) -> bool:
    return expires_at > site.ledger.now()
