"""What the gate is shown: losses of champion and challenger on the same unseen rows, and the guards' measurements."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from modelling.bundle import Bundle
from modelling.loadcheck import LoadCheck
from modelling.metrics import baseline_prediction, row_losses
from modelling.spec import Spec
from modelling.splits import Split
from modelling.training import Model
from registry.ledger import Champion
from tasks.monitor import days
from tasks.orders import Order
from validation.deeds import Trained
from validation.gate import Evidence, Guards
from validation.refit import guard_refit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Challenger:
    """A model trained before the holdout, the champion it wants to replace, and how it was made."""

    proven: Model | None
    split: Split
    champion: tuple[Champion, Bundle] | None
    trained: Trained


def evidence_of(order: Order, challenger: Challenger) -> Evidence:
    """Per-row losses of both on the holdout; without a champion, the best constant of the training rows stands in."""
    spec, rows = order.site.pipeline.spec, challenger.split.holdout
    version = challenger.champion[0].change.version if challenger.champion else ""
    if challenger.proven is None:
        champion_loss = challenger_loss = np.zeros(0)
        rows = rows.clear()
    else:
        challenger_loss = _losses(challenger.proven, spec, rows)
        champion_loss = _losses(challenger.champion[1], spec, rows) if challenger.champion else _base(challenger)
    return Evidence(
        champion_loss=champion_loss,
        challenger_loss=challenger_loss,
        blocks=days(rows[spec.time]),
        slices={name: rows[name].to_list() for name in order.site.pipeline.gate.slices},
        champion_version=version,
        champion_is="champion" if challenger.champion else "base rate",
    )


def unchecked(order: Order, challenger: Challenger) -> Guards:
    """Guards for the first look, which decides whether a refit and its checks are worth their time."""
    return Guards(
        load_ok=True,
        latency_ms=0.0,
        size_mb=0.0,
        calibration_bias=_bias(challenger),
        coverage=order.snapshot.coverage(since=challenger.split.holdout_start),
        min_coverage=order.site.pipeline.labels.min_coverage,
    )


def guards_of(order: Order, challenger: Challenger, check: LoadCheck, refit: Model) -> Guards:
    """What the fresh process measured, and what speaks against the refit in the proven model's place."""
    spec, rows = order.site.pipeline.spec, challenger.split.holdout
    assert challenger.proven is not None  # noqa: S101 - the caller has checked
    proven, familiar = challenger.proven, challenger.split.train.tail(rows.height)
    return Guards(
        load_ok=check.ok,
        load_error=check.error,
        latency_ms=check.latency_ms,
        size_mb=check.size_mb,
        calibration_bias=_bias(challenger),
        refit=guard_refit(
            proven_prediction=proven.predict(familiar),
            refit_prediction=refit.predict(familiar),
            proven_loss=_losses(proven, spec, rows),
            refit_loss=_losses(refit, spec, rows),
            label=proven.labels(familiar),
            task=spec.task,
        ),
        coverage=order.snapshot.coverage(since=challenger.split.holdout_start),
        min_coverage=order.site.pipeline.labels.min_coverage,
    )


def _losses(model: Model | Bundle, spec: Spec, rows: pl.DataFrame) -> Floats:
    return row_losses(spec.task, spec.metric, model.labels(rows), model.predict(rows))


def _base(challenger: Challenger) -> Floats:
    assert challenger.proven is not None  # noqa: S101 - the caller has checked
    model, parts = challenger.proven, challenger.split
    constant = baseline_prediction(model.spec.task, model.spec.metric, model.labels(parts.train))
    return row_losses(model.spec.task, model.spec.metric, model.labels(parts.holdout), constant)


def _bias(challenger: Challenger) -> float | None:
    if challenger.proven is None or challenger.proven.classes:
        return None
    rows = challenger.split.holdout
    return float(np.mean(challenger.proven.labels(rows) - challenger.proven.predict(rows)))
