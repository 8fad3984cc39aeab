"""The answer to the cord: train a challenger, let the gate judge it, promote it if it is proven better."""

from datetime import datetime

from prefect import flow

from tasks.challengers import train_challenger
from tasks.each import for_each
from tasks.orders import answering
from tasks.retrain import judge_challenger, register
from tasks.settling import settle
from tasks.site import Site, due_sites, moment
from tasks.telling import run_name
from tasks.waiting import heard
from validation.verdict import Verdict


@flow(name="retrain", flow_run_name=run_name)
def retrain(
    pipeline: str | None = None,
    intent: str | None = None,
    as_of: datetime | None = None,
    reason: str = "asked for by hand",
) -> Verdict | tuple[Verdict, ...]:
    """Answer an intent of the ledger, or retrain by hand when none is named.

    With a pipeline: its verdict (the gate's, or why nothing was trained). Without one: the verdicts of all pipelines
    that are due: those with an open intent, or without champion and intent. Two at once: one works, the other says so.
    """
    now = moment(as_of)
    verdicts = for_each("retrain", due_sites(pipeline), lambda site: [_answer(site, intent, now, reason)])
    return verdicts[0] if pipeline else verdicts


def _answer(site: Site, intent: str | None, now: datetime, reason: str) -> Verdict:
    """What is asked already is answered first; what the gate asks now is heard when the lease is given back."""
    return heard(site) or _worked(site, intent, now, reason)


def _worked(site: Site, intent: str | None, now: datetime, reason: str) -> Verdict:
    with answering(site, intent, now, reason) as order:
        if isinstance(order, Verdict):
            return order
        challenger = train_challenger(order)
        judged = judge_challenger(order, challenger)
        verdict = settle(order, register(order, judged))
    return heard(site) or verdict
