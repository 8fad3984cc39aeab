"""How sure is a mean difference, when the rows of a day are alike? Block-clustered t intervals."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MIN_BLOCKS = 2  # fewer have no spread, so the interval is infinite
BIAS = 4.0  # the lag-1 correlation of G values about their own mean is too small by (1 + 4 rho) / G: Kendall 1954
MAX_STRETCH = 1.5  # of the corrected correlation: with fewer than 12 blocks the full factor would be mostly noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its one-sided bounds, each at alpha; infinite ones (never nan) when there are fewer than 2 blocks.

    `effective_blocks`: how many independent blocks the correlated ones are worth.
    """

    mean: float
    standard_error: float
    lower: float
    upper: float
    blocks: int
    rows: int
    effective_blocks: float = 0.0


def paired_interval(difference: npt.ArrayLike, blocks: npt.ArrayLike, *, alpha: float) -> Interval:
    """Interval of the mean of `difference`, one value per row; `blocks` is the row's block, an integer (a day).

    The ratio estimator for clusters: block sums S, sizes n, mean = sum S / sum n, residuals r = S - mean n over G
    blocks. Neighbours (numbers that differ by one) may be alike: with rho, the bias-corrected lag-1 correlation of the
    residuals (0 if negative: it widens only), the blocks are worth G' = G (1 - rho) / (1 + rho), at least 2; the
    variance is G sum r^2 / ((G' - 1) (sum n)^2), and t has G' - 1 degrees of freedom. With one row per block and no
    correlation it is the classical t interval. Sources: Cochran, Sampling Techniques, 1977, 9A.2 (clusters as the
    units of a ratio); Zwiers and von Storch 1995 (effective number); Kendall 1954 (bias of rho).
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
    effective = _effective(residuals, names)
    error = float(np.sqrt(count * (residuals**2).sum() / (effective - 1)) / len(values))
    reach = float(stdtrit(effective - 1, 1 - alpha)) * error
    return Interval(
        mean=mean,
        standard_error=error,
        lower=mean - reach,
        upper=mean + reach,
        blocks=count,
        rows=len(values),
        effective_blocks=effective,
    )


def p_not_below(interval: Interval) -> float:
    """One-sided p-value of "the mean is not below 0", in [0, 1]: small when it surely is, 1 if nothing is known."""
    from scipy.special import stdtr

    if interval.blocks < MIN_BLOCKS:
        return 1.0
    if interval.standard_error == 0:
        return 0.0 if interval.mean < 0 else 1.0
    return float(stdtr(interval.effective_blocks - 1, interval.mean / interval.standard_error))


def plain(value: float) -> float | None:
    """The number for a verdict: None instead of an infinity or nan, which JSON does not have."""
    return value if isfinite(value) else None


def _effective(residuals: Floats, names: npt.NDArray[Any]) -> float:
    count, spread = len(residuals), float((residuals**2).sum())
    neighbours = np.diff(names) == 1
    if not spread or not neighbours.any():
        return float(count)
    found = float((residuals[1:] * residuals[:-1])[neighbours].sum()) / spread
    expected = -float(neighbours.mean()) / count  # of uncorrelated blocks
    stretch = min(count / (count - BIAS), MAX_STRETCH) if count > BIAS else MAX_STRETCH
    rho = min(max((found - expected) * stretch, 0.0), 1.0)
    return max(count * (1 - rho) / (1 + rho), float(MIN_BLOCKS))
