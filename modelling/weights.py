"""How much each training row weighs: its own weight, the balance of classes, and its age."""

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import Classes, label_values
from modelling.recipes import Recipe
from modelling.spec import Spec
from validation.errors import ContractError

Array = NDArray[np.float64]

# Weights of 0 would take rows out of LightGBM's sums, but not out of its counts of rows.
_LEAST = 1e-6
_TICK = timedelta(microseconds=1)


def row_weights(spec: Spec, frame: pl.DataFrame, recipe: Recipe, classes: Classes) -> Array | None:
    """The weight of each row (n,), above 0, for training alone; None where all weigh the same.

    The weight column is scaled to a mean of 1; a row that is `half_life_days` older than the newest weighs half of it;
    "balanced" then makes the classes that are there equally heavy and leaves the total as it is. So with a half-life
    the total falls as with a shorter span, and regularisation counts for as much. ContractError as `column_weights`.
    """
    if not frame.height:
        return None
    weights, aged = column_weights(spec, frame), _aged(spec, frame, recipe.half_life_days)
    if aged is not None:
        weights = aged if weights is None else weights * aged
    if spec.training.class_weight == "balanced" and spec.task != "regression":
        labels = label_values(spec.task, frame[spec.target], classes)
        weights = _balanced(labels, np.ones(frame.height) if weights is None else weights)
    return weights


def judge_weights(spec: Spec, labels: Array) -> Array | None:
    """The weights of rows that a search judges by, (n,), of labels as `label_values` has them; None: all the same.

    Where classes are balanced in training they are so here: trees that make a rare class likelier on purpose would
    otherwise lose to those that have hardly learned. Nothing else weighs: the gate knows no weights either.
    """
    if spec.training.class_weight == "none" or spec.task == "regression" or not labels.size:
        return None
    return _balanced(labels, np.ones(labels.size))


def column_weights(spec: Spec, frame: pl.DataFrame) -> Array | None:
    """The weight column alone, scaled to a mean of 1; None without one, or without rows.

    ContractError for null, nan, infinite, zero and negative weights.
    """
    name = spec.training.weight
    if not name or not frame.height:
        return None
    values = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    good = np.isfinite(values) & (values > 0)
    if not good.all():
        raise ContractError(
            f"weight column {name!r}: {np.count_nonzero(~good):,} of {good.size:,} weights are null, not finite or not "
            "above 0; demand it in the contract (nullable=False, gt=0), or leave such rows out"
        )
    # By the largest first: a sum of huge weights would be infinite.
    shares: Array = values / values.max()
    return np.asarray(shares / shares.mean(), dtype=np.float64)


def _aged(spec: Spec, frame: pl.DataFrame, half_life_days: float | None) -> Array | None:
    """1 for the newest row, half as much for each half-life that one is older."""
    if half_life_days is None:
        return None
    moment = pl.col(spec.time)
    lives = (moment.max() - moment).dt.total_microseconds() / (timedelta(days=half_life_days) / _TICK)
    factors: Array = np.exp2(-frame.select(lives).to_series().to_numpy())
    return np.maximum(factors, _LEAST)


def _balanced(labels: Array, weights: Array) -> Array:
    _, position = np.unique(labels, return_inverse=True)
    heavy = np.bincount(position, weights)
    factors: Array = weights.sum() / (len(heavy) * heavy)
    return weights * factors[position]
