"""The cord: has the data moved, is the champion stale, and is a retrain worth it? Asks for it, never does it."""

from datetime import datetime

from prefect import flow

from tasks.monitor import ask_for_retrain, judge_performance, judge_windows
from tasks.site import moment, open_sites
from tasks.snapshots import take_snapshot
from tasks.telling import run_name, tell
from validation.verdict import Verdict


@flow(name="monitor", flow_run_name=run_name)
def monitor(pipeline: str | None = None, as_of: datetime | None = None) -> tuple[Verdict, ...]:
    """Judge the windows that are due, the champion against a cheap refit, and ask for a retrain where it is worth it.

    Returns the drift verdicts of new windows, the performance verdict and, where a retrain was asked for, the
    governor's answer. A window is judged once.
    """
    now = moment(as_of)
    verdicts: list[Verdict] = []
    for site in open_sites(pipeline):
        drift = judge_windows(site, now)
        snapshot = take_snapshot(site, now)
        performance = judge_performance(site, snapshot, now)
        verdicts += [*drift, *performance, *ask_for_retrain(site, snapshot, drift, performance, now)]
    tell("monitor", verdicts)
    return tuple(verdicts)
