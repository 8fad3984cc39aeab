"""How surprising is a window's number, given how far the reference windows' numbers are from each other anyway?

The p-value of an exact prediction interval: t over the reference windows, whose own variance holds the day-to-day
movement; what is autocorrelated or heavier tailed than normal in the reference itself widens it. Formulas and
measured error rates: research on drift, sections 3a and 3d. All arithmetic is over K features at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Kind = Literal["shift", "spread", "skewness", "kurtosis", "nulls", "share", "mix", "unseen"]

# A smaller movement is never drift, however sure it is.
GATES: Mapping[Kind, float] = {
    "shift": 0.08,  # reference sd
    "spread": 0.05,  # log of the sd's ratio; outer bins make it smaller than it is: x1.1 is about 0.07
    "skewness": 0.3,
    "kurtosis": 0.6,
    "nulls": 0.02,  # share of rows, as all below
    "share": 0.03,
    "mix": 0.03,  # total variation, less what sampling alone makes
    "unseen": 0.001,
}
ONE_SIDED: tuple[Kind, ...] = ("mix", "unseen")  # only an increase counts
MAX_CORRELATION = 0.9
MIN_EFFECTIVE = 3.0  # windows that are left after the correction for autocorrelation
EXTREME = 0.98  # the quantile by which tails heavier than normal are recognised
SURE = 0.99  # of a season: what chance alone makes would be taken for one in a hundred numbers
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rhythm:
    """`slots` (windows,): the weekday, or time of day, of each reference window; `slot`: that of the window now."""

    slots: Ints
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usual:
    """One kind of number of K features in the reference windows; all are (K,).

    `owners`: which feature each is of; `parts`: which of its levels, of shares. `windows`: how many are compared with,
    less one for each mean of a season but the first; `alike`: how many the mean rests on, those of the same season.
    `mean`, `variance`: of these windows; `noise`: variance by sampling alone. `correlation`: between neighbours.
    `widening`: how much wider than normal the tails are, of all together.
    """

    kind: Kind
    owners: Ints
    parts: Ints
    windows: Ints
    alike: Ints
    mean: Floats
    variance: Floats
    noise: Floats
    correlation: Floats
    widening: float

    def only(self, rows: Bools) -> "Usual":
        """Some of the features; the tails stay those of all."""
        if rows.all():
            return self
        names = ("owners", "parts", "windows", "alike", "mean", "variance", "noise", "correlation")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measures:
    """One kind of number of K features now, and what is usual; all are (K,).

    `noise`: variance by sampling alone. `effect`: how far it moved, in the units of GATES. `least_p`: the p-value is
    never smaller.
    """

    usual: Usual
    now: Floats
    noise: Floats
    effect: Floats
    least_p: Floats

    @property
    def strength(self) -> Floats:
        """The movements in multiples of their gate; below 1 they do not matter."""
        return np.abs(self.effect) / GATES[self.usual.kind]


def usual(
    kind: Kind, owners: Ints, then: Floats, *, noise: Floats, part: int = 0, rhythm: Rhythm | None = None
) -> Usual:
    """From the numbers in the reference windows, `then` (K, windows) in order; nan: not compared with.

    Where they differ between the slots of the `rhythm` beyond chance (F test at the level SURE), each is taken as if it
    were of the slot of now, and the mean is that slot's.
    """
    season = _no_season(then) if rhythm is None else _season(then, rhythm)
    return Usual(
        kind=kind,
        owners=owners,
        parts=np.full(len(owners), part, dtype=np.int64),
        windows=season.windows,
        alike=season.alike,
        mean=season.mean,
        variance=season.variance,
        noise=noise,
        correlation=_correlation(season.then),
        widening=_widening(season.then, noise),
    )


def p_values(found: Measures) -> Floats:
    """(K,): probability of a value at least as far out if the window is one more of the reference's; in (0, 1].

    T = (now - mean) / (widening sqrt(variance (1 + 1/a))), t with m - 1 degrees of freedom, where m is the number of
    windows and a that of those that the mean rests on, both less for autocorrelation: m (1 - r) / (1 + r). The variance
    is the reference's, never below sampling noise, and larger when the window is smaller than the reference's.
    """
    from scipy.special import stdtr  # 0.25 s, and `import andon` must be light

    known = found.usual
    effective = known.windows * (1 - known.correlation) / (1 + known.correlation)
    effective = np.maximum(effective, np.minimum(MIN_EFFECTIVE, known.windows))
    rests_on = effective * known.alike / known.windows
    variance = np.maximum(known.variance + np.maximum(0.0, found.noise - known.noise), found.noise)
    statistic = (found.now - known.mean) / (known.widening * np.sqrt(variance * (1 + 1 / rests_on)) + TINY)
    one_sided = known.kind in ONE_SIDED
    tail = stdtr(effective - 1, -statistic) if one_sided else 2 * stdtr(effective - 1, -np.abs(statistic))
    bounded: Floats = np.minimum(1.0, np.maximum(np.maximum(found.least_p, tail), TINY))
    return bounded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Season:
    """The reference's numbers (K, windows) as if all were of one season, and what follows from them, (K,)."""

    then: Floats
    windows: Ints
    alike: Ints
    mean: Floats
    variance: Floats


