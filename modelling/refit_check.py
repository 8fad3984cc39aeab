"""What speaks against a refit in the proven model's place (validation/refit.py), by the rows that both have learned."""

from dataclasses import replace
from datetime import datetime
from typing import cast

import polars as pl

from modelling.metrics import row_losses
from modelling.model import Model
from modelling.spec import Spec
from modelling.splits import Split, days, newest
from modelling.weights import Array, row_weights
from validation.refit import guard_refit

# Half-lives, of the refit's newest row: what is older weighs less than a quarter of it: forgotten on purpose.
_REMEMBERED = 2.0


def against_refit(spec: Spec, parts: Split, proven: Model, refit: Model) -> tuple[str, ...]:
    """Reasons against `refit`, none when it may go on. `parts`: what `proven` was trained on, and was proven by; the
    refit was made by the same recipe, and has learned the newest of both.

    Where its span, or its memory, is no longer than the holdout, there are no rows that both know: only losses tell.
    A plain recipe's are as many as were held out, and weigh as much: what chance does to fewer, or faded ones, is
    allowed to the others alone (measured on 10 dates of bikes: 3 of 70 refits refused, all rows alike 13).
    """
    span, half = refit.recipe.span_days, refit.recipe.half_life_days
    until = cast("datetime | None", parts.holdout[spec.time].max())
    seen = newest(parts.holdout, time=spec.time, days=span)
    # `proven` was given no later rows, so what of its own is in the refit's span is in its span, too.
    shared = newest(parts.train, time=spec.time, days=span, until=until)
    shared = newest(shared, time=spec.time, days=half and half * _REMEMBERED, until=until)
    if refit.made is not None:
        shared = shared.filter(pl.col(spec.time) >= refit.made.since)
    shared = shared.tail(parts.holdout.height)
    return guard_refit(
        proven_prediction=proven.predict(shared),
        refit_prediction=refit.predict(shared),
        proven_loss=row_losses(spec.task, spec.metric, proven.labels(seen), proven.predict(seen)),
        refit_loss=row_losses(spec.task, spec.metric, refit.labels(seen), refit.predict(seen)),
        label=proven.labels(shared),
        task=spec.task,
        weight=_weights(spec, shared, refit),
        blocks=None if refit.recipe == refit.recipe.plain else days(shared[spec.time]),
    )


def _weights(spec: Spec, rows: pl.DataFrame, refit: Model) -> Array | None:
    """What they weighed; calibrated probabilities are of the classes as they come, though, not as they are balanced."""
    if refit.calibration is not None:
        spec = replace(spec, training=replace(spec.training, class_weight="none"))
    return row_weights(spec, rows, refit.recipe, refit.classes)
