"""How sure is a mean difference, when the rows of a day are alike? Block-clustered t intervals."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MIN_BLOCKS = 2  # fewer have no spread, so the interval is infinite
# The lag-1 correlation of G values about their own mean is too small by (1 + 3 rho) / (G - 1) (Kendall 1954), which for
# small ones is BIAS / G. No more than MAX_BIAS is added, and no more than MAX_CORRELATION believed: with few blocks
# beyond is mostly noise. As safe as dividing by 1 - 4 / G, and sees more (7 days at 20 %: 77 for 72 of 100 gains).
BIAS, MAX_BIAS, MAX_CORRELATION = 1.5, 0.12, 0.6
# Days that are alike, with noise on top, show a small lag-1 correlation that dies away slowly: at least this slowly.
PERSISTENCE = 0.4
# Of the degrees of freedom, because the correlation is itself an estimate; without it, small levels are exceeded three
# times as often as they say (14 days, AR 0.4: 0.7 % at 0.18 %).
FREEDOM = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its one-sided bounds, each at alpha; infinite ones (never nan) when there are fewer than 2 blocks.

    `effective_blocks`: how many independent blocks the correlated ones are worth; `freedom`: of the t distribution.
    """

    mean: float
    standard_error: float
    lower: float
    upper: float
    blocks: int
    rows: int
    effective_blocks: float = 0.0
    freedom: float = 0.0


def paired_interval(difference: npt.ArrayLike, blocks: npt.ArrayLike, *, alpha: float) -> Interval:
    """Interval of the mean of `difference`, one value per row; `blocks` is the row's block, an integer (a day).

    The ratio estimator for clusters: block sums S, sizes n, mean = sum S / sum n, residuals r = S - mean n over G
    blocks, variance G sum r^2 / ((G' - 1) (sum n)^2), t with G' - 1 degrees of freedom. Without neighbours (numbers
    that differ by one) G' = G; with one row per block that is the classical t interval. Neighbours may be alike: with
    rho, their bias-corrected correlation (0 if negative: it widens only), the blocks are worth G' = G / (1 + 2 sum over
    lags k of (1 - k / G) rho phi^(k - 1)), phi = max(rho, PERSISTENCE), at least 2, and t has half the degrees of
    freedom, at least 1.

    Checked by simulation (tests/unit/test_intervals.py): with 7 to 60 blocks, AR(1) of 0 to 0.4, noise on top or not,
    a level of 5 % or 20 % is kept. Sources: Cochran, Sampling Techniques, 1977, 9A.2 (clusters as the units of a
    ratio); Zwiers and von Storch 1995 (effective number); Kendall 1954 (bias of rho).
    """
    from scipy.special import stdtrit  # 0.25 s, and `import andon` must be light

    values, groups = np.asarray(difference, dtype=np.float64), np.asarray(blocks)
    if values.shape != groups.shape or values.ndim != 1:
        raise ValueError(f"difference and blocks must be one row each, got shapes {values.shape} and {groups.shape}")
    if not np.isfinite(values).all():
        raise ValueError("difference holds NaN or infinity: leave out rows without a label or a prediction first")
    names, index = np.unique(groups, return_inverse=True)
    count = len(names)
    mean = float(values.mean()) if len(values) else 0.0
    if count < MIN_BLOCKS:
        return Interval(mean=mean, standard_error=inf, lower=-inf, upper=inf, blocks=count, rows=len(values))
    residuals = np.asarray(np.bincount(index, weights=values - mean), dtype=np.float64)
    effective, freedom = _worth(residuals, names)
    error = float(np.sqrt(count * (residuals**2).sum() / (effective - 1)) / len(values))
    reach = float(stdtrit(freedom, 1 - alpha)) * error
    return Interval(
        mean=mean,
        standard_error=error,
        lower=mean - reach,
        upper=mean + reach,
        blocks=count,
        rows=len(values),
        effective_blocks=effective,
        freedom=freedom,
    )


def p_not_below(interval: Interval) -> float:
    """One-sided p-value of "the mean is not below 0", in [0, 1]: small when it surely is, 1 if nothing is known."""
    from scipy.special import stdtr

    if interval.blocks < MIN_BLOCKS:
        return 1.0
    if interval.standard_error == 0:
        return 0.0 if interval.mean < 0 else 1.0
    return float(stdtr(interval.freedom, interval.mean / interval.standard_error))


def upper_at(interval: Interval, alpha: float) -> float:
    """The one-sided upper bound at another level than the interval's own."""
    from scipy.special import stdtrit

    if interval.blocks < MIN_BLOCKS:
        return inf
    return interval.mean + float(stdtrit(interval.freedom, 1 - alpha)) * interval.standard_error


def plain(value: float) -> float | None:
    """The number for a verdict: None instead of an infinity or nan, which JSON does not have."""
    return value if isfinite(value) else None


def _worth(residuals: Floats, names: npt.NDArray[Any]) -> tuple[float, float]:
    """How many independent blocks these are worth, and the degrees of freedom."""
    count, spread = len(residuals), float((residuals**2).sum())
    neighbours = np.diff(names) == 1
    if not neighbours.any():
        return float(count), count - 1.0
    found = float((residuals[1:] * residuals[:-1])[neighbours].sum()) / spread if spread else 0.0
    bias = min(BIAS / count, MAX_BIAS) * float(neighbours.mean())
    rho = min(max(found * count / (count - 1) + bias, 0.0), MAX_CORRELATION)
    phi = max(rho, PERSISTENCE)
    lags = (1 - (1 - phi**count) / (count * (1 - phi))) / (1 - phi)  # sum of (1 - k / G) phi^(k - 1)
    effective = max(count / (1 + 2 * rho * lags), float(MIN_BLOCKS))
    return effective, max(FREEDOM * (effective - 1), 1.0)