def _no_season(then: Floats) -> _Season:
    mean, variance = _mean_and_variance(then)
    count = (~np.isnan(then)).sum(axis=1)
    return _Season(then=then, windows=count, alike=count, mean=mean, variance=variance)


def _season(then: Floats, rhythm: Rhythm) -> _Season:
    from scipy.special import fdtri

    plain = _no_season(then)
    member = rhythm.slots[:, None] == np.unique(rhythm.slots)
    count = (~np.isnan(then)).astype(np.float64) @ member
    means = np.divide(np.nan_to_num(then) @ member, count, out=np.zeros_like(count), where=count > 0)
    own = means @ member.T
    mine = (~np.isnan(then))[:, rhythm.slots == rhythm.slot].sum(axis=1)
    here = means[:, np.unique(rhythm.slots) == rhythm.slot][:, 0]
    more = (count > 0).sum(axis=1) - 1  # means besides the first
    freedom = np.maximum(plain.windows - more - 1, 1)
    within = np.nansum((then - own) ** 2, axis=1)
    between = np.maximum(plain.variance * (plain.windows - 1) - within, 0)
    limit = fdtri(np.maximum(more, 1), freedom, SURE) * np.maximum(more, 1)
    differs = (mine > 1) & (more > 0) & (plain.windows - more > 2) & (between * freedom > limit * within)
    return _Season(
        then=np.where(differs[:, None], then - own + here[:, None], then),
        windows=np.where(differs, plain.windows - more, plain.windows),
        alike=np.where(differs, mine, plain.windows),
        mean=np.where(differs, here, plain.mean),
        variance=np.where(differs, within / freedom, plain.variance),
    )


def _mean_and_variance(then: Floats) -> tuple[Floats, Floats]:
    """Of each row's windows that are not nan: the mean, and the variance with n - 1."""
    count = (~np.isnan(then)).sum(axis=1)
    mean = np.nansum(then, axis=1) / count
    return mean, np.nansum((then - mean[:, None]) ** 2, axis=1) / np.maximum(count - 1, 1)


def _correlation(then: Floats) -> Floats:
    """(K,): lag-1 autocorrelation, corrected for its bias of -(1 + 3r)/m, in [0, 0.9].

    Each feature's own is drawn towards the mean of all, by how much they differ beyond their sampling error
    (1 - r^2)/m: few windows say little about one feature, but a season in one of many must not be averaged away.
    """
    count = (~np.isnan(then)).sum(axis=1)
    away = _packed(then - _mean_and_variance(then)[0][:, None])
    square = (away**2).sum(axis=1)
    lagged = (away[:, 1:] * away[:, :-1]).sum(axis=1)
    varies = square > TINY
    if not varies.any():
        return np.zeros(len(then))
    own = np.divide(lagged, square, out=np.zeros_like(square), where=varies)
    own += (1 + 3 * own) / count
    common = float(np.clip(own[varies].mean(), 0, MAX_CORRELATION))
    noise = (1 - common**2) / float(count[varies].mean())
    trust = max(0.0, 1 - noise / max(float(own[varies].var()), noise))
    drawn = np.where(varies, common + trust * (own - common), common)
    return np.clip(drawn, 0, MAX_CORRELATION)


def _packed(values: Floats) -> Floats:
    """What is not nan moves to the left, in order, and zeros follow: neighbours are neighbours among those compared."""
    order = np.argsort(np.isnan(values), axis=1, kind="stable")
    return np.nan_to_num(np.take_along_axis(values, order, axis=1), nan=0.0)


def _widening(then: Floats, noise: Floats) -> float:
    """The 98 % quantile of the reference windows' own |z|, each against the others, over the normal's; at least 1."""
    from scipy.special import ndtri, stdtr

    count = (~np.isnan(then)).sum(axis=1, keepdims=True).astype(np.float64)
    mean, variance = (item[:, None] for item in _mean_and_variance(then))
    away = then - mean
    others = mean - away / (count - 1)
    # Leaving one out: (n - 2) s_i^2 = (n - 1) s^2 - away^2 n / (n - 1)
    left = np.maximum(((count - 1) * variance - away**2 * count / (count - 1)) / (count - 2), noise[:, None])
    statistic = (then - others) / np.sqrt(np.maximum(left, TINY) * count / (count - 1))
    known = ~np.isnan(statistic)
    if not known.any():
        return 1.0
    freedom = np.broadcast_to(count - 2, then.shape)[known]
    scores = -ndtri(np.clip(stdtr(freedom, -np.abs(statistic[known])), 1e-300, 0.5))
    return max(1.0, float(np.quantile(scores, EXTREME) / ndtri((1 + EXTREME) / 2)))
