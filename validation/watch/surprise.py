"""How surprising is a window's number, given how far the reference windows' numbers are from each other anyway?

The p-value of an exact prediction interval: t over the reference windows, whose own variance holds the day-to-day
movement; what is autocorrelated or heavier tailed than normal in the reference itself widens it. Formulas and
measured error rates: research on drift, sections 3a and 3d.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kind = Literal["shift", "spread", "skewness", "kurtosis", "nulls", "share", "mix", "unseen"]

# A smaller movement is never drift, however sure it is.
GATES: Mapping[Kind, float] = {
    "shift": 0.1,  # reference sd
    "spread": 0.1,  # log of the sd's ratio
    "skewness": 0.3,
    "kurtosis": 0.6,
    "nulls": 0.02,  # share of rows, as all below
    "share": 0.03,
    "mix": 0.03,  # total variation, less what sampling alone makes
    "unseen": 0.001,
}
MAX_CORRELATION = 0.9
MIN_EFFECTIVE = 3.0  # windows that are left after the correction for autocorrelation
EXTREME = 0.98  # the quantile by which tails heavier than normal are recognised


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """One number of one feature: its values in the reference windows (in order), and now.

    `noise_then`, `noise_now`: variance by sampling alone in a reference window and now. `effect`: how far it moved,
    in the units of GATES. `least_p`: the p-value is never smaller. `one_sided`: only an increase counts.
    """

    kind: Kind
    then: Floats
    now: float
    noise_then: float
    noise_now: float
    effect: float
    least_p: float = 0.0
    one_sided: bool = False

    @property
    def strength(self) -> float:
        """The movement in multiples of its gate; below 1 it does not matter."""
        return abs(self.effect) / GATES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """What is pooled over features for one kind: lag-1 autocorrelation, and how much wider than normal tails are."""

    correlation: float = 0.0
    widening: float = 1.0


def pooled(found: Sequence[Measure]) -> dict[Kind, Tails]:
    """Autocorrelation and heavy tails of the reference itself, by kind of measure, over all features."""
    return {
        kind: Tails(correlation=_correlation(group), widening=_widening(group))
        for kind in GATES
        if (group := [measure for measure in found if measure.kind == kind])
    }


def p_value(measure: Measure, tails: Tails) -> float:
    """Probability of a value at least as far out, if the window is one more of the reference's kind; in (0, 1].

    T = (now - mean) / (widening sqrt(variance (1 + 1/m))), t with m - 1 degrees of freedom, where m is the number of
    windows, less for autocorrelation: m (1 - r) / (1 + r). The variance is the reference's, never below sampling
    noise, and larger when the window is smaller than the reference's.
    """
    from scipy.special import stdtr  # 0.25 s, and `import andon` must be light

    count = len(measure.then)
    effective = max(count * (1 - tails.correlation) / (1 + tails.correlation), min(MIN_EFFECTIVE, count))
    extra = max(0.0, measure.noise_now - measure.noise_then)
    variance = max(float(measure.then.var(ddof=1)) + extra, measure.noise_now)
    distance = measure.now - float(measure.then.mean())
    statistic = distance / (tails.widening * np.sqrt(variance * (1 + 1 / effective)) + np.finfo(float).tiny)
    tail = float(stdtr(effective - 1, -statistic if measure.one_sided else -abs(statistic)))
    return min(1.0, max(measure.least_p, tail if measure.one_sided else 2 * tail, np.finfo(float).tiny))


def _correlation(group: Sequence[Measure]) -> float:
    """Mean lag-1 autocorrelation, corrected for its bias of -(1 + 3r)/m, in [0, 0.9]."""
    found = []
    for measure in group:
        away = measure.then - measure.then.mean()
        if (spread := float(away @ away)) > 0:
            lagged = float(away[:-1] @ away[1:]) / spread
            found.append(lagged + (1 + 3 * lagged) / len(away))
    return float(np.clip(np.mean(found), 0, MAX_CORRELATION)) if found else 0.0


def _widening(group: Sequence[Measure]) -> float:
    """The 98 % quantile of the reference windows' own |z|, each against the others, over the normal's; at least 1."""
    from scipy.special import ndtri, stdtr

    scores = []
    for measure in group:
        count = len(measure.then)
        mean = (measure.then.sum() - measure.then) / (count - 1)
        square = ((measure.then**2).sum() - measure.then**2) / (count - 1) - mean**2
        variance = np.maximum(square * (count - 1) / (count - 2), max(measure.noise_then, np.finfo(float).tiny))
        statistic = (measure.then - mean) / np.sqrt(variance * count / (count - 1))
        scores.append(-ndtri(np.clip(stdtr(count - 2, -np.abs(statistic)), 1e-300, 0.5)))
    return max(1.0, float(np.quantile(np.concatenate(scores), EXTREME) / ndtri((1 + EXTREME) / 2)))
