"""The sweep: what should be, by the ledger, against what is; the difference is repaired, and told."""

from collections.abc import Callable
from datetime import datetime

from prefect import flow

from tasks.deferrals import reexamine
from tasks.each import for_each
from tasks.reconcile import Unfinished, repair, start_by_deployment, unfinished
from tasks.site import Site, moment, open_sites
from tasks.telling import run_name
from tasks.upkeep import look_after
from validation.deeds import Repair
from validation.verdict import Verdict


@flow(name="reconcile", flow_run_name=run_name)
def reconcile(pipeline: str | None = None, as_of: datetime | None = None) -> tuple[Verdict, ...]:
    """Finish whatever was interrupted. Idempotent; safe to run twice at once. Returns what it found and did."""
    now = moment(as_of)
    return for_each("reconcile", open_sites(pipeline), lambda site: _sweep(site, now))


def _sweep(site: Site, now: datetime) -> list[Verdict]:
    repaired = [*repair(site, now), *reexamine(site, now)]
    resumed = [verdict for work in unfinished(site) for verdict in _resume(work, now)]
    return [*repaired, *resumed, *look_after(site, now)]


def _resume(work: Unfinished, now: datetime) -> tuple[Verdict, ...]:
    """Do the unfinished work: by the deployment where a server has it, otherwise here."""
    from flows.ingest import ingest
    from flows.monitor import monitor
    from flows.retrain import retrain
    from flows.score import score

    name = work.site.name
    found = Repair(pipeline=name, subject=work.activity, outcome="repaired", reasons=(work.why,), data_time=now)
    if work.intent is None:
        flows: dict[str, Callable[..., tuple[Verdict, ...]]] = {"ingest": ingest, "score": score, "monitor": monitor}
        return (found, *flows[work.activity](name, as_of=now))
    if start_by_deployment(work.site, work.intent, now):
        return (found,)
    answer = retrain(name, intent=work.intent.id, as_of=now, reason=work.intent.reason)
    return (found, answer) if isinstance(answer, Verdict) else (found, *answer)
