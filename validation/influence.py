"""The area under the ROC curve as a mean of values per row, so that it can be compared row by row like a loss."""

import numpy as np
import numpy.typing as npt

from validation.intervals import Floats


def pseudo_losses(label: npt.ArrayLike, score: npt.ArrayLike) -> Floats:
    """One value for each row, shape (n,), whose mean is 1 - AUC and whose spread is that of the AUC's estimate.

    `label` 0 or 1; a larger `score` should mean 1. A row's placement V is the share of the rows of the other class
    that it is ranked right against, a tie counting one half; its value is 1 - AUC - (V - AUC) / (share of the row's
    class). So the interval of the mean paired difference of two models is that of the difference of their AUCs: with
    single rows as blocks the one of DeLong, DeLong and Clarke-Pearson 1988 (but for 1/n instead of 1/(n-1) within the
    classes). Values may lie outside [0, 1]. A score that is not finite gets nan and is no part of the others; nan for
    all rows when one class is missing, since there is no AUC then. O(n log n).
    """
    truth, scores = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"label and score must be one value per row, got shapes {truth.shape} and {scores.shape}")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("label must be 0 or 1; the AUC is for binary tasks")
    known = np.isfinite(scores)
    found = np.full(len(truth), np.nan)
    found[known] = _of_known(truth[known] == 1.0, scores[known])
    return found


def _of_known(positive: npt.NDArray[np.bool_], scores: Floats) -> Floats:
    share = float(positive.mean()) if len(positive) else 0.0
    if share in (0.0, 1.0):
        return np.full(len(scores), np.nan)
    placement = np.where(positive, _share_below(~positive, scores), 1.0 - _share_below(positive, scores))
    auc = float(placement[positive].mean())
    weight = np.where(positive, 1.0 / share, 1.0 / (1.0 - share))
    return np.asarray(1.0 - auc - (placement - auc) * weight)


def _share_below(others: npt.NDArray[np.bool_], scores: Floats) -> Floats:
    """For each row: the share of the rows `others` that score less; those that score the same count one half."""
    order = np.argsort(scores)
    ordered = scores[order]
    levels = np.empty(len(scores), dtype=np.intp)
    levels[order] = np.cumsum(np.append(False, ordered[1:] != ordered[:-1]))
    at = np.bincount(levels, weights=others)
    below = np.cumsum(at) - at / 2
    return np.asarray(below[levels] / at.sum())
