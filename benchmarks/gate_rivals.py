"""How others decide: newer is better, the paired test of independent rows, and DeLong's test of two AUCs.

Each is given what it asks for as sums over rows, so that re-tests on growing evidence cost little.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

RIVALS = ("new > old", "paired test, iid", "DeLong")
_BINS = 4096
_REACH = 12.0  # logits beyond are in the outermost bin


def newer_is_better(gain: Floats) -> Flags:
    """`gain`: mean of the champion's loss less the challenger's."""
    return np.asarray(gain > 0)


def paired_iid(gain: Floats, square: Floats, rows: npt.NDArray[Any] | int, *, alpha: float) -> Flags:
    """One-sided z test as if rows were independent; `square`: mean of the squared differences."""
    error = np.sqrt((square - gain**2) / (rows - 1))
    return np.asarray(gain > float(ndtri(1 - alpha)) * error)


@dataclass(frozen=True, slots=True, kw_only=True)
class AucDifference:
    """The challenger's AUC less the champion's, with DeLong's standard error."""

    difference: float
    standard_error: float

    def promotes(self, *, alpha: float) -> bool:
        """One-sided at `alpha`."""
        return self.difference > float(ndtri(1 - alpha)) * self.standard_error


def bins_of(scores: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Logits in 4,096 equal bins, 0.006 wide; rows of one bin are ties. Any shape."""
    scaled = (scores + scores.dtype.type(_REACH)) * scores.dtype.type(_BINS / (2 * _REACH))
    return np.asarray(np.clip(scaled, 0, _BINS - 1).astype(np.intp))


def delong(label: npt.NDArray[Any], champion: Floats, challenger: Floats) -> AucDifference:
    """DeLong, DeLong and Clarke-Pearson 1988, from the labels (0.0 or 1.0) and both models' placements."""
    apart = challenger - champion
    ones = int(label.sum(dtype=np.float64))
    zeros = len(label) - ones
    total, total_ones = float(apart.sum()), float(apart @ label)
    squares, squares_ones = float(apart @ apart), float((apart * apart) @ label)
    difference = total_ones / ones
    variance_ones = (squares_ones - total_ones**2 / ones) / (ones - 1)
    variance_zeros = (squares - squares_ones - (total - total_ones) ** 2 / zeros) / (zeros - 1)
    error = np.sqrt(max(variance_ones / ones + variance_zeros / zeros, 0.0))
    return AucDifference(difference=difference, standard_error=float(error))


def placements(label: npt.NDArray[Any], binned: npt.NDArray[np.intp]) -> Floats:
    """The share of the other class that each row is ranked right against; ties count half. O(n), without sorting."""
    cells = 2 * binned + label.astype(np.intp)
    counts = np.bincount(cells, minlength=2 * _BINS).reshape(_BINS, 2)
    below = np.cumsum(counts, axis=0) - counts / 2
    zeros, ones = counts.sum(axis=0)
    table = np.stack([1 - below[:, 1] / ones, below[:, 0] / zeros], axis=1)
    return np.asarray(table.ravel()[cells])
