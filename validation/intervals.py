"""How sure is a mean difference, when the rows of a day are alike? Block-clustered t intervals."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MIN_BLOCKS = 2  # fewer have no spread, so the interval is infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its one-sided bounds, each at alpha; infinite ones (never nan) when there are fewer than 2 blocks."""

    mean: float
    standard_error: float
    lower: float
    upper: float
    blocks: int
    rows: int


def paired_interval(difference: npt.ArrayLike, blocks: npt.ArrayLike, *, alpha: float) -> Interval:
    """Interval of the mean of `difference`, one value per row; `blocks` is the row's block, an integer (a day).

    The ratio estimator for clusters: with block sums S and sizes n, mean = sum S / sum n and residual r = S - mean n,
    variance = G/(G-1) * max(sum r^2, sum r^2 + 2 sum r_b r_(b+1)) / (sum n)^2 over G blocks, neighbours being blocks
    whose numbers differ by one. t with G-1 degrees of freedom. The lag-1 term widens only. With one row per block and
    no correlation it is the classical t interval. Source: Cochran, Sampling Techniques, 1977, 9A.2 (clusters as the
    units of a ratio); Hansen and Hodrick 1980 (equal-weight lag term).
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
    error = _standard_error(values - mean, index, names)
    reach = float(stdtrit(count - 1, 1 - alpha)) * error
    return Interval(
        mean=mean, standard_error=error, lower=mean - reach, upper=mean + reach, blocks=count, rows=len(values)
    )


def plain(value: float) -> float | None:
    """The number for a verdict: None instead of an infinity or nan, which JSON does not have."""
    return float(value) if isfinite(value) else None


def _standard_error(residuals: Floats, index: npt.NDArray[np.intp], names: npt.NDArray[Any]) -> float:
    sums = np.bincount(index, weights=residuals)
    neighbours = np.diff(names) == 1
    own = float(sums @ sums)
    lagged = float((sums[:-1] * sums[1:])[neighbours].sum())
    count = len(sums)
    return float(np.sqrt(count / (count - 1) * max(own, own + 2 * lagged)) / len(residuals))
