"""Metrics by name: which there are for a task, which direction is better, their range, and their values.

Those of rows are means of `metrics.row_losses`, and may steer (`Pipeline.metric`: the gate, the search); those of the
whole can only be reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

from numpy.typing import ArrayLike

from modelling.spec import Task


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

    Left out are those that are not defined: all without rows, an AUC of one class, R squared of equal labels.
    """
    raise NotImplementedError
