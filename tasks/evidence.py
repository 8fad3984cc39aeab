"""What the gate is shown: losses of champion and challenger on the same unseen rows, and the guards' measurements."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from modelling.behaviour import measure
from modelling.jobs import record
from modelling.loadcheck import LoadCheck
from modelling.metrics import baseline_prediction, row_losses
from modelling.model import Model
from modelling.splits import days
from tasks.apart import apart
from tasks.challengers import Challenger, planned
from tasks.champions import Incumbent
from tasks.orders import Order
from tasks.telling import log
from validation.gate import Evidence, Guards
from validation.influence import pseudo_losses
from validation.intervals import Interval, paired_interval
from validation.refit import decided_otherwise, label_scale

Floats = npt.NDArray[np.float64]
_BOUND_ALPHA = 0.05  # of the noise bands of a calibration bias; the guard is no test of the gate's


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """A model's predictions for the evidence's rows, and its losses, both one per row."""

    prediction: Floats
    loss: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """What both models say to the same rows; `champion` is None without one, or when it is `unable`, for that reason.

    `labels` as the challenger counts them; `baseline_loss` of the best constant of the training rows.
    """

    rows: pl.DataFrame
    labels: Floats
    challenger: Answers
    baseline_loss: Floats
    champion: Answers | None
    unable: str
    evidence: Literal["holdout", "prequential"]


def compare(order: Order, challenger: Challenger) -> Compared:
    """Ask both models. Prequential evidence needs a champion, and a recipe that was not searched on rows that the
    champion has not seen; where there is none, the holdout's is taken.
    """
    known = challenger.incumbent
    if order.site.pipeline.gate.evidence == "prequential" and challenger.proven and known and not challenger.searched:
        return _on_windows(order, challenger, known)
    return _on_holdout(order, challenger)


def evidence_of(order: Order, challenger: Challenger, compared: Compared) -> Evidence:
    """Losses of both, row by row; where no champion can be asked, the best constant of the training rows stands in."""
    rows, known = compared.rows, challenger.incumbent
    against = compared.champion.loss if compared.champion else compared.baseline_loss
    challenger_loss, baseline_loss = compared.challenger.loss, compared.baseline_loss
    if order.site.pipeline.gate.by == "auc" and rows.height:
        challenger_loss = pseudo_losses(compared.labels, compared.challenger.prediction)
        baseline_loss = pseudo_losses(compared.labels, np.zeros(rows.height))
        asked = compared.champion
        against = pseudo_losses(compared.labels, asked.prediction) if asked else baseline_loss
    return Evidence(
        champion_loss=against,
        challenger_loss=challenger_loss,
        baseline_loss=baseline_loss,
        blocks=days(rows[order.site.pipeline.spec.time]),
        slices={name: rows[name].to_list() for name in order.site.pipeline.gate.slices},
        champion_version=known.version if known else "",
        champion_is=_standing(challenger, compared),
        unable_why=compared.unable,
        evidence=compared.evidence,
        look=len(order.looks) + 1,
        earlier_blocks=tuple(int(item.body["blocks"]) for item in order.looks),
    )


def guards_before_refit(order: Order, challenger: Challenger, compared: Compared) -> Guards:
    """Guards for the first judgement, which decides whether a refit and its checks are worth their time."""
    guards = Guards(
        load_ok=True,
        latency_ms=0.0,
        size_mb=0.0,
        coverage=order.snapshot.coverage(since=challenger.split.holdout_start),
        min_coverage=order.site.pipeline.labels.min_coverage,
    )
    if challenger.proven is None:
        return guards
    behaviour = measure(order.site.pipeline.gate.checks, challenger.proven, compared.rows)
    if challenger.proven.classes:  # several classes have no one bias, and each model its own list of them
        return replace(guards, behaviour=behaviour)
    champion = compared.champion
    return replace(
        guards,
        challenger_bias=_bias(order, compared, compared.challenger),
        champion_bias=_bias(order, compared, champion) if champion else None,
        churn=_churn(order, compared, champion) if champion else None,
        behaviour=behaviour,
    )


def guards_of(order: Order, challenger: Challenger, compared: Compared, check: LoadCheck, model: Model) -> Guards:
    """What the fresh process measured, and how `model`, which is to serve, behaves."""
    return replace(
        guards_before_refit(order, challenger, compared),
        load_ok=check.ok,
        load_error=check.error,
        latency_ms=check.latency_ms,
        size_mb=check.size_mb,
        behaviour=measure(order.site.pipeline.gate.checks, model, challenger.split.holdout),
    )


def _standing(challenger: Challenger, compared: Compared) -> Literal["champion", "base rate", "unable"]:
    if challenger.incumbent is None:
        return "base rate"
    return "unable" if challenger.proven and not compared.champion else "champion"


def _on_holdout(order: Order, challenger: Challenger) -> Compared:
    spec, model = order.site.pipeline.spec, challenger.proven
    rows = challenger.split.holdout if model else challenger.split.holdout.clear()
    nothing = np.zeros(0)
    champion, unable = _ask(order, challenger.incumbent, rows) if model else (None, "")
    if model is None:
        labels, answers, base = nothing, Answers(prediction=nothing, loss=nothing), nothing
    else:
        labels, prediction = model.labels(rows), model.predict(rows)
        answers = Answers(prediction=prediction, loss=row_losses(spec.task, spec.metric, labels, prediction))
        constant = baseline_prediction(spec.task, spec.metric, model.labels(challenger.split.train))
        base = row_losses(spec.task, spec.metric, labels, constant)
    return Compared(
        rows=rows,
        labels=labels,
        challenger=answers,
        baseline_loss=base,
        champion=champion,
        unable=unable,
        evidence="holdout",
    )


def _on_windows(order: Order, challenger: Challenger, known: Incumbent) -> Compared:
    """What was chosen before each of the windows since the champion's data, paired with the champion."""
    plan, rows = planned(order, challenger)
    found = apart(
        order.site,
        record,
        plan,
        rows.rows,
        since=known.trained_until,
        doing=f"asking earlier choices of {order.site.name} about later rows",
    )
    if not found.fits:
        return _on_holdout(order, challenger)
    asked = order.snapshot.rows[found.positions]
    champion, unable = _ask(order, known, asked)
    return Compared(
        rows=asked,
        labels=found.labels,
        challenger=Answers(prediction=found.prediction, loss=found.loss),
        baseline_loss=found.baseline_loss,
        champion=champion,
        unable=unable,
        evidence="prequential",
    )


