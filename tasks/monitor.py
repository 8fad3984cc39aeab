"""Watching: drift of each due window, and the champion against the probe. What follows from it: report.py."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from prefect import task

from modelling.bundle import Bundle
from modelling.metrics import row_losses
from modelling.probe import probe
from registry.ledger import Champion, Lease, Recorded
from storage.prediction_log import read_predictions
from storage.snapshot import Snapshot
from tasks.champions import champion_bundle
from tasks.events import announce
from tasks.history import KEPT
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.telling import note
from tasks.watch import Watch
from validation.durations import span
from validation.failpoints import reached
from validation.watch import drift, performance
from validation.watch.counting import count_window
from validation.watch.drift import PREDICTION, DriftVerdict, Seen
from validation.watch.performance import PerformanceVerdict
from validation.watch.profile import Profile, as_profiled

_DAY_SECONDS = 24 * 60 * 60


@task(task_run_name="drift", **PLAIN)
def judge_windows(watch: Watch, as_of: datetime) -> tuple[DriftVerdict, ...]:
    """Judge each monitoring window that is due and not judged yet, oldest first, against the champion's profile.

    A window is due when it lies before `as_of`, or when a scored batch covers it.
    """
    found = champion_bundle(watch.site)
    return () if found is None else tuple(_judged(watch.site, *found, watch.lease, as_of))


@task(task_run_name="performance", **PLAIN)
def judge_performance(watch: Watch, snapshot: Snapshot | None, as_of: datetime) -> tuple[PerformanceVerdict, ...]:
    """Compare the champion with the probe on the newest mature rows that neither has seen; nothing new, no verdict."""
    site = watch.site
    found = champion_bundle(site)
    if found is None or snapshot is None or _is_judged(site, snapshot, found[0]):
        return ()
    champion, bundle = found
    policy, spec = site.pipeline.monitor, site.pipeline.spec
    start = max(snapshot.until - span(policy.evidence), champion.change.trained_until)
    rows = snapshot.rows.filter(pl.col(spec.time) >= start)
    label, prediction = bundle.labels(rows), bundle.predict(rows)
    refit = probe(
        spec,
        snapshot.rows,
        recipe=bundle.manifest.recipe,
        evidence=policy.evidence,
        gap=site.pipeline.labels.matures_after,
        since=champion.change.trained_until,
        seed=site.pipeline.search.seed,
        threads=site.pipeline.search.threads,
    )
    losses = None if refit is None else row_losses(spec.task, spec.metric, refit.labels(rows), refit.predict(rows))
    verdict = performance.judge(
        pipeline=site.name,
        window_start=start,
        champion_loss=row_losses(spec.task, spec.metric, label, prediction),
        probe_loss=losses,
        blocks=days(rows[spec.time]),
        label=label,
        prediction=prediction,
        coverage=snapshot.coverage(since=start),
        policy=policy,
        min_coverage=site.pipeline.labels.min_coverage,
        as_of=as_of,
    )
    verdict = replace(verdict, snapshot=snapshot.id, champion_version=champion.change.version)
    note(site, verdict, lease=watch.lease)
    return (verdict,)


def days(moments: pl.Series) -> npt.NDArray[np.int64]:
    """How many whole days each moment lies before the newest: the blocks in which losses are summed."""
    seconds: npt.NDArray[np.int64] = moments.dt.epoch("s").to_numpy()
    before: npt.NDArray[np.int64] = (seconds.max(initial=0) - seconds) // _DAY_SECONDS
    return before


def _judged(site: Site, champion: Champion, bundle: Bundle, lease: Lease, as_of: datetime) -> Iterator[DriftVerdict]:
    profile = Profile.from_json(bundle.profile_json)
    known = site.ledger.verdicts(site.name, kind="drift", limit=KEPT)
    logged = _logged(site, since=_resume(site, known))
    # An alarm was raised against the reference of its champion; a new one starts quiet.
    mine = [item for item in known if item.recorded_at >= champion.recorded_at]
    previous = [Seen.from_body(item.subject, item.outcome, item.body) for item in mine]
    for start, rows in _windows(site, logged, until=_horizon(site, as_of)):
        verdict = drift.judge(
            profile,
            count_window(_watched(site, bundle, rows), profile),
            pipeline=site.name,
            window_start=start,
            policy=site.pipeline.drift,
            previous=previous,
            as_of=as_of,
        )
        note(site, verdict, lease=lease)
        reached("monitor.window")
        if verdict.outcome == "drift" and all(before.outcome != "drift" for before in previous[-1:]):
            announce("drift.detected", site.name, as_of=as_of.isoformat(), reason=verdict.reasons[0])
        previous.append(verdict.seen)
        yield verdict


def _is_judged(site: Site, snapshot: Snapshot, champion: Champion) -> bool:
    last = site.ledger.verdicts(site.name, kind="performance", limit=1)
    mark = (snapshot.id, champion.change.version)
    return bool(last) and (last[0].body["snapshot"], last[0].body["champion_version"]) == mark


def _logged(site: Site, *, since: datetime | None) -> pl.DataFrame:
    spec = site.pipeline.spec
    folder = site.lake.predictions(site.name)
    return read_predictions(folder, site.pipeline.raw_schema, key=spec.key, time=spec.time, since=since)


def _resume(site: Site, known: Sequence[Recorded]) -> datetime | None:
    """The end of the last window that was judged; None when none was."""
    starts = [datetime.fromisoformat(item.subject) for item in known]
    return max(starts) + span(site.pipeline.monitor.every) if starts else None


def _horizon(site: Site, as_of: datetime) -> datetime:
    """Until when all rows are there: now, or the end of the last scored batch if that lies ahead."""
    scored = site.ledger.verdicts(site.name, kind="score", limit=1)
    ahead = datetime.fromisoformat(scored[0].body["span"][1]) if scored and scored[0].body["span"] else as_of
    return max(as_of, ahead + span(site.pipeline.monitor.every) - timedelta(microseconds=1))


def _windows(site: Site, logged: pl.DataFrame, *, until: datetime) -> list[tuple[datetime, pl.DataFrame]]:
    """The rows of each window that ends by `until`, in order."""
    every, time = span(site.pipeline.monitor.every), site.pipeline.spec.time
    starts = logged.with_columns(_window=pl.col(time).dt.truncate(every))
    parts = starts.partition_by("_window", as_dict=True, include_key=False, maintain_order=True)
    return [(start, rows) for (start,), rows in sorted(parts.items()) if start + every <= until]


def _watched(site: Site, bundle: Bundle, rows: pl.DataFrame) -> pl.DataFrame:
    """The model's inputs as the bundle's own features make them, the prediction, and the time."""
    inputs = bundle.inputs(rows)
    return inputs.with_columns(as_profiled(rows["prediction"]).alias(PREDICTION), rows[site.pipeline.spec.time])
