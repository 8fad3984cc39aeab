"""Several looks at one challenger, and still one error rate: the level that each look may use.

Error spending: of alpha, the share f(t) may be spent by the time that a share t of the planned information is there.
What a look adds is turned into its bound by the joint distribution of the statistics of all looks so far, which are
normal with independent increments. Sources: Lan and DeMets 1983 (spending); Armitage, McPherson and Rowe 1969 (the
recursion); Kim and DeMets 1987 (power family); Jennison and Turnbull 2000, chapters 3, 7 and 19.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from validation.intervals import Floats

RHO = 0.25  # f(t) = alpha * t ** RHO; below 1 the first looks get most: of three looks the first has 3/4 of alpha
_EDGE = 8.0  # standard errors below which nothing is lost (1e-15)
_GRID = 801  # points of the integration, odd for Simpson's rule; 1e-6 while each look adds 1 % or more


def nominal_alpha(alpha: float, fractions: Sequence[float], *, looks: int | None = None) -> float:
    """The one-sided level of the last of the looks taken so far, in [0, alpha].

    `fractions`: the information at each look so far, rising, as shares of what is planned. A look at 1 or more spends
    all that is left. With `looks`, the number that is planned, it is the last of them that does, however much there
    is; an earlier one spends as if it had not come before its turn. The chance that any look finds a gain where there
    is none is then alpha; less if looks also end early for lack of gain. 0 when nothing is left to spend. ValueError
    unless the fractions rise.
    """
    times = tuple(_spending_time(fraction, index + 1, looks) for index, fraction in enumerate(fractions))
    return _level(alpha, tuple(map(float, fractions)), times)


def bounds(spent: Sequence[float], fractions: Sequence[float]) -> tuple[float, ...]:
    """The upper bound of each look's z statistic, if `spent` is the error that may be spent by then (cumulative)."""
    _check(fractions)
    totals, times = tuple(map(float, spent)), tuple(map(float, fractions))
    return tuple(_bound(totals[: look + 1], times[: look + 1]) for look in range(len(times)))


def crossing(upper: Sequence[float], fractions: Sequence[float]) -> tuple[float, ...]:
    """The chance that each look's z statistic is the first above its bound, when there is no effect."""
    _check(fractions)
    found, walk = [], _Walk()
    for bound, fraction in zip(upper, fractions, strict=True):
        found.append(walk.chance(bound, fraction))
        walk = walk.beyond(bound, fraction)
    return tuple(found)


def _level(alpha: float, fractions: tuple[float, ...], times: tuple[float, ...]) -> float:
    from scipy.special import ndtr  # scipy takes 0.25 s, and `import andon` must be light

    _check(fractions)
    if times == (1.0,):
        return alpha
    return float(ndtr(-_bound(tuple(alpha * time**RHO for time in times), fractions)))


@lru_cache(maxsize=4_096)
def _bound(spent: tuple[float, ...], fractions: tuple[float, ...]) -> float:
    """The bound of the last of these looks."""
    before = spent[-2] if len(spent) > 1 else 0.0
    return _walk(spent[:-1], fractions[:-1]).bound(spent[-1] - before, fractions[-1])


@lru_cache(maxsize=512)
def _walk(spent: tuple[float, ...], fractions: tuple[float, ...]) -> "_Walk":
    if not fractions:
        return _Walk()
    return _walk(spent[:-1], fractions[:-1]).beyond(_bound(spent, fractions), fractions[-1])


def _spending_time(fraction: float, look: int, looks: int | None) -> float:
    if looks is None:
        return min(fraction, 1.0)
    return 1.0 if look >= looks else min(fraction, look / looks)


def _check(fractions: Sequence[float]) -> None:
    rising = all(before < after for before, after in pairwise((0.0, *fractions)))
    if not len(fractions) or not rising or not np.isfinite(fractions).all():
        raise ValueError(f"fractions must be one or more rising numbers above 0, got {tuple(fractions)}")


class _Walk:
    """Where the z statistic of the last look may be, given that no bound was crossed: a density on a grid."""

    def __init__(self, points: Floats | None = None, mass: Floats | None = None, fraction: float = 0.0) -> None:
        self.points, self.mass, self.fraction = points, mass, fraction  # mass: density times Simpson's weight

    def chance(self, bound: float, fraction: float) -> float:
        """That the next look's statistic is above `bound`."""
        from scipy.special import ndtr

        if self.points is None or self.mass is None:
            return float(ndtr(-bound))
        return float(self.mass @ ndtr(-self._distance(np.array([bound]), fraction)[:, 0]))

    def bound(self, chance: float, fraction: float) -> float:
        """The bound with this chance; infinite when there is nothing to spend."""
        from scipy.optimize import brentq

        if self.chance(_EDGE, fraction) >= chance:
            return float("inf")
        return float(brentq(lambda bound: self.chance(bound, fraction) - chance, -_EDGE, _EDGE, xtol=1e-12))

    def beyond(self, bound: float, fraction: float) -> "_Walk":
        """The walk after a look that stayed at or below `bound`."""
        points = np.linspace(-_EDGE, min(bound, _EDGE), _GRID)
        weights = np.ones(_GRID)
        weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
        weights *= (points[1] - points[0]) / 3.0
        if self.points is None or self.mass is None:
            density = _normal(points)
        else:
            slope = np.sqrt(fraction / (fraction - self.fraction))
            density = slope * (self.mass @ _normal(self._distance(points, fraction)))
        return _Walk(points, density * weights, fraction)

    def _distance(self, points: Floats, fraction: float) -> Floats:
        """From each old point to each new one, in standard deviations of the step between: (old, new)."""
        assert self.points is not None  # noqa: S101  # the callers have checked
        start, end = np.sqrt(self.fraction) * self.points, np.sqrt(fraction) * points
        return np.asarray((end[None, :] - start[:, None]) / np.sqrt(fraction - self.fraction))


def _normal(values: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * values**2) / np.sqrt(2.0 * np.pi))
