"""An estimate of a champion's performance in a window whose labels have not come: the value, and how sure it is.

How an estimate is made: scores.py here for a binary task, modelling/loss_model.py for a regression.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

LEVEL = 0.95  # share of windows without drift whose realised value lies within the interval
MIN_WINDOWS = 5  # with fewer, nobody knows how far an estimate may be off


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a window's performance probably is, before its labels have come. Never a measurement.

    `loss` is the pipeline's metric, mean per row; it comes out between `lower` and `upper` in `level` of the windows,
    as long as a prediction means what it meant in the reference. `metrics`: what else is estimated (binary: "auc",
    "accuracy", "f1", "positive rate"; regression: "l1", "l2"), without those that are not defined for the window;
    `intervals`: of each of them. `usual`: what the same estimate said of the reference's windows, the mean.
    """

    method: str
    rows: int
    loss: float
    lower: float
    upper: float
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    usual: float | None = None
    level: float = LEVEL


def spread_of(errors: Iterable[Mapping[str, tuple[float, float]]]) -> dict[str, float]:
    """By metric, from (error, its variance by labels' own chance) of each window: the variance that is left over.

    The mean square of the errors less the mean of these variances, at least 0 (a moment estimator, as DerSimonian and
    Laird 1986 have it for studies); a bias of the estimates counts as spread.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for window in errors:
        for name, pair in window.items():
            found.setdefault(name, []).append(pair)
    return {
        name: max(float(np.mean([error**2 - noise for error, noise in pairs])), 0.0) for name, pairs in found.items()
    }


def interval(value: float, *, noise: float, spread: float, windows: int) -> tuple[float, float]:
    """Where the realised value will be with probability LEVEL: a prediction interval of variance noise + spread.

    `noise`: variance by the labels' own chance in this window; `spread`: by what differs between windows, known from
    so many `windows`: t with one degree of freedom less, as far as spread has a share in the variance.
    """
    from scipy.special import stdtrit

    total = noise + spread * (1 + 1 / windows)
    if not isfinite(total) or total <= 0:
        return value, value
    # Degrees of freedom of a sum of a known variance and an estimated one (Satterthwaite 1946).
    freedom = (windows - 1) * (total / (total - noise)) ** 2 if total > noise else 1e6
    reach = float(stdtrit(min(freedom, 1e6), (1 + LEVEL) / 2)) * total**0.5
    return value - reach, value + reach
