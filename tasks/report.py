"""What the monitor has found since it last reported: the request to retrain that may follow, and the report.

A monitor that is killed leaves its findings in the ledger, and no report; the next one goes on from there, and
reconcile sees that it is due.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prefect import task

from registry.ledger import Recorded
from storage.snapshot import Snapshot
from tasks.history import since_report
from tasks.policies import PLAIN
from tasks.requests import request
from tasks.rows import as_verdict
from tasks.site import Site
from tasks.snapshots import take_snapshot
from tasks.telling import note
from tasks.watch import Watch
from validation.deeds import Watched
from validation.failpoints import reached
from validation.governor import GovernorVerdict
from validation.watch.drift import DriftVerdict
from validation.watch.performance import PerformanceVerdict
from validation.watch.trigger import EstimatedLoss, reason_to_retrain


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whether a retrain was asked for (`why`, a sentence; None: there is no reason), and what the governor answered."""

    why: str | None
    answers: tuple[GovernorVerdict, ...] = ()


@task(task_run_name="ask for a retrain", **PLAIN)
def ask_for_retrain(watch: Watch, snapshot: Snapshot | None, as_of: datetime, *, told: str | None) -> Asked:
    """Ask when the findings give a reason to, when somebody outside does (`told`), or when there is no champion yet."""
    site = watch.site
    why = _why(site, snapshot, since_report(site.ledger, site.name), told)
    reached("monitor.judged")
    return Asked(why=why, answers=() if why is None else request(site, snapshot, why, as_of))


@task(task_run_name="pass a wish on", **PLAIN)
def ask_from_outside(site: Site, told: str, as_of: datetime) -> tuple[GovernorVerdict, ...]:
    """The governor's answer to somebody outside, while another process watches the pipeline and does not know of it."""
    return request(site, take_snapshot(site, as_of), _from_outside(told), as_of)


@task(task_run_name="report", **PLAIN)
def report(watch: Watch, asked: Asked, as_of: datetime) -> tuple[Watched, ...]:
    """Write down that all that was found has been acted upon: the monitor's last deed. Nothing found, no report."""
    found = since_report(watch.site.ledger, watch.site.name)
    if not found:
        return ()
    outcomes = Counter(f"{row.kind} {row.outcome}" for row in found if row.kind != "score")
    told = ", ".join(f"{outcome} ({count})" for outcome, count in outcomes.items()) or "no window is due"
    verdict = Watched(
        pipeline=watch.site.name,
        subject=as_of.isoformat(),
        outcome="reported",
        reasons=(f"{told}; {'no reason to retrain' if asked.why is None else 'a retrain was asked for'}",),
        data_time=as_of,
        scored=watch.seen,
    )
    note(watch.site, verdict, lease=watch.lease)
    return (verdict,)


def _why(site: Site, snapshot: Snapshot | None, found: Sequence[Recorded], told: str | None) -> str | None:
    if site.ledger.champion(site.name) is None and snapshot is not None and snapshot.rows.height:
        return "there is no champion yet"
    if told:
        return _from_outside(told)
    of = {kind: [row for row in found if row.kind == kind] for kind in ("performance", "drift", "window")}
    reason = reason_to_retrain(
        as_verdict(of["performance"][-1], PerformanceVerdict) if of["performance"] else None,
        [as_verdict(row, DriftVerdict) for row in of["drift"]],
        estimate=_estimate(of["window"]),
    )
    return reason.sentence if reason else None


def _from_outside(told: str) -> str:
    return f"told from outside: {told}"


def _estimate(windows: Sequence[Recorded]) -> EstimatedLoss | None:
    """Of the newest of these windows whose labels have not come."""
    waiting = [row for row in windows if row.outcome == "estimated" and row.body.get("estimate")]
    if not waiting:
        return None
    newest = max(waiting, key=lambda row: row.subject)
    body = newest.body["estimate"]
    numbers = {name: body.get(name) for name in ("loss", "lower", "upper")}
    if None in numbers.values():
        return None
    return EstimatedLoss(window=newest.subject, usual=body.get("usual"), **numbers)
