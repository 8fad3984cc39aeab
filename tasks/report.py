"""What the monitor has found since it last reported: the request to retrain that may follow, and the report.

A monitor that is killed leaves its findings in the ledger, and no report; the next one goes on from there, and
reconcile sees that it is due.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prefect import task

from registry.ledger import Recorded
from storage.snapshot import Snapshot
from tasks.history import since_report
from tasks.policies import PLAIN
from tasks.requests import request
from tasks.telling import note
from tasks.watch import Watch
from validation.deeds import Watched
from validation.failpoints import reached
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict
from validation.watch.findings import FeatureDrift
from validation.watch.performance import PerformanceVerdict
from validation.watch.trigger import reason_to_retrain


@task(task_run_name="ask for a retrain", **PLAIN)
def ask_for_retrain(
    watch: Watch, snapshot: Snapshot | None, as_of: datetime, *, told: str | None
) -> tuple[Verdict, ...]:
    """Ask when the findings give a reason to, when somebody outside does (`told`), or when there is no champion yet;
    then report. Returns the governor's answer and the report.
    """
    site = watch.site
    found = since_report(site.ledger, site.name)
    judged = [_performance(row) for row in found if row.kind == "performance"]
    found_reason = reason_to_retrain(
        judged[-1] if judged else None, [_drift(row) for row in found if row.kind == "drift"]
    )
    reason = found_reason.sentence if found_reason else None
    if told:
        reason = f"told from outside: {told}"
    if site.ledger.champion(site.name) is None and snapshot is not None and snapshot.rows.height:
        reason = "there is no champion yet"
    reached("monitor.judged")
    asked = () if reason is None else request(site, snapshot, reason, as_of)
    return (*asked, *_report(watch, found, reason, as_of))


def _report(watch: Watch, found: Sequence[Recorded], reason: str | None, as_of: datetime) -> tuple[Watched, ...]:
    if not found:
        return ()
    outcomes = Counter(f"{row.kind} {row.outcome}" for row in found if row.kind != "score")
    told = ", ".join(f"{outcome} ({count})" for outcome, count in outcomes.items()) or "no window is due"
    verdict = Watched(
        pipeline=watch.site.name,
        subject=as_of.isoformat(),
        outcome="reported",
        reasons=(f"{told}; {'no reason to retrain' if reason is None else 'a retrain was asked for'}",),
        data_time=as_of,
        scored=watch.seen,
    )
    note(watch.site, verdict, lease=watch.lease)
    return (verdict,)


def _drift(row: Recorded) -> DriftVerdict:
    features = tuple(FeatureDrift(**_numbers(item, but="cause")) for item in row.body["features"])
    return DriftVerdict(**{**_numbers(row.body), **_common(row), "features": features})


def _performance(row: Recorded) -> PerformanceVerdict:
    return PerformanceVerdict(**{**row.body, **_common(row)})


def _common(row: Recorded) -> dict[str, Any]:
    return {"reasons": row.reasons, "data_time": row.data_time}


def _numbers(body: Any, *, but: str = "") -> dict[str, Any]:
    """The ledger holds null for numbers that JSON does not know."""
    return {name: math.nan if value is None and name != but else value for name, value in body.items()}
