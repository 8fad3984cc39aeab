"""The sweep: what should be, by the ledger, against what is; the difference is repaired, and told."""

from collections.abc import Callable, Sequence
from datetime import datetime

from prefect import flow

from tasks.deferrals import reexamine
from tasks.each import for_each
from tasks.leftovers import clear_up
from tasks.reconcile import Unfinished, carry_out_answers, in_turn, resumed, start_by_deployment, unfinished
from tasks.repairs import repair, waiting
from tasks.rollout import roll_out
from tasks.silence import watch_the_monitor
from tasks.site import Site, moment, open_sites
from tasks.telling import run_name
from tasks.upkeep import look_after
from validation.verdict import Verdict


@flow(name="reconcile", flow_run_name=run_name)
def reconcile(pipeline: str | None = None, as_of: datetime | None = None) -> tuple[Verdict, ...]:
    """Finish whatever was interrupted. Idempotent; safe to run twice at once. Returns what it found and did."""
    now = moment(as_of)
    return for_each("reconcile", open_sites(pipeline), lambda site: _sweep(site, now))


def _sweep(site: Site, now: datetime) -> list[Verdict]:
    """Small repairs, answers of people, what takes over, deferred wishes; then the work, what is left of it, and is all
    watched? Who is waited for.
    """
    steps: tuple[Callable[[Site, datetime], Sequence[Verdict]], ...] = (
        repair, carry_out_answers, roll_out, reexamine, _finish, clear_up, look_after, watch_the_monitor, waiting,
    )  # fmt: skip
    return in_turn(steps, lambda step: step(site, now))


def _finish(site: Site, now: datetime) -> list[Verdict]:
    return in_turn(unfinished(site), lambda work: _resume(work, now))


def _resume(work: Unfinished, now: datetime) -> tuple[Verdict, ...]:
    """Do the unfinished work: what takes long by the deployment where a server has it, otherwise here."""
    from flows.ingest import ingest
    from flows.monitor import monitor
    from flows.retrain import retrain
    from flows.score import score

    name, started = work.site.name, False
    if work.intent is None:
        flows: dict[str, Callable[..., tuple[Verdict, ...]]] = {"ingest": ingest, "score": score, "monitor": monitor}
        done = flows[work.activity](name, as_of=now)
    elif started := not work.judged and start_by_deployment(work.site, work.intent, now):
        done = ()
    else:
        answer = retrain(name, intent=work.intent.id, as_of=now, reason=work.intent.reason)
        done = (answer,) if isinstance(answer, Verdict) else answer
    return (resumed(work, now, by="a flow run that was started" if started else "this sweep"), *done)
