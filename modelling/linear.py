"""A linear model of encoded inputs: ridge, least absolute deviations, or (multinomial) logistic regression.

Numbers are cut at their outer thousandths and standardised; what is missing counts as the mean and gets a column of its
own; a category has a column for each frequent level. Deterministic; its rows are as few as a linear model needs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelling.spec import Task

Array = NDArray[np.float64]
Loss = Callable[[Array, Array], tuple[float, Array]]  # of margins and targets (n, k): the sum, and its slope in each

MAX_LEVELS = 50  # columns of one category, its most frequent levels
RIDGE = 1.0  # half of it is paid for each squared weight, beside the summed loss; constants are free
ITERATIONS = 200
_CUT = (0.001, 0.999)
_ROUND = 0.01  # an absolute error is rounded off within this many standard deviations of the target
_BLOCK = 50_000  # rows whose columns are made at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """`weights` (p, k) on what `columns` makes of encoded inputs; targets are `centre` + `scale` of their sum."""

    columns: "_Columns"
    weights: Array
    centre: float
    scale: float
    task: Task

    def predict(self, matrix: Array) -> Array:
        """Encoded rows (n, inputs) -> as `Model.predict`: (n,), or (n, k)."""
        blocks = [matrix[start : start + _BLOCK] for start in range(0, max(len(matrix), 1), _BLOCK)]
        margins = np.vstack([self.columns.of(block) @ self.weights for block in blocks])
        if self.task == "multiclass":
            return _softmax(margins)
        if self.task == "binary":
            return _sigmoid(margins[:, 0])
        return np.asarray(self.centre + self.scale * margins[:, 0])


def fit_linear(
    matrix: Array, labels: Array, *, categorical: list[int], task: Task, metric: str, classes: int = 0
) -> Linear:
    """The linear model of encoded rows (n, inputs), n >= 1, in which `categorical` are the positions of codes.

    `labels` as `Model.labels`; `classes`: how many a multiclass task has. A binary model minimises the log loss also
    where the metric is the Brier score.
    """
    columns = _fit_columns(matrix, categorical)
    centre, scale = (float(np.median(labels)), float(labels.std()) or 1.0) if task == "regression" else (0.0, 1.0)
    targets = np.eye(classes)[labels.astype(np.int64)] if classes else ((labels - centre) / scale)[:, None]
    loss = {"binary": _logistic, "multiclass": _multinomial, "regression": _absolute if metric == "l1" else _squared}
    weights = _minimised(loss[task], columns.of(matrix), targets)
    return Linear(columns=columns, weights=weights, centre=centre, scale=scale, task=task)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Columns:
    """What is known of the training rows' columns: numbers' ends, mean and deviation, and the codes of categories."""

    numbers: list[int]
    low: Array
    high: Array
    mean: Array
    deviation: Array
    codes: dict[int, Array]

    def of(self, matrix: Array) -> Array:
        """Encoded rows (n, inputs) -> (n, p); the last column is 1."""
        numbers = matrix[:, self.numbers]
        missing = np.isnan(numbers)
        scaled = (np.clip(numbers, self.low, self.high) - self.mean) / self.deviation
        hot = [(matrix[:, [position]] == codes).astype(np.float64) for position, codes in self.codes.items()]
        return np.hstack([np.where(missing, 0.0, scaled), missing, *hot, np.ones((len(matrix), 1))])


def _fit_columns(matrix: Array, categorical: list[int]) -> _Columns:
    numbers = [position for position in range(matrix.shape[1]) if position not in categorical]
    some = [values[np.isfinite(values)] for values in matrix[:, numbers].T]
    cuts = np.array([np.quantile(values, _CUT) if len(values) else (0.0, 0.0) for values in some]).reshape(-1, 2)
    told = [_scale(np.clip(values, *ends)) for values, ends in zip(some, cuts, strict=True)]
    mean, deviation = np.array(told).reshape(-1, 2).T
    codes = {position: _frequent(matrix[:, position]) for position in categorical}
    return _Columns(numbers=numbers, low=cuts[:, 0], high=cuts[:, 1], mean=mean, deviation=deviation, codes=codes)


def _scale(values: Array) -> tuple[float, float]:
    """Mean and standard deviation, 1 where all are alike."""
    size = float(np.abs(values).max(initial=0.0))
    if not size:
        return 0.0, 1.0
    shares = values / size  # the squares of huge numbers would be infinite
    return size * float(shares.mean()), size * float(shares.std()) or 1.0


def _frequent(codes: Array) -> Array:
    found, rows = np.unique(codes[~np.isnan(codes)], return_counts=True)
    return np.sort(found[np.argsort(-rows, kind="stable")[:MAX_LEVELS]])


def _minimised(loss: Loss, columns: Array, targets: Array) -> Array:
    from scipy.optimize import minimize  # 0.5 s, and predicting needs none

    shape, rows = (columns.shape[1], targets.shape[1]), len(columns)
    paid = np.full((shape[0], 1), RIDGE / rows)
    paid[-1] = 0.0

    def cost(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(shape)
        total, slope = loss(columns @ weights, targets)
        value = total / rows + 0.5 * float((paid * weights**2).sum())
        return value, (columns.T @ slope / rows + paid * weights).ravel()

    found = minimize(cost, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return np.asarray(found.x, dtype=np.float64).reshape(shape)


def _logistic(margin: Array, target: Array) -> tuple[float, Array]:
    return float((np.logaddexp(0.0, margin) - target * margin).sum()), _sigmoid(margin) - target


def _multinomial(margin: Array, target: Array) -> tuple[float, Array]:
    chances = _softmax(margin)
    given = (chances * target).sum(axis=1)
    return float(-np.log(np.maximum(given, 1e-300)).sum()), chances - target


def _squared(margin: Array, target: Array) -> tuple[float, Array]:
    error = margin - target
    return 0.5 * float(np.square(error).sum()), error


def _absolute(margin: Array, target: Array) -> tuple[float, Array]:
    error = margin - target
    size = np.sqrt(error**2 + _ROUND**2)
    return float(size.sum()), error / size


def _sigmoid(margin: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * margin)))


def _softmax(margin: Array) -> Array:
    powers = np.exp(margin - margin.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
