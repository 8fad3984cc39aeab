"""Metrics by name: which there are for a task, which direction is better, their range, and their values.

Those of rows are means of `metrics.row_losses`, and may steer (`Pipeline.metric`: the gate, the search); those of the
whole can only be reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelling.metrics import row_losses
from modelling.spec import METRICS, Task
from validation.watch.scores import DECISION

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a task. `better`: the direction; `lowest` and `highest`: the range; `words`: its name for people."""

    name: str
    task: Task
    better: Literal["lower", "higher"]
    lowest: float
    highest: float
    of: Literal["rows", "whole"]
    words: str


_ALL = (
    Metric("logloss", "binary", "lower", 0.0, inf, "rows", "log loss"),
    Metric("brier", "binary", "lower", 0.0, 1.0, "rows", "Brier score"),
    Metric("auc", "binary", "higher", 0.0, 1.0, "whole", "area under the ROC curve"),
    Metric("average_precision", "binary", "higher", 0.0, 1.0, "whole", "average precision"),
    Metric("accuracy", "binary", "higher", 0.0, 1.0, "whole", "accuracy"),
    Metric("balanced_accuracy", "binary", "higher", 0.0, 1.0, "whole", "balanced accuracy"),
    Metric("f1", "binary", "higher", 0.0, 1.0, "whole", "F1"),
    Metric("macro_f1", "binary", "higher", 0.0, 1.0, "whole", "macro F1"),
    Metric("logloss", "multiclass", "lower", 0.0, inf, "rows", "log loss"),
    Metric("brier", "multiclass", "lower", 0.0, 2.0, "whole", "Brier score"),
    Metric("auc", "multiclass", "higher", 0.0, 1.0, "whole", "mean area under the classes' ROC curves"),
    Metric("accuracy", "multiclass", "higher", 0.0, 1.0, "whole", "accuracy"),
    Metric("balanced_accuracy", "multiclass", "higher", 0.0, 1.0, "whole", "balanced accuracy"),
    Metric("macro_f1", "multiclass", "higher", 0.0, 1.0, "whole", "macro F1"),
    Metric("l2", "regression", "lower", 0.0, inf, "rows", "mean squared error"),
    Metric("l1", "regression", "lower", 0.0, inf, "rows", "mean absolute error"),
    Metric("rmse", "regression", "lower", 0.0, inf, "whole", "root mean squared error"),
    Metric("r2", "regression", "higher", -inf, 1.0, "whole", "share of the variance explained (R squared)"),
    Metric("median_error", "regression", "lower", 0.0, inf, "whole", "median absolute error"),
)

METRIC_TABLE: Mapping[Task, Mapping[str, Metric]] = {
    task: {metric.name: metric for metric in _ALL if metric.task == task}
    for task in ("binary", "multiclass", "regression")
}


def metric_values(task: Task, label: ArrayLike, prediction: ArrayLike) -> dict[str, float]:
    """By name, the metrics of these rows (labels and predictions as `row_losses` takes them), in the table's order.

    Left out are those that are not defined: all without rows, an AUC of one class, R squared of equal labels. A row's
    class is the likeliest (binary: a probability of DECISION or more is a "yes"); a class that the model does not know
    is never hit.
    """
    y, p = np.asarray(label, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if not y.size:
        return {}
    p = p if task == "multiclass" else np.broadcast_to(p, y.shape)
    whole = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[task](y, p)
    rows = {name: float(row_losses(task, name, y, p).mean()) for name in METRICS[task]}
    return {name: value for name in METRIC_TABLE[task] if isfinite(value := {**rows, **whole}.get(name, nan))}


def auc(yes: NDArray[np.bool_], score: Array) -> float:
    """The chance that a "yes" has a higher score than a "no", ties a half; nan without both. Source: Hanley 1982."""
    above, below = _by_score(yes, score)
    pairs = above.sum() * below.sum()
    return float((above * (np.cumsum(below) - below / 2)).sum() / pairs) if pairs else nan


def average_precision(yes: NDArray[np.bool_], score: Array) -> float:
    """Precision at each score that is somebody's, weighted with the recall it adds; nan without a "yes"."""
    above, below = _by_score(yes, score)
    hits, rows = np.cumsum(above[::-1]), np.cumsum((above + below)[::-1])
    return float((above[::-1] * hits / rows).sum() / hits[-1]) if hits[-1] else nan


def _by_score(yes: NDArray[np.bool_], score: Array) -> tuple[Array, Array]:
    """How many "yes" and "no" there are of each score, in rising order of scores."""
    scores, position = np.unique(score, return_inverse=True)
    above, below = (np.bincount(position[own], minlength=len(scores)).astype(np.float64) for own in (yes, ~yes))
    return above, below


def _binary(y: Array, p: Array) -> dict[str, float]:
    yes = y == 1.0
    decided = (p >= DECISION).astype(np.float64)
    hits = _hits(y, decided)
    return {
        "auc": auc(yes, p),
        "average_precision": average_precision(yes, p),
        "accuracy": float((decided == y).mean()),
        "balanced_accuracy": hits.recall,
        "f1": hits.f1.get(1.0, nan),
        "macro_f1": hits.macro_f1,
    }


def _multiclass(y: Array, p: Array) -> dict[str, float]:
    table = np.broadcast_to(p, (y.size, p.shape[-1]))
    decided = table.argmax(axis=1).astype(np.float64)
    hits = _hits(y, decided)
    came = y[:, None] == np.arange(table.shape[1])
    areas = [auc(came[:, number], table[:, number]) for number in range(table.shape[1])]
    # The square over all classes, that of a class unknown to the model (probability 0) among them.
    brier = np.square(table - came).sum(axis=1) + (y < 0)
    return {
        "brier": float(brier.mean()),
        "auc": float(np.mean([area for area in areas if isfinite(area)] or [nan])),
        "accuracy": float((decided == y).mean()),
        "balanced_accuracy": hits.recall,
        "macro_f1": hits.macro_f1,
    }


def _regression(y: Array, p: Array) -> dict[str, float]:
    with np.errstate(over="ignore", invalid="ignore"):  # of huge labels: no number, as below
        error = y - p
        squares, spread = float(np.square(error).sum()), float(np.square(y - y.mean()).sum())
    return {
        "rmse": sqrt(squares / y.size),
        "r2": 1 - squares / spread if spread > 0 else nan,
        "median_error": float(np.median(np.abs(error))),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hits:
    """`recall`: the mean over the classes that came; `f1` by class that came or was predicted."""

    recall: float
    f1: Mapping[float, float]

    @property
    def macro_f1(self) -> float:
        return float(np.mean(list(self.f1.values())))


def _hits(y: Array, decided: Array) -> _Hits:
    classes, position = np.unique(np.concatenate([y, decided]), return_inverse=True)
    came, said = np.split(position, [y.size])
    size = len(classes)
    hit, real, told = (np.bincount(own, minlength=size) for own in (came[came == said], came, said))
    f1 = 2 * hit / (real + told)
    recall = float((hit[real > 0] / real[real > 0]).mean())
    return _Hits(recall=recall, f1=dict(zip(classes.tolist(), f1.tolist(), strict=True)))
