"""Is the refit on all mature rows still the model that was proven? It is promoted in the proven one's place.

The refit has seen the holdout's rows, so its loss there proves nothing; here a refit that went wrong is found: one
that is worse even on rows it has seen, or that predicts another level or decides otherwise on rows that both models
have learned. On the holdout they must differ: that is what the refit is for.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from validation.intervals import paired_interval

Floats = npt.NDArray[np.float64]
MAX_BIAS_GROWTH = 0.02  # of a probability, or of the label's standard deviation (regression)
GROWTH_ERRORS = 2.0  # or so many standard errors, where that is more: few or faded rows have a level by chance
MAX_CHURN = 0.15  # share of rows that are decided otherwise
LARGE_CHANGE = 1.0  # regression: a row is decided otherwise when it moves by this many standard deviations of the label


def guard_refit(
    *,
    proven_prediction: npt.ArrayLike,
    refit_prediction: npt.ArrayLike,
    proven_loss: npt.ArrayLike,
    refit_loss: npt.ArrayLike,
    label: npt.ArrayLike,
    task: Literal["binary", "multiclass", "regression"],
    weight: npt.ArrayLike | None = None,
    blocks: npt.ArrayLike | None = None,
) -> tuple[str, ...]:
    """Reasons against the refit, none when it may go on. Losses are over rows of the holdout that the refit saw;
    predictions, labels, `weight` (what the row weighed in training; None: all the same) and `blocks` (its day) over
    rows that both models were trained on. Without these, and without days, a bias has no standard error.

    Multiclass predictions are (rows, classes), and their bias is not judged. No rows: nothing can be said of them.
    """
    proven, refit = np.asarray(proven_prediction, dtype=np.float64), np.asarray(refit_prediction, dtype=np.float64)
    if not np.isfinite(refit).all():
        return (f"the refit's prediction is not a number on {int((~np.isfinite(refit)).sum()):,} rows",)
    reasons = _worse(np.asarray(proven_loss), np.asarray(refit_loss))
    if not len(proven):
        return tuple(reasons)
    truth = np.asarray(label, dtype=np.float64)
    scale = label_scale(truth, task=task)
    if task != "multiclass":
        weights = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
        days = None if blocks is None else np.asarray(blocks)
        reasons += _shifted((truth - proven) / scale, (truth - refit) / scale, weights, days)
    churn = float(decided_otherwise(proven, refit, task=task, scale=scale).mean())
    if churn > MAX_CHURN:
        reasons.append(f"the refit decides {churn:.1%} of the rows otherwise, at most {MAX_CHURN:.0%} may be")
    return tuple(reasons)


def _worse(old: Floats, new: Floats) -> list[str]:
    if not len(old) or float(new.mean()) <= float(old.mean()):
        return []
    return [f"the refit's loss is {new.mean():.5f}, the proven model's {old.mean():.5f}, on rows the refit saw"]


def _shifted(old: Floats, new: Floats, weights: Floats, days: npt.NDArray[np.int64] | None) -> list[str]:
    """Whether the mean of label - prediction, `old` and `new` by row, has moved away from 0 by more than chance."""
    old_bias, new_bias = float(np.average(old, weights=weights)), float(np.average(new, weights=weights))
    allowed = MAX_BIAS_GROWTH
    if days is not None:
        deviation = (new - new_bias) * weights / weights.mean()  # its mean is 0: a ratio's residuals
        allowed = max(allowed, GROWTH_ERRORS * paired_interval(deviation, days, alpha=0.05).standard_error)
    if abs(new_bias) <= abs(old_bias) + allowed:
        return []
    moved = f"the refit's mean of label - prediction is {new_bias:+.4f}, the proven model's {old_bias:+.4f}"
    return [f"{moved}; it may be {allowed:.2g} further from 0"]


def label_scale(label: npt.NDArray[np.float64], *, task: str) -> float:
    """What a bias is measured in: 1 (of a probability), or the label's standard deviation; never 0."""
    return float(label.std()) or 1.0 if task == "regression" and label.size else 1.0


def decided_otherwise(
    proven: npt.NDArray[np.float64], refit: npt.NDArray[np.float64], *, task: str, scale: float
) -> npt.NDArray[np.bool_]:
    """Rows, as booleans, for which the two models stand for different decisions; `scale` as `label_scale` gives it."""
    if task == "multiclass":
        return np.asarray(proven.argmax(axis=1) != refit.argmax(axis=1))
    if task == "binary":
        return np.asarray((proven >= 0.5) != (refit >= 0.5))
    return np.asarray(np.abs(proven - refit) > LARGE_CHANGE * scale)
