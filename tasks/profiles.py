"""The reference that a new champion's windows are judged by: what drift is measured against, and what estimates."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

import polars as pl

from modelling.inputs import inputs_of
from modelling.model import Model
from modelling.refitting import Recent, Unseen
from modelling.splits import just_after
from storage.masking import LogPolicy
from storage.prediction_log import read_predictions
from tasks.site import Site
from validation.durations import span
from validation.watch.drift import PREDICTION
from validation.watch.profile import Profile, as_profiled, build_profile

# A window counts as answered by champions when they answered at least this share of its rows: of half a day, the other
# half may be quite different.
ANSWERED = 0.9
MAX_FOLD = 0.25  # of the training rows that a fold leaves out: a model that knew less would not be like the champion
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a bundle holds of it. `estimator_json` is None where nothing can be estimated, or nothing is to be."""

    profile_json: str
    estimator_json: str | None


def recent_of(site: Site, training: pl.DataFrame) -> Recent:
    """By which of these rows (raw ones, at least one) the windows of a model that is fitted on them will be judged."""
    pipeline = site.pipeline
    since, until = _extent(site, just_after(training, time=pipeline.spec.time))
    rows = training.filter(pl.col(pipeline.spec.time) >= since)
    every = span(pipeline.monitor.every)
    return Recent(
        since=since,
        until=until,
        inputs=_logged_inputs(site, rows),
        windows=((rows[pipeline.spec.time] - since).dt.total_microseconds() // (every // _TICK)).to_numpy(),
        folds=max(2, ceil(rows.height / training.height / MAX_FOLD)),
        gap=span(pipeline.labels.matures_after),
    )


def reference_of(site: Site, model: Model, rows: pl.DataFrame, *, unseen: Unseen | None = None) -> Reference:
    """Profile of the model's inputs over the last windows of `rows`, and of the predictions of that time.

    `unseen`: what models of its recipe said to its newest rows without knowing them, when it may become champion.
    None: it is kept for the record alone.

    NOTE: a model's own scores of rows it was trained on are sharper than those that it will give. So the reference of
    the prediction is what champions answered in those windows; where they did not, what cross-fitted models say. What
    estimates the performance is made of the latter alone: it must know what this recipe's scores mean.
    """
    spec = site.pipeline.spec
    since, until = _extent(site, model.trained_until)
    recent = rows.filter(pl.col(spec.time) >= since)
    profile = _profile(site, _logged_inputs(site, recent).with_columns(recent[spec.time]), until)
    fitted = None if unseen is None else _fitted(unseen)
    scores = _profile(site, _predictions(site, fitted, since, until), until)
    estimator = unseen.estimator if unseen else None
    return Reference(
        profile_json=replace(profile, features=profile.features + scores.features).to_json(),
        estimator_json=estimator.to_json() if estimator else None,
    )


def _logged_inputs(site: Site, rows: pl.DataFrame) -> pl.DataFrame:
    """The model's inputs as they can be seen in the log, which leaves columns out or hashes them: like with like."""
    return inputs_of(site.pipeline.spec, LogPolicy.of(site.pipeline.serving, site.settings).mask(rows))


def _extent(site: Site, trained_until: datetime | None) -> tuple[datetime, datetime]:
    """From where to where the reference's windows reach: whole ones, before the end of the training rows."""
    every = span(site.pipeline.monitor.every)
    until = pl.Series([trained_until]).dt.truncate(every)[0]
    return until - site.pipeline.monitor.reference_windows * every, until


def _profile(site: Site, frame: pl.DataFrame, until: datetime) -> Profile:
    spec, policy = site.pipeline.spec, site.pipeline.monitor
    return build_profile(frame, time=spec.time, every=span(policy.every), windows=policy.reference_windows, until=until)


def _fitted(unseen: Unseen) -> pl.DataFrame:
    """What cross-fitted models said, with its time."""
    said = pl.Series(PREDICTION, unseen.predictions)
    said = as_profiled(said.arr.to_list() if unseen.predictions.ndim == 2 else said)
    return pl.DataFrame([unseen.moments, said])


def _predictions(site: Site, fitted: pl.DataFrame | None, since: datetime, until: datetime) -> pl.DataFrame:
    """The predictions of the reference's windows with their time: logged ones; where these lack, cross-fitted ones."""
    spec = site.pipeline.spec
    logged = read_predictions(
        site.lake.predictions(site.name), spec.raw_schema, key=spec.key, time=spec.time, since=since, until=until
    )
    answered = logged.select(spec.time, as_profiled(logged["prediction"]).alias(PREDICTION))
    if fitted is None or fitted.is_empty():
        return answered
    window = pl.col(spec.time).dt.truncate(span(site.pipeline.monitor.every))
    if spec.task == "multiclass":  # what was logged are numbers of classes, perhaps of other ones
        return fitted
    sizes = fitted.group_by(window.alias("window")).len()
    counts = answered.group_by(window.alias("window")).len().join(sizes, on="window", how="left", suffix="_fitted")
    held = counts.filter(pl.col("len") >= ANSWERED * pl.col("len_fitted").fill_null(0))["window"].implode()
    parts = (answered.filter(window.is_in(held)), fitted.filter(~window.is_in(held)))
    return pl.concat(parts, how="vertical_relaxed")
