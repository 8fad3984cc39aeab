"""Looking at what was answered, without writing anything down: one window against its champion's reference, and the
champion against the probe. The monitor writes down what it sees; a backfill only tells it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from modelling.bundle import Bundle
from modelling.estimator import Estimator
from modelling.metrics import row_losses
from modelling.refitting import probe
from modelling.splits import days, split
from registry.ledger import Champion
from storage.prediction_log import read_predictions
from storage.snapshot import Snapshot
from tasks.apart import apart, own, ready
from tasks.plans import earlier_rungs
from tasks.site import Site
from tasks.telling import log
from validation.durations import span
from validation.errors import TrainingFailedError
from validation.watch import drift, performance
from validation.watch.counting import WindowCounts, count_window
from validation.watch.drift import PREDICTION, DriftVerdict, Prepared, Seen
from validation.watch.estimates import Estimate
from validation.watch.performance import PerformanceVerdict
from validation.watch.profile import Profile, as_profiled

AT_ONCE = 31  # windows whose rows are in memory together
_LONGEST = 500  # characters of a reason


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What a window is looked at with: a champion's bundle, its reference, and its estimator, if it has one."""

    site: Site
    champion: Champion
    bundle: Bundle
    profile: Profile
    prepared: Prepared
    estimator: Estimator | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """What was seen in a window. `estimate`: of its loss, None where the champion has no estimator."""

    verdict: DriftVerdict
    counts: WindowCounts
    profile: Profile
    estimate: Estimate | None
    version: str


def view_of(site: Site, champion: Champion, bundle: Bundle) -> View:
    """Read the champion's reference, once for all windows."""
    told, profile = bundle.estimator_json, Profile.from_json(bundle.profile_json)
    return View(
        site=site,
        champion=champion,
        bundle=bundle,
        profile=profile,
        prepared=drift.prepared(profile),
        estimator=None if told is None else Estimator.from_json(told),
    )


def look(view: View, rows: pl.DataFrame, *, start: datetime, previous: Sequence[Seen], as_of: datetime) -> Looked:
    """Judge the rows that were answered in the window from `start` on."""
    inputs = view.bundle.inputs(rows)
    watched = inputs.with_columns(as_profiled(rows["prediction"]).alias(PREDICTION))
    counts = count_window(watched, view.profile)
    verdict = drift.judge(
        view.prepared,
        counts,
        pipeline=view.site.name,
        window_start=start,
        policy=view.site.pipeline.drift,
        previous=previous,
        as_of=as_of,
    )
    estimate = None if view.estimator is None else view.estimator.estimate(inputs, rows["prediction"].to_numpy())
    version = view.champion.change.version
    verdict = replace(verdict, epoch=view.champion.epoch)
    return Looked(verdict=verdict, counts=counts, profile=view.profile, estimate=estimate, version=version)


def answered_windows(site: Site, *, since: datetime | None, until: datetime) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """The rows of each window with rows that begins at or after `since` and ends by `until`, in order."""
    every, time = span(site.pipeline.monitor.every), site.pipeline.spec.time
    while True:
        last = until if since is None else min(until, since + AT_ONCE * every)
        rows = _answered(site, since=since, until=last).with_columns(_window=pl.col(time).dt.truncate(every))
        parts = rows.partition_by("_window", as_dict=True, include_key=False, maintain_order=True)
        yield from ((start, part) for (start,), part in sorted(parts.items()) if start + every <= until)
        if last >= until:
            return
        since = last


def against_probe(
    site: Site, champion: Champion, bundle: Bundle, snapshot: Snapshot, as_of: datetime
) -> PerformanceVerdict:
    """The champion and the probe on the newest mature rows that neither has seen."""
    policy, spec = site.pipeline.monitor, site.pipeline.spec
    since = champion.change.trained_until
    start = max(snapshot.until - span(policy.evidence), since)
    rows = snapshot.rows.filter(pl.col(spec.time) >= start)
    label, prediction = bundle.labels(rows), bundle.predict(rows)
    losses, failed = _probed(site, bundle, snapshot, rows, since)
    verdict = performance.judge(
        pipeline=site.name,
        window_start=start,
        champion_loss=row_losses(spec.task, spec.metric, label, prediction),
        probe_loss=losses,
        blocks=days(rows[spec.time]),
        label=label,
        prediction=prediction,
        task=spec.task,
        coverage=snapshot.coverage(since=start),
        policy=policy,
        min_coverage=site.pipeline.labels.min_coverage,
        as_of=as_of,
    )
    reasons = (*verdict.reasons, *failed)
    return replace(verdict, snapshot=snapshot.id, champion_version=champion.change.version, reasons=reasons)


def _probed(
    site: Site, bundle: Bundle, snapshot: Snapshot, rows: pl.DataFrame, since: datetime
) -> tuple[npt.NDArray[np.float64] | None, tuple[str, ...]]:
    """The probe's losses on `rows`. None where it would know nothing new, or where it failed, for the reason told."""
    pipeline, spec = site.pipeline, site.pipeline.spec
    evidence, gap = pipeline.monitor.evidence, pipeline.labels.matures_after
    parts = split(snapshot.rows, time=spec.time, holdout=evidence, gap=gap, train="all", holdout_from=since)
    if parts.shortfall or parts.trained_until <= since:
        return None, ()
    known, policy = ready(site, snapshot.rows), pipeline.search
    try:
        found = apart(
            site,
            probe,
            known.spec,
            known.rows,
            recipe=bundle.manifest.recipe.alone,
            evidence=evidence,
            gap=gap,
            since=since,
            seed=policy.seed,
            threads=policy.threads,
            earlier=earlier_rungs(site, bundle.manifest.recipe, None),
        )
    except TrainingFailedError as error:
        log.error("%s: the probe failed: %s", site.name, error)
        return None, (f"the probe could not be trained: {error}"[:_LONGEST],)
    if found is None:
        return None, ()
    model = own(site, found)
    return row_losses(spec.task, spec.metric, model.labels(rows), model.predict(rows)), ()


def _answered(site: Site, *, since: datetime | None, until: datetime) -> pl.DataFrame:
    spec, folder = site.pipeline.spec, site.lake.predictions(site.name)
    return read_predictions(folder, site.pipeline.raw_schema, key=spec.key, time=spec.time, since=since, until=until)