def _ask(order: Order, known: Incumbent | None, rows: pl.DataFrame) -> tuple[Answers | None, str]:
    """The champion's answers; or none, and why it cannot score these rows."""
    if known is None or known.bundle is None:
        return None, known.unable if known else ""
    spec = order.site.pipeline.spec
    try:
        prediction = known.bundle.predict(rows)
        loss = row_losses(spec.task, spec.metric, known.bundle.labels(rows), prediction)
    except Exception as error:  # noqa: BLE001 - its own code of long ago meets today's rows: whatever it raises
        why = f"version {known.version} cannot score today's rows: {type(error).__name__}: {error}"[:500]
        log.warning("%s: %s", order.site.name, why)
        return None, why
    return Answers(prediction=prediction, loss=loss), ""


def _bias(order: Order, compared: Compared, answers: Answers) -> Interval:
    """Mean of label - prediction, in label's standard deviations for a regression; with its noise band by days."""
    spec = order.site.pipeline.spec
    difference = (compared.labels - answers.prediction) / label_scale(compared.labels, task=spec.task)
    finite = np.isfinite(difference)
    blocks = days(compared.rows[spec.time])
    return paired_interval(difference[finite], blocks[finite], alpha=_BOUND_ALPHA)


def _churn(order: Order, compared: Compared, champion: Answers) -> float | None:
    """Share of the rows that the challenger decides otherwise than the champion; None without rows."""
    if not compared.rows.height:
        return None
    task = order.site.pipeline.task
    scale = label_scale(compared.labels, task=task)
    flipped = decided_otherwise(champion.prediction, compared.challenger.prediction, task=task, scale=scale)
    return float(flipped.mean())
