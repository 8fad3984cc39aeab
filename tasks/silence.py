"""The monitor of the monitor: what was scored and not watched in time is an alarm, and a log that cannot be read.

Raised and closed by the sweep, which runs by itself. Patience is on the ledger's clock, from what has happened there:
a replay of last year is no silence as long as it is watched as fast as it is scored, and where nothing comes nothing is
due. It never watches in the monitor's place; that is what the sweep's step before it does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from registry.ledger import Champion
from storage.log_check import SUFFIXES, Unreadable, log_files, unreadable
from storage.logged import PARQUET
from tasks.alerts import deliver_waiting
from tasks.history import KEPT, since_report, unscored
from tasks.incidents import open_incidents, record
from tasks.leases import holding
from tasks.repairs import at_work
from tasks.site import Site
from validation.durations import span
from validation.verdict import Verdict
from validation.watch.incidents import Finding, Incident, IncidentKind, next_incidents
from validation.watch.telling import when

RAISING = "incidents"  # the lease's activity
_KINDS: tuple[IncidentKind, ...] = ("silence", "unreadable data")
_OVER: dict[IncidentKind, str] = {
    "silence": "the monitor has reported on all that was scored",
    "unreadable data": "all files can be read again, or were taken away",
}
_LOOKED_BACK = timedelta(days=1)  # before the newest report: files from before were read by the monitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """What has not been done, in a word and in a sentence, and since when it could have been, by the ledger's clock."""

    what: str
    since: datetime
    sentence: str


def watch_the_monitor(site: Site, as_of: datetime) -> tuple[Verdict, ...]:
    """Raise, change or close what concerns the monitor itself; then tell whatever has not been told."""
    found: tuple[Incident, ...] = ()
    if _news(site, as_of):
        with holding(site, RAISING) as lease:
            if lease is not None:  # else another sweep is at it
                found = _news(site, as_of)
                record(site, found, lease=lease)
    return (*found, *deliver_waiting(site, as_of))


def _news(site: Site, as_of: datetime) -> tuple[Incident, ...]:
    champion, known = site.ledger.champion(site.name), open_incidents(site, *_KINDS)
    if champion is None:
        return next_incidents(known, (), pipeline=site.name, as_of=as_of, over=_OVER)
    broken = list(unreadable(_suspects(site, known)))
    found = (*_unreadable(site, broken), *_silence(site, champion, as_of, is_broken=bool(broken)))
    return next_incidents(known, found, pipeline=site.name, as_of=as_of, over=_OVER)


def _suspects(site: Site, known: Sequence[Incident]) -> list[Path]:
    """The files to be looked at: those that are new to the monitor, and those that were told; all when it fails."""
    folder = site.lake.predictions(site.name)
    if since_report(site.ledger, site.name) and not at_work(site, "monitor"):
        return list(log_files(folder))
    reports = site.ledger.verdicts(site.name, kind="watch", limit=1)
    new = log_files(folder, changed_after=reports[0].recorded_at - _LOOKED_BACK) if reports else ()
    told = {folder / name for row in known for name in row.told if name.endswith(SUFFIXES)}
    return sorted({*new, *told})


def _unreadable(site: Site, broken: Sequence[Unreadable]) -> Iterator[Finding]:
    if not broken:
        return
    many = f"{len(broken)} files" if len(broken) > 1 else "a file"
    yield Finding(
        kind="unreadable data",
        about=broken[0].name,
        title=f"{many} of the prediction log cannot be read",
        lines=tuple(f"{item.name} {item.why}" for item in broken),
        names=tuple(item.name for item in broken),
        cause="the disk, or a program that has written into the log's folder",
        doing=(
            f"no window is judged from these files; put good copies back into {site.lake.predictions(site.name)}, or "
            "move them out of it: what was answered in them is then not known to the monitor"
        ),
        severity="a person must act",
    )


def _silence(site: Site, champion: Champion, as_of: datetime, *, is_broken: bool) -> Iterator[Finding]:
    now = site.ledger.now()
    told = [item for item in _overdue(site, champion, as_of) if now - item.since > site.settings.silence]
    if not told:
        return
    busy = at_work(site, "monitor")
    cause = (
        "a monitor is at work and does not come to its end" if busy else "the monitor does not run, or fails each time"
    )
    yield Finding(
        kind="silence",
        about=told[0].since.isoformat(),
        title="what is answered is not watched: the monitor is silent",
        lines=tuple(item.sentence for item in told),
        names=tuple(item.what for item in told),
        cause="it cannot read the prediction log" if is_broken else cause,
        doing=(
            f"predictions are served on, and each sweep tries again; see why it fails: andon --verbose monitor "
            f"{site.name}, and what is missing: andon check"
        ),
        severity="a person must act",
        since=min(item.since for item in told).isoformat(),
    )


def _overdue(site: Site, champion: Champion, as_of: datetime) -> Iterator[Overdue]:
    """What should have been done by now, and since when, on the ledger's clock."""
    if found := since_report(site.ledger, site.name):
        first = min(row.recorded_at for row in found)
        scored = sum(row.kind == "score" for row in found)
        what = f"{scored} scored batches have" if scored > 1 else "a scored batch has" if scored else "findings have"
        yield Overdue(what="report", since=first, sentence=f"{what} had no report since {when(first.isoformat())}")
    if batches := unscored(site.ledger, site.name):
        first = min(batch.recorded_at for batch in batches)
        many = f"{len(batches)} accepted batches have" if len(batches) > 1 else "an accepted batch has"
        yield Overdue(what="score", since=first, sentence=f"{many} had no predictions since {when(first.isoformat())}")
    if alive := _unwatched_since(site, champion, as_of):
        told = f"requests are answered and no window of them was judged since {when(alive.isoformat())}"
        yield Overdue(what="log", since=alive, sentence=told)


def _unwatched_since(site: Site, champion: Champion, as_of: datetime) -> datetime | None:
    """The newest sign of life, where the log was fed a whole window longer, of windows that are past and not judged.

    By the files' own time first, so that a log that nothing is added to, as after a replay, costs nothing.
    """
    every, time = span(site.pipeline.monitor.every), site.pipeline.spec.time
    kinds = ("watch", "drift")
    signs = [row.recorded_at for kind in kinds for row in site.ledger.verdicts(site.name, kind=kind, limit=1)]
    alive = max((champion.recorded_at, *signs))
    patience = every + site.settings.silence
    if site.ledger.now() - alive <= patience:
        return None
    files = [path for path in log_files(site.lake.predictions(site.name)) if path.suffix == PARQUET]
    fed = [path for path in files if path.stat().st_mtime > (alive + patience).timestamp()]
    windows = [datetime.fromisoformat(row.subject) for row in site.ledger.verdicts(site.name, kind="drift", limit=KEPT)]
    past = pl.col(time) < pl.lit(as_of).dt.truncate(every)
    due = past & (pl.col(time) >= max(windows) + every) if windows else past
    try:
        return (
            alive
            if any(pl.scan_parquet(path, glob=False).filter(due).head(1).collect().height for path in fed)
            else None
        )
    except (OSError, pl.exceptions.PolarsError):  # told as unreadable
        return None
