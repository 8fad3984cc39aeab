"""The reference that a new champion's windows are judged by: what drift is measured against, and what estimates."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.crossfit import cross_fitted
from modelling.estimator import Estimator, build_estimator
from modelling.training import Model
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Unseen:
    """Training rows of the reference's windows, and what models of the same recipe said that did not know them."""

    rows: pl.DataFrame
    predictions: NDArray[np.float64]


def reference_of(site: Site, model: Model, rows: pl.DataFrame, *, training: pl.DataFrame | None = None) -> Reference:
    """Profile of the model's inputs over the last windows of `rows`, and of the predictions of that time.

    `training`: the rows that the model was fitted on, when it may become champion: fitting it again without the
    reference's rows, fold by fold, costs at least twice its own fit. None: it is kept for the record alone.

    NOTE: a model's own scores of rows it was trained on are sharper than those it will give. So the reference of the
    prediction is what champions answered in those windows; where they did not, what cross-fitted models say. What
    estimates the performance is made of the latter alone: it must know what this recipe's scores mean.
    """
    spec = site.pipeline.spec
    since, until = _extent(site, model)
    recent = rows.filter(pl.col(spec.time) >= since)
    profile = _profile(site, _logged_inputs(site, model, recent).with_columns(recent[spec.time]), until)
    unseen = None if training is None else _unseen(site, model, training)
    scores = _profile(site, _predictions(site, unseen, since, until), until)
    estimator = None if unseen is None else _estimator(site, model, unseen, since)
    return Reference(
        profile_json=replace(profile, features=profile.features + scores.features).to_json(),
        estimator_json=estimator.to_json() if estimator else None,
    )


def _logged_inputs(site: Site, model: Model, rows: pl.DataFrame) -> pl.DataFrame:
    """The model's inputs as they can be seen in the log, which leaves columns out or hashes them: like with like."""
    return model.inputs(LogPolicy.of(site.pipeline.serving, site.settings).mask(rows))


def _extent(site: Site, model: Model) -> tuple[datetime, datetime]:
    """From where to where the reference's windows reach: whole ones, before the end of the training rows."""
    every = span(site.pipeline.monitor.every)
    until = pl.Series([model.trained_until]).dt.truncate(every)[0]
    return until - site.pipeline.monitor.reference_windows * every, until


def _profile(site: Site, frame: pl.DataFrame, until: datetime) -> Profile:
    spec, policy = site.pipeline.spec, site.pipeline.monitor
    return build_profile(frame, time=spec.time, every=span(policy.every), windows=policy.reference_windows, until=until)


def _unseen(site: Site, model: Model, training: pl.DataFrame) -> _Unseen:
    pipeline = site.pipeline
    spec, (since, until) = pipeline.spec, _extent(site, model)
    recent = training.filter(pl.col(spec.time) >= since)
    predictions = cross_fitted(
        spec,
        training,
        model.recipe,
        folds=max(2, ceil(recent.height / max(training.height, 1) / MAX_FOLD)),
        since=since,
        gap=span(pipeline.labels.matures_after),
        seed=pipeline.search.seed,
        threads=pipeline.search.threads,
    )
    usable = (recent[spec.time] < until).to_numpy() & np.isfinite(predictions.reshape(recent.height, -1)).all(axis=1)
    return _Unseen(rows=recent.filter(usable), predictions=predictions[usable])


def _predictions(site: Site, unseen: _Unseen | None, since: datetime, until: datetime) -> pl.DataFrame:
    """The predictions of the reference's windows with their time: logged ones; where these lack, cross-fitted ones."""
    spec = site.pipeline.spec
    logged = read_predictions(
        site.lake.predictions(site.name), spec.raw_schema, key=spec.key, time=spec.time, since=since, until=until
    )
    answered = logged.select(spec.time, as_profiled(logged["prediction"]).alias(PREDICTION))
    if unseen is None or unseen.rows.is_empty():
        return answered
    window = pl.col(spec.time).dt.truncate(span(site.pipeline.monitor.every))
    said = pl.Series(PREDICTION, unseen.predictions)
    said = as_profiled(said.arr.to_list() if unseen.predictions.ndim == 2 else said)
    fitted = unseen.rows.select(spec.time, said)
    if spec.task == "multiclass":  # what was logged are numbers of classes, perhaps of other ones
        return fitted
    sizes = fitted.group_by(window.alias("window")).len()
    counts = answered.group_by(window.alias("window")).len().join(sizes, on="window", how="left", suffix="_fitted")
    held = counts.filter(pl.col("len") >= ANSWERED * pl.col("len_fitted").fill_null(0))["window"].implode()
    parts = (answered.filter(window.is_in(held)), fitted.filter(~window.is_in(held)))
    return pl.concat(parts, how="vertical_relaxed")


def _estimator(site: Site, model: Model, unseen: _Unseen, since: datetime) -> Estimator | None:
    spec, every = site.pipeline.spec, span(site.pipeline.monitor.every)
    return build_estimator(
        spec,
        _logged_inputs(site, model, unseen.rows),
        predictions=unseen.predictions,
        labels=model.labels(unseen.rows),
        windows=((unseen.rows[spec.time] - since).dt.total_microseconds() // (every // _TICK)).to_numpy(),
    )
