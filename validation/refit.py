"""Is the refit on all mature rows still the model that was proven? It is promoted in the proven one's place.

The refit has seen the holdout's rows, so its loss there proves nothing; here a refit that went wrong is found: one
that is worse even on rows it has seen, or that predicts another level or decides otherwise on rows that both models
have learned. On the holdout they must differ: that is what the refit is for.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

MAX_BIAS_GROWTH = 0.02  # of a probability, or of the label's standard deviation (regression)
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
) -> tuple[str, ...]:
    """Reasons against the refit, none when it may go on. Losses are over the holdout's rows; predictions and labels
    over rows that both models were trained on.

    Multiclass predictions are (rows, classes), and their bias is not judged. No rows: nothing can be said against it.
    """
    proven, refit = np.asarray(proven_prediction, dtype=np.float64), np.asarray(refit_prediction, dtype=np.float64)
    if not len(proven):
        return ()
    if not np.isfinite(refit).all():
        return (f"the refit's prediction is not a number on {int((~np.isfinite(refit)).sum()):,} rows",)
    truth = np.asarray(label, dtype=np.float64)
    scale = label_scale(truth, task=task)
    reasons = []
    old_loss, new_loss = float(np.asarray(proven_loss).mean()), float(np.asarray(refit_loss).mean())
    if not new_loss <= old_loss:
        reasons.append(f"the refit's loss is {new_loss:.5f}, the proven model's {old_loss:.5f}, on rows the refit saw")
    if task != "multiclass":
        old_bias, new_bias = float((truth - proven).mean()) / scale, float((truth - refit).mean()) / scale
        if abs(new_bias) > abs(old_bias) + MAX_BIAS_GROWTH:
            reasons.append(
                f"the refit's mean of label - prediction is {new_bias:+.4f}, the proven model's {old_bias:+.4f}; "
                f"it may be {MAX_BIAS_GROWTH:g} further from 0"
            )
    churn = float(decided_otherwise(proven, refit, task=task, scale=scale).mean())
    if churn > MAX_CHURN:
        reasons.append(f"the refit decides {churn:.1%} of the rows otherwise, at most {MAX_CHURN:.0%} may be")
    return tuple(reasons)


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
