"""Watching: drift and estimate of each due window, and the champion against the probe; each is written down.

What the labels say: windows.py. What follows from it all: report.py.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from prefect import task

from registry.ledger import Champion, Recorded
from registry.records import is_of_reign
from storage.snapshot import Snapshot
from tasks.champions import champion_bundle
from tasks.events import announce
from tasks.history import KEPT
from tasks.looking import Looked, View, against_probe, answered_windows, look, view_of
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.telling import note
from tasks.watch import Watch
from validation.durations import span
from validation.failpoints import reached
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict, Seen
from validation.watch.performance import PerformanceVerdict
from validation.watch.windows import estimated

REST = 0.1  # share of a window, at its end, that may be without rows in a batch that covers it


@task(task_run_name="drift", **PLAIN)
def judge_windows(watch: Watch, as_of: datetime) -> tuple[Looked, ...]:
    """Judge each monitoring window that is due and not judged yet, oldest first, against the champion's profile.

    A window is due when it lies before `as_of`, or when a scored batch covers it.
    """
    found = champion_bundle(watch.site)
    return () if found is None else tuple(_judged(watch, view_of(watch.site, *found), as_of))


@task(task_run_name="performance", **PLAIN)
def judge_performance(watch: Watch, snapshot: Snapshot | None, as_of: datetime) -> tuple[PerformanceVerdict, ...]:
    """Compare the champion with the probe on the newest mature rows that neither has seen; nothing new, no verdict."""
    site = watch.site
    found = champion_bundle(site)
    if found is None or snapshot is None or _is_judged(site, snapshot, found[0]):
        return ()
    verdict = against_probe(site, *found, snapshot, as_of)
    note(site, verdict, lease=watch.lease)
    return (verdict,)


def verdicts_of(looked: Sequence[Looked]) -> tuple[Verdict, ...]:
    """The drift verdicts alone."""
    return tuple(item.verdict for item in looked)


def _judged(watch: Watch, view: View, as_of: datetime) -> Iterator[Looked]:
    site = watch.site
    known = site.ledger.verdicts(site.name, kind="drift", limit=KEPT)
    previous = _seen(known, view.champion)
    judged = {item.subject for item in known}
    for start, rows in answered_windows(site, since=_resume(site, known, as_of), until=_horizon(site, as_of)):
        if start.isoformat() in judged:
            continue
        looked = look(view, rows, start=start, previous=previous, as_of=as_of)
        _write_down(watch, looked, start, as_of)
        _tell_the_world(site, looked.verdict, previous, as_of)
        previous.append(looked.verdict.seen)
        yield looked


def _write_down(watch: Watch, looked: Looked, start: datetime, as_of: datetime) -> None:
    """The estimate first: a window without its drift verdict is looked at again."""
    site = watch.site
    if looked.estimate is not None:
        rows, version = looked.counts.rows, looked.version
        note(
            site,
            estimated(
                pipeline=site.name, start=start, version=version, rows=rows, estimate=looked.estimate, as_of=as_of
            ),
            lease=watch.lease,
        )
    note(site, looked.verdict, lease=watch.lease)
    reached("monitor.window")


def _tell_the_world(site: Site, verdict: DriftVerdict, previous: Sequence[Seen], as_of: datetime) -> None:
    if verdict.outcome == "drift" and not (previous and previous[-1].outcome == "drift"):
        announce("drift.detected", site.name, as_of=as_of.isoformat(), reason=verdict.reasons[0])


def _seen(known: Sequence[Recorded], champion: Champion) -> list[Seen]:
    """An alarm was raised against the reference of its champion; a new one starts quiet."""
    mine = (item for item in known if is_of_reign(item, champion))
    return [Seen.from_body(item.subject, item.outcome, item.body) for item in mine]


def _is_judged(site: Site, snapshot: Snapshot, champion: Champion) -> bool:
    last = site.ledger.verdicts(site.name, kind="performance", limit=1)
    mark = (snapshot.id, champion.change.version)
    return bool(last) and (last[0].body["snapshot"], last[0].body["champion_version"]) == mark


def _resume(site: Site, known: Sequence[Recorded], as_of: datetime) -> datetime | None:
    """The end of the last window that was judged and is past; None when none was. One row far ahead of its time has its
    window judged, and must not hide those in between.
    """
    every = span(site.pipeline.monitor.every)
    starts = [datetime.fromisoformat(item.subject) for item in known]
    past = [start + every for start in starts if start + every <= as_of]
    return max(past) if past else min(starts, default=None)


def _horizon(site: Site, as_of: datetime) -> datetime:
    """Until when all rows are there: now, or the end of the last scored batch if that lies ahead. It need not have rows
    up to its very end; of a window that it covers in part the rest may come in the next one.
    """
    scored = site.ledger.verdicts(site.name, kind="score", limit=1)
    ahead = datetime.fromisoformat(scored[0].body["span"][1]) if scored and scored[0].body["span"] else as_of
    return max(as_of, ahead + REST * span(site.pipeline.monitor.every))
