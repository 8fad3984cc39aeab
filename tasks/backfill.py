"""Looking back: what would the monitor decide about past windows, by the rules and the labels of now? Writes nothing.

Each window is judged against the champion that reigned then, on what was known then: of the ledger's own moment where
the monitor ran after the window, of the window's end where it did not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from prefect import task

from modelling import bundle
from registry.ledger import Champion, Recorded
from storage.logged import extent
from tasks.champions import bundle_folder
from tasks.looking import Looked, View, against_probe, answered_windows, look, view_of
from tasks.policies import PLAIN
from tasks.site import Site, moment
from tasks.taking import question, take
from tasks.told import Told, drift_differs, performance_differs, report_differs, told_of
from validation.durations import span
from validation.errors import DefinitionError, NoChampionError
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict, Seen
from validation.watch.performance import PerformanceVerdict
from validation.watch.trigger import EstimatedLoss, Reason, reason_to_retrain

WARM_UP = 14  # windows before the span that are judged too, for the alarm's state at its beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed(Verdict):
    """A past window judged again; outcome "would ask" (for a retrain) or "no reason". Never written to the ledger.

    `champion_version`: who reigned then. `performance`: None where no newer label was known than for the window before.
    `by`: what the reason rests on, "" without one. `differs`: where the ledger, which decided then, says something
    else; empty where it says the same.
    """

    kind: ClassVar[str] = "recomputed"

    champion_version: str
    drift: DriftVerdict
    performance: PerformanceVerdict | None
    by: str = ""
    differs: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class _Past:
    """What goes from window to window: the reign and what was seen in it, views of champions, the newest snapshot."""

    site: Site
    told: Told
    views: dict[int, View] = field(default_factory=dict)
    epoch: int = 0
    previous: list[Seen] = field(default_factory=list)
    compared: tuple[str, str] = ("", "")

    def view(self, champion: Champion) -> View:
        """The champion's bundle and reference; fetched when they are not on this machine."""
        if champion.epoch not in self.views:
            folder = bundle_folder(self.site, champion.change)
            loaded = bundle.load(folder, sha256=champion.change.bundle_sha256)
            self.views[champion.epoch] = view_of(self.site, champion, loaded)
        return self.views[champion.epoch]


@task(task_run_name="look back", **PLAIN)
def look_back(site: Site, since: datetime | None, until: datetime | None, as_of: datetime) -> tuple[Verdict, ...]:
    """See `recompute`."""
    return recompute(site, since, until, as_of)


def recompute(site: Site, since: datetime | None, until: datetime | None, as_of: datetime) -> tuple[Verdict, ...]:
    """Each window of [since, until) that has predictions and was over by `as_of`, oldest first, judged again.

    A naive moment is UTC; without `until`, it is `as_of`. DefinitionError for a span that is none or has no
    predictions, NoChampionError when it lies before the first champion.
    """
    start, end = _span(site, since, until, as_of)
    told = told_of(site)
    if not told.champions:
        raise NoChampionError(f"{site.name} has no champion yet; train one first: andon retrain {site.name}")
    found = tuple(_judged_again(_Past(site=site, told=told), start, min(end, as_of)))
    if not found:
        raise _nothing(site, told.champions[0], start, end)
    return found


def _judged_again(past: _Past, since: datetime, until: datetime) -> Iterator[Recomputed]:
    every = span(past.site.pipeline.monitor.every)
    for start, rows in answered_windows(past.site, since=since - WARM_UP * every, until=until):
        recorded = past.told.drift.get(start.isoformat())
        champion = past.told.reigning(start + every, recorded)
        if champion.epoch != past.epoch:  # an alarm was raised against the reference of its champion
            past.epoch, past.previous = champion.epoch, []
        looked = look(past.view(champion), rows, start=start, previous=past.previous, as_of=start + every)
        past.previous.append(looked.verdict.seen)
        if start >= since:
            yield _as_decided(past, champion, looked, recorded, end=start + every)


def _as_decided(
    past: _Past, champion: Champion, looked: Looked, recorded: Recorded | None, *, end: datetime
) -> Recomputed:
    drift, then = looked.verdict, past.told.performance_after(end, span(past.site.pipeline.monitor.every))
    as_of = then.data_time if then else end
    performance = _performance(past, past.told.reigning(end, then) if then else champion, as_of)
    reason = reason_to_retrain(performance, (drift,), estimate=_estimate(looked))
    differs = (*drift_differs(drift, recorded), *performance_differs(performance, then))
    rests_on = recorded if reason and reason.by in ("prediction drift", "estimate") else then
    differs += report_differs(reason, past.told.report_of(rests_on) if rests_on else None)
    return Recomputed(
        pipeline=drift.pipeline,
        subject=drift.subject,
        outcome="would ask" if reason else "no reason",
        reasons=(*_in_words(drift, champion, performance, reason), *(f"differs: {item}" for item in differs)),
        data_time=as_of,
        champion_version=champion.change.version,
        drift=drift,
        performance=performance,
        by=reason.by if reason else "",
        differs=differs,
    )


def _performance(past: _Past, champion: Champion, as_of: datetime) -> PerformanceVerdict | None:
    """None where nothing was known that was not known for the window before."""
    snapshot = take(past.site, question(past.site, as_of))
    if snapshot is None or (mark := (snapshot.id, champion.change.version)) == past.compared:
        return None
    past.compared = mark
    return against_probe(past.site, champion, past.view(champion).bundle, snapshot, as_of)


def _estimate(looked: Looked) -> EstimatedLoss | None:
    made = looked.estimate
    if made is None:
        return None
    return EstimatedLoss(
        window=looked.verdict.subject, loss=made.loss, lower=made.lower, upper=made.upper, usual=made.usual
    )


def _in_words(
    drift: DriftVerdict, champion: Champion, performance: PerformanceVerdict | None, reason: Reason | None
) -> tuple[str, ...]:
    labels = f"{performance.outcome}: {performance.reasons[0]}" if performance else "no newer label was known then"
    asked = (f"a retrain would have been asked for: {reason.sentence}",) if reason else ()
    return (f"version {champion.change.version}, {drift.outcome}: {drift.reasons[0]}", labels, *asked)


def _span(site: Site, since: datetime | None, until: datetime | None, as_of: datetime) -> tuple[datetime, datetime]:
    """Whole windows: `since` is moved to the beginning of its window."""
    if since is None:
        raise DefinitionError(f"nobody said from when on; say it: andon monitor {site.name} --from DATE --to DATE")
    start, end = moment(since), moment(until or as_of)
    if start >= end:
        raise DefinitionError(
            f"the span from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is empty: --from must lie before --to"
        )
    return _window_of(site, start), end


def _window_of(site: Site, when: datetime) -> datetime:
    from polars import Series

    begins: datetime = Series([when]).dt.truncate(span(site.pipeline.monitor.every))[0]
    return begins


def _nothing(site: Site, first: Champion, start: datetime, end: datetime) -> Exception:
    asked = f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    crowned = first.change.data_time
    if end <= crowned:
        return NoChampionError(
            f"{site.name} had no champion {asked}: its first came on {crowned:%Y-%m-%d %H:%M}; ask from then on"
        )
    found = extent(site.lake.predictions(site.name), time=site.pipeline.spec.time)
    there = (
        "nothing is logged at all"
        if found is None
        else f"they are there from {found[0]:%Y-%m-%d %H:%M} to {found[1]:%Y-%m-%d %H:%M}"
    )
    return DefinitionError(f"{site.name} has no whole window with predictions {asked}; {there}: ask for a span of it")
