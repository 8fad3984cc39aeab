"""The answer to the cord: train a challenger, let the gate judge it, promote it if it is proven better."""

from datetime import datetime
from functools import partial

from prefect import flow

from tasks.challengers import train_challenger
from tasks.each import for_each
from tasks.orders import Order, answered
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
    search: bool = False,  # noqa: FBT001, FBT002 - a parameter of the deployment, given by name
) -> Verdict | tuple[Verdict, ...]:
    """Answer an intent of the ledger, or retrain by hand when none is named.

    With a pipeline: its verdict (the gate's, or why nothing was trained). Without one: the verdicts of all pipelines
    that are due: those with an open intent, or without champion and intent. Two at once: one works, the other says so.
    `search`: look for a better recipe, whether that is due or not.
    """
    now = moment(as_of)
    answers = partial(_answer, intent=intent, now=now, reason=reason, search=search)
    verdicts = for_each("retrain", due_sites(pipeline), lambda site: [answers(site)])
    return verdicts[0] if pipeline else verdicts


def _answer(site: Site, intent: str | None, now: datetime, reason: str, *, search: bool) -> Verdict:
    """What is asked already is answered first; what the gate asks now is heard when the lease is given back."""
    return heard(site) or _worked(site, intent, now, reason, search=search)


def _worked(site: Site, intent: str | None, now: datetime, reason: str, *, search: bool) -> Verdict:
    verdict = answered(site, intent, now, reason, search=search, work=_steps)
    return heard(site) or verdict


def _steps(order: Order) -> Verdict:
    challenger = train_challenger(order)
    judged = judge_challenger(order, challenger)
    return settle(order, register(order, judged))
