"""The reference that a new champion's drift is measured against."""

import polars as pl

from modelling.training import Model
from storage.prediction_log import read_predictions
from tasks.site import Site
from validation.durations import span
from validation.watch.drift import PREDICTION
from validation.watch.profile import Profile, as_profiled, build_profile


def reference_profile(site: Site, model: Model, rows: pl.DataFrame) -> Profile:
    """Profile of the model's inputs over the last windows of its training rows, and of the predictions of that time.

    NOTE: a model's own scores of rows it was trained on are sharper than those it will give; so the reference of the
    prediction is what champions answered in those windows. As long as there are too few, it has not enough history.
    """
    spec, policy = site.pipeline.spec, site.pipeline.monitor
    every = span(policy.every)
    until = pl.Series([model.trained_until]).dt.truncate(every)[0]
    since = until - policy.reference_windows * every
    recent = rows.filter(pl.col(spec.time) >= since)
    inputs = model.inputs(recent).with_columns(recent[spec.time])
    profile = build_profile(inputs, time=spec.time, every=every, windows=policy.reference_windows, until=until)
    logged = read_predictions(
        site.lake.predictions(site.name), spec.raw_schema, key=spec.key, time=spec.time, since=since, until=until
    )
    answered = logged.select(spec.time, as_profiled(logged["prediction"]).alias(PREDICTION))
    scores = build_profile(answered, time=spec.time, every=every, windows=policy.reference_windows, until=until)
    return Profile(
        until=profile.until, every_seconds=profile.every_seconds, features=profile.features + scores.features
    )
