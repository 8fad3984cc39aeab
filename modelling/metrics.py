"""Losses, one number for each row, so that models can be compared row by row. Smaller is better, 0 is perfect."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelling.spec import METRICS, Task
from validation.errors import DefinitionError

# A probability is kept this far from 0 and 1 before its logarithm, as in LightGBM: no row's loss exceeds 34.6.
EPSILON = 1e-15

Array = NDArray[np.float64]


def row_losses(task: Task, metric: str, label: ArrayLike, prediction: ArrayLike) -> Array:
    """The loss of each row, shape (n,).

    binary logloss: -log of the probability given to what happened; `prediction` is that of 1, in [0, 1]. binary brier:
    the square of the probability given to what did not happen, at most 1.
    multiclass logloss: the same; `label` holds class indices (-1: a class that the model does not know, probability
    0), `prediction` is (n, k). l2: squared, l1: absolute error. One prediction for all rows, as `baseline_prediction`
    gives it, is broadcast. Unknown metric: DefinitionError.
    """
    _check(task, metric)
    y, p = np.asarray(label, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if task == "binary":
        given = np.where(y == 1.0, p, 1.0 - p)
        return np.square(1.0 - given) if metric == "brier" else _surprise(given)
    if task == "multiclass":
        return _surprise(_given_to(y.astype(np.int64), p))
    with np.errstate(over="ignore"):  # an infinite loss is for the gate to refuse in words
        error: Array = y - p
        return np.abs(error) if metric == "l1" else np.square(error)


def baseline_prediction(task: Task, metric: str, labels: ArrayLike) -> Array:
    """The constant with the smallest mean loss on `labels`: a rate (), class shares (k,), a mean or a median ().

    nan without labels.
    """
    _check(task, metric)
    y = np.asarray(labels, dtype=np.float64)
    if not y.size:
        return np.array(np.nan)
    if task == "multiclass":
        known = y[y >= 0].astype(np.int64)
        return np.asarray(np.bincount(known) / known.size, dtype=np.float64)
    return np.array(np.median(y) if metric == "l1" else y.mean())


def _check(task: Task, metric: str) -> None:
    if metric not in METRICS.get(task, ()):
        raise DefinitionError(f"metric of a {task} task must be one of {METRICS.get(task, ())}, got {metric!r}")


def _given_to(index: NDArray[np.int64], probabilities: Array) -> Array:
    table = np.broadcast_to(probabilities, (index.size, probabilities.shape[-1]))
    known = (index >= 0) & (index < table.shape[1])
    rows = np.arange(index.size)
    return np.where(known, table[rows, np.where(known, index, 0)], 0.0)


def _surprise(probability: Array) -> Array:
    clipped: Array = np.clip(probability, EPSILON, 1.0)
    return -np.log(clipped)
