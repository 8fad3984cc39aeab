"""Correcting probabilities by what came true: a monotone table of scores whose labels are known.

Isotonic regression of the labels on the scores (Zadrozny and Elkan 2002), each of its steps at its rows' mean score and
straight lines between them (Oron and Flournoy 2017), so that no two scores become one: whatever ranks rows, ranks them
as before. The table is fitted on rows that the trees have not seen; on their own rows trees are too sure.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.spec import Spec

Array = NDArray[np.float64]

UNSEEN_SHARE = 0.25  # of the rows, the newest: the table is made of what trees of the older ones say to them
MIN_ROWS = 500  # of which a table is made; with fewer, chance would correct more than it mends
MIN_OF_KIND = 50  # of a label, and of the others; with fewer the class keeps its scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Straight lines through (`scores`, `chances`), both rising strictly from 0 to 1."""

    scores: tuple[float, ...]
    chances: tuple[float, ...]

    def one(self, score: float) -> float:
        """The corrected probability, as `many`; 0.3 us."""
        scores, chances = self.scores, self.chances
        at = bisect_right(scores, score) - 1
        if not 0 <= at < len(scores) - 1:
            return score if score != score else chances[0 if at < 0 else -1]  # noqa: PLR0124 - nan stays
        slope = (chances[at + 1] - chances[at]) / (scores[at + 1] - scores[at])
        return slope * (score - scores[at]) + chances[at]

    def many(self, scores: Array) -> Array:
        """The corrected probabilities, of any shape."""
        return np.interp(scores, self.scores, self.chances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A table for each output of a model: one for a binary task, one for each class of several (None: as it is).

    Several classes are corrected one against the rest and then made to sum to 1. A plain value: the manifest holds it.
    """

    tables: tuple[Table | None, ...]
    rows: int

    def many(self, predictions: Array) -> Array:
        """Corrected predictions, in the shape of `predictions`: (n,), or (n, k) with rows that sum to 1."""
        raise NotImplementedError

    def one(self, prediction: float | list[float]) -> float | list[float]:
        """The same for one row's prediction."""
        raise NotImplementedError


def fit_calibration(predictions: Array, labels: Array, weights: Array | None = None) -> Calibration | None:
    """The calibration of these rows, which the trees that predicted them have not seen.

    `predictions` (n,) or (n, k), `labels` as `Model.labels`, `weights` of the rows (n,), without class weights. None
    where the rows are too few for any table.
    """
    raise NotImplementedError


def unseen_calibration(
    spec: Spec, frame: pl.DataFrame, grow: Callable[[pl.DataFrame], Callable[[pl.DataFrame], Array]]
) -> Calibration | None:
    """What `Training.calibration` asks for, of the model that is going to be fitted on all of `frame`; None without.

    `grow` fits on older rows, in the same way but without a calibration, and returns what predicts rows
    (`Model.predict`). It costs a fit on three quarters of the rows.
    """
    raise NotImplementedError
