"""How good a model is on rows that it has not seen: metrics beside baselines and another model, slices, and what the
gate would say of the difference. For people; the flow's gate asks the same functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.baselines import CONSTANT, baseline_predictions
from modelling.evaluation_text import as_html, as_text
from modelling.evaluation_value import MODEL, OTHER, Scores, SliceScore
from modelling.metric_table import metric_values
from modelling.metrics import row_losses
from modelling.model import Model
from modelling.splits import days
from validation import gate
from validation.errors import ContractError
from validation.gate import Evidence, Gate, GateVerdict, Guards
from validation.influence import pseudo_losses

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evaluation(Scores):
    """`Scores` with what the gate would say of them; shown as text, and as a table in a notebook.

    `verdict`: of the losses alone; what else guards a promotion (calibration, churn, latency, size, behaviour) is the
    flow's business. None where there is nothing to compare with.
    """

    verdict: GateVerdict | None

    def __repr__(self) -> str:
        return as_text(self, self._said)

    def _repr_html_(self) -> str:
        return as_html(self, self._said)

    @property
    def _said(self) -> str:
        if self.verdict is None:
            return ""
        return f"By these rows alone the gate would say: {self.verdict.outcome}; {'; '.join(self.verdict.reasons)}."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answers:
    """What one says to the judged rows: its predictions, and the labels as it counts them."""

    prediction: Array
    labels: Array
    loss: Array


def evaluate(
    model: Model, rows: pl.DataFrame, *, gap: timedelta, policy: Gate, pipeline: str, against: Model | None = None
) -> Evaluation:
    """Judge `model`, and the other that it is held `against`, on those of `rows` that neither has seen.

    `rows`: raw columns and the target, in order of time. Judged are those from `gap` (the labels' delay) after the
    model's training rows on, and after the other's; those among the model's training rows make the baselines.
    ContractError when no row is left to be judged.
    """
    spec, moment = model.spec, pl.col(model.spec.time)
    start = max(model.trained_until + gap, against.trained_until if against else model.trained_until)
    judged = rows.filter(moment >= start)
    if judged.is_empty():
        raise ContractError(
            f"no row is from {start:%Y-%m-%d %H:%M} or later, which the model has not seen: give later rows, or fit on "
            "earlier ones (pipeline.fit leaves the newest out for this)"
        )
    since = model.made.since if model.made else None
    known = rows.filter(moment < model.trained_until, *([moment >= since] if since else []))
    answers = _answers(model, against, known, judged)
    verdict = _verdict(answers, judged, model, policy, pipeline)
    moments = judged[spec.time]
    return Evaluation(
        pipeline=pipeline,
        task=spec.task,
        metric=spec.metric,
        rows=judged.height,
        left_out=rows.height - judged.height,
        since=cast("datetime", moments.min()),
        until=cast("datetime", moments.max()),
        losses={name: float(found.loss.mean()) for name, found in answers.items()},
        metrics={name: metric_values(spec.task, found.labels, found.prediction) for name, found in answers.items()},
        slices=_slices(answers, judged, policy),
        verdict=verdict,
    )


def _answers(model: Model, against: Model | None, known: pl.DataFrame, judged: pl.DataFrame) -> Mapping[str, _Answers]:
    """By name: of the model, of the other one, and of the baselines where there are rows to make them of."""
    spec, labels = model.spec, model.labels(judged)
    asked = {MODEL: (model.predict(judged), labels)}
    if against is not None:
        asked[OTHER] = (against.predict(judged), against.labels(judged))
    if not known.is_empty():
        made = baseline_predictions(spec, known, judged, classes=model.classes)
        asked |= {name: (prediction, labels) for name, prediction in made.items()}
    return {
        name: _Answers(prediction=told, labels=own, loss=row_losses(spec.task, spec.metric, own, told))
        for name, (told, own) in asked.items()
    }


def _verdict(
    answers: Mapping[str, _Answers], judged: pl.DataFrame, model: Model, policy: Gate, pipeline: str
) -> GateVerdict | None:
    standing = answers.get(OTHER) or answers.get(CONSTANT)
    if standing is None:
        return None
    constant, moments = answers.get(CONSTANT), judged[model.spec.time]
    ranked = policy.by == "auc"
    evidence = Evidence(
        champion_loss=_compared(standing, ranked=ranked),
        challenger_loss=_compared(answers[MODEL], ranked=ranked),
        baseline_loss=_compared(constant, ranked=ranked) if constant else None,
        blocks=days(moments),
        slices={name: judged[name].to_list() for name in policy.slices},
        champion_is="champion" if OTHER in answers else "base rate",
        evidence="evaluation",
    )
    guards = Guards(load_ok=True, latency_ms=0.0, size_mb=0.0)
    return gate.judge(
        evidence, guards, policy=policy, pipeline=pipeline, subject="notebook", as_of=cast("datetime", moments.max())
    )


def _compared(answers: _Answers, *, ranked: bool) -> Array:
    """What the gate compares: losses, or 1 - AUC row by row."""
    if not ranked:
        return answers.loss
    return pseudo_losses(answers.labels, np.broadcast_to(answers.prediction, answers.labels.shape))


def _slices(answers: Mapping[str, _Answers], judged: pl.DataFrame, policy: Gate) -> tuple[SliceScore, ...]:
    """The slices that the gate looks at, the largest first, with the mean loss of the model and of the other."""
    names = [name for name in (MODEL, OTHER) if name in answers]
    losses = pl.DataFrame({name: answers[name].loss for name in names})
    found = []
    for column in policy.slices:
        whole = losses.with_columns(judged[column].cast(pl.String).fill_null("(none)").alias("value"))
        by_value = whole.group_by("value").agg(pl.len().alias("rows"), pl.col(names).mean())
        found += [
            SliceScore(
                column=column, value=row["value"], rows=row["rows"], loss=row[MODEL], against_loss=row.get(OTHER)
            )
            for row in by_value.filter(pl.col("rows") >= policy.min_slice_rows)
            .sort("rows", "value", descending=[True, False])
            .iter_rows(named=True)
        ]
    return tuple(found)
