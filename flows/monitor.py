"""The cord: has the data moved, is the champion stale, and is a retrain worth it? Asks for it, never does it."""

from datetime import datetime

from prefect import flow

from tasks.backfill import look_back
from tasks.each import for_each
from tasks.incidents import raise_incidents
from tasks.monitor import judge_performance, judge_windows, verdicts_of
from tasks.pages import show_windows
from tasks.report import ask_for_retrain, ask_from_outside, report
from tasks.site import Site, moment, open_sites
from tasks.snapshots import take_snapshot
from tasks.telling import run_name
from tasks.watch import watching
from tasks.windows import judge_labels
from validation.verdict import Verdict


@flow(name="monitor", flow_run_name=run_name)
def monitor(
    pipeline: str | None = None,
    as_of: datetime | None = None,
    reason: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Verdict, ...]:
    """Judge the windows that are due, the champion against a cheap refit, and ask for a retrain where it is worth it.

    Returns the drift verdicts of new windows, what labels say of earlier ones, the performance verdict, the governor's
    answer where a retrain was asked for, and the report. A window is judged once. `reason`: somebody outside has seen
    drift and asks for a retrain; the governor answers this wish as any other. With `since` (and `until`) it looks back
    on the windows between: what would be decided about them now; nothing is written down or asked for.
    """
    now = moment(as_of)
    if since or until:
        return for_each("monitor", open_sites(pipeline), lambda site: look_back(site, since, until, now))
    return for_each("monitor", open_sites(pipeline), lambda site: _watch(site, now, reason))


def _watch(site: Site, now: datetime, reason: str | None) -> tuple[Verdict, ...]:
    with watching(site, now) as watch:
        if isinstance(watch, Verdict):
            return (watch, *ask_from_outside(site, reason, now)) if reason else (watch,)
        looked = judge_windows(watch, now)
        snapshot = take_snapshot(site, now)
        windows = judge_labels(watch, snapshot, now)
        performance = judge_performance(watch, snapshot, now)
        asked = ask_for_retrain(watch, snapshot, now, told=reason)
        page = show_windows(watch, looked, now)
        told = raise_incidents(watch, now, link=page)
        return (*verdicts_of(looked), *windows, *performance, *asked.answers, *told, *report(watch, asked, now))
