"""Did what was predicted come true as often as was said? Points of a reliability plot. Judges nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelling.spec import Task

Array = NDArray[np.float64]

BINS = 10
ROWS_IN_BIN = 50
_Z = 1.959963984540054  # of 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityPoint:
    """Rows of neighbouring predictions: what was `said` and what `came`, on average, with the 95 % interval of what
    came if rows were independent (rows of one day are not: the truth is wider).
    """

    said: float
    came: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """`points` by rising prediction; `error`: mean distance of what came from what was said, weighted by rows: 0 is
    perfect, of probabilities at most 1 ("expected calibration error" with bins of equal size, Naeini 2015).
    """

    points: tuple[ReliabilityPoint, ...]
    error: float


def reliability(task: Task, label: ArrayLike, prediction: ArrayLike) -> Reliability | None:
    """Of labels and predictions as `metrics.row_losses` takes them, of rows where both are finite; None without any.

    binary: the probability of 1 against how often it came; multiclass: the probability of the likeliest class against
    how often it was right; regression: the prediction against the label.
    """
    y, p = np.asarray(label, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if not y.size:
        return None
    if task == "multiclass":
        y, p = (p.argmax(axis=1) == y).astype(np.float64), p.max(axis=1)
    known = np.isfinite(y) & np.isfinite(p)
    y, p = y[known], p[known]
    if not y.size:
        return None
    points = tuple(_point(y[part], p[part], chances=task != "regression") for part in _parts(p))
    error = sum(abs(point.came - point.said) * point.rows for point in points) / y.size
    return Reliability(points=points, error=float(error))


def _parts(predictions: Array) -> list[NDArray[np.int64]]:
    """Positions of about equally many rows each, by rising prediction; equal predictions stay together."""
    bins = max(1, min(BINS, len(predictions) // ROWS_IN_BIN))
    edges = np.unique(np.quantile(predictions, np.arange(1, bins) / bins, method="inverted_cdf"))
    bin_of = np.searchsorted(edges, predictions, side="left")
    return [np.flatnonzero(bin_of == number) for number in np.unique(bin_of)]


def _point(came: Array, said: Array, *, chances: bool) -> ReliabilityPoint:
    lower, upper = _wilson(came) if chances else _around_mean(came)
    return ReliabilityPoint(said=float(said.mean()), came=float(came.mean()), lower=lower, upper=upper, rows=len(came))


def _wilson(came: Array) -> tuple[float, float]:
    """The score interval of a share. Source: Wilson 1927."""
    rows, share = len(came), float(came.mean())
    middle, scale = share + _Z**2 / (2 * rows), 1 + _Z**2 / rows
    reach = _Z * float(np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)))
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def _around_mean(came: Array) -> tuple[float, float]:
    reach = _Z * float(came.std(ddof=1)) / float(np.sqrt(len(came))) if len(came) > 1 else 0.0
    return float(came.mean()) - reach, float(came.mean()) + reach
