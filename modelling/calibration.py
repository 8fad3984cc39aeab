"""Correcting probabilities by what came true: a monotone table of scores whose labels are known.

Isotonic regression of the labels on the scores (Zadrozny and Elkan 2002), each of its steps at its rows' mean score and
straight lines between them (Oron and Flournoy 2017), so that no two scores become one: whatever ranks rows, ranks them
as before. The table is fitted on rows that the trees have not seen; on their own rows trees are too sure.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import classes_of, label_values
from modelling.mapped import kept
from modelling.spec import Spec
from modelling.weights import column_weights
from validation.errors import DefinitionError
from validation.watch.scores import isotonic

Array = NDArray[np.float64]

Grow = Callable[[pl.DataFrame], Callable[[pl.DataFrame], Array]]  # rows -> what predicts rows, `Model.predict`

# By turns, not the newer rows asked of trees of the older ones: such a table takes a tide, which the model will have
# learned, for an error of the scores. On flights it lost by it: benchmarks/calibration.py.
BLOCKS = 40
# In how many parts: each is asked of trees of the others. Trees of half of few rows are other trees than those of all.
PARTS = ((50_000, 2), (0, 5))
MIN_OF_KIND = 50  # rows of a class, and of the others; with fewer, chance would spoil more than the table mends
MOST_BINS = 256
ROWS_IN_BIN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Straight lines through (`scores`, `chances`), both rising from 0 to 1, no two of either alike."""

    scores: tuple[float, ...]
    chances: tuple[float, ...]

    def __post_init__(self) -> None:
        for values in (self.scores, self.chances):
            ends = len(values) == len(self.scores) > 1 and (values[0], values[-1]) == (0.0, 1.0)
            if not ends or not all(low < high for low, high in pairwise(values)):
                raise DefinitionError("a calibration's table must rise from 0 to 1; train anew")

    def one(self, score: float) -> float:
        """The corrected probability: what `many` gives, to the last bit."""
        at = bisect_right(self.scores, score) - 1
        if not 0 <= at < len(self.scores) - 1:  # 1, or nan
            return score
        low, high = self.scores[at : at + 2]
        slope = (self.chances[at + 1] - self.chances[at]) / (high - low)
        return slope * (score - low) + self.chances[at]

    def many(self, scores: Array) -> Array:
        """The corrected probabilities of `scores`, of any shape; nan stays nan."""
        return np.asarray(np.interp(scores, self.scores, self.chances), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A table for each output of a model: one for a binary task, one for each class of several (None: as it is).

    Several classes are corrected one against the rest, and then made to sum to 1 again. `rows`: of which the tables
    were made. A plain value: the manifest holds it.
    """

    tables: tuple[Table | None, ...]
    rows: int

    def many(self, predictions: Array) -> Array:
        """Corrected predictions, in the shape of `predictions`: (n,), or (n, k) with rows that sum to 1."""
        if predictions.ndim == 1:
            return _many(self.tables[0], predictions)
        columns = [_many(table, predictions[:, number]) for number, table in enumerate(self.tables)]
        total = sum(columns)  # in the order of `one`, to the last bit
        return np.column_stack([column / total for column in columns])

    def one(self, prediction: float | list[float]) -> float | list[float]:
        """The same for one row's prediction."""
        if not isinstance(prediction, list):
            table = self.tables[0]
            return prediction if table is None else table.one(prediction)
        found = [p if table is None else table.one(p) for table, p in zip(self.tables, prediction, strict=True)]
        total = sum(found)
        return [p / total for p in found]


def fit_calibration(predictions: Array, labels: Array, weights: Array | None = None) -> Calibration | None:
    """The calibration of these rows, which the trees that predicted them have not seen.

    `predictions` (n,) or (n, k), `labels` as `Model.labels`, `weights` of the rows (n,), without class weights. None
    where MIN_OF_KIND rows of either kind are missing, of all classes.
    """
    heavy = np.ones(len(labels)) if weights is None else weights
    outputs = predictions.reshape(len(labels), -1)
    kinds = [labels == 1.0] if predictions.ndim == 1 else [labels == number for number in range(outputs.shape[1])]
    tables = tuple(_table(outputs[:, number], yes, heavy) for number, yes in enumerate(kinds))
    return Calibration(tables=tables, rows=len(labels)) if any(tables) else None


def unseen_calibration(spec: Spec, frame: pl.DataFrame, grow: Grow) -> Calibration | None:
    """What `Training.calibration` asks for, of the model that is going to be fitted on all of `frame`; None without.

    `grow` fits in the same way, but without a calibration. The rows are divided by turns, block of time by block of
    time, into two parts (five where they are few), and each part is asked of trees of the others: of two parts it costs
    about a fit, of five about four. None as well where such trees would have less than two classes to learn from, or no
    class has MIN_OF_KIND rows.
    """
    if spec.training.calibration == "none" or not frame.height:
        return None
    classes, labels = classes_of(spec.task, frame[spec.target]), frame[spec.target]
    parts = next(parts for rows, parts in PARTS if frame.height >= rows)
    part = (_blocks(frame[spec.time]) % parts).to_numpy()
    found = np.zeros((frame.height, len(classes)) if classes else frame.height)
    asked = [part == number for number in np.unique(part)]
    if min(labels.filter(~own).n_unique() for own in asked) < 2:
        return None
    for own in asked:
        rest = kept(frame, pl.Series(~own))
        known = [classes.index(level) for level in classes_of(spec.task, rest[spec.target])]
        told = grow(rest)(kept(frame, pl.Series(own)))
        found[np.ix_(own, np.array(known)) if classes else own] = told  # 0: of a class that these trees do not know
    return fit_calibration(found, label_values(spec.task, labels, classes), column_weights(spec, frame))


def _blocks(moments: pl.Series) -> pl.Series:
    """The number of each row's block; rows of one moment are in one."""
    return (moments.rank("min") - 1) * BLOCKS // len(moments)


def _many(table: Table | None, scores: Array) -> Array:
    return scores if table is None else table.many(scores)


def _table(scores: Array, yes: NDArray[np.bool_], weights: Array) -> Table | None:
    """The table of one output; None where either kind of row is rare."""
    kinds = np.count_nonzero(yes), np.count_nonzero(~yes)
    if min(kinds) < MIN_OF_KIND or not np.isfinite(scores).all():
        return None
    bins = max(1, min(MOST_BINS, len(scores) // ROWS_IN_BIN))
    edges = np.unique(np.quantile(scores, np.arange(1, bins) / bins, method="inverted_cdf"))
    held = np.searchsorted(edges, scores, side="right")
    rows, came, said = _sums(held, weights, weights * yes, weights * scores)
    return _through(*_steps(rows, came, said))


def _steps(rows: Array, came: Array, said: Array) -> tuple[Array, Array]:
    """Mean score and chance of each step of the isotonic regression, neither 0 nor 1.

    Each step is given one row more, which came true as often as all do (Laplace): what never happened may yet.
    """
    step = np.unique(isotonic(came, rows), return_inverse=True)[1]
    rows, came, said = _sums(step, rows, came, said)
    usual = came.sum() / rows.sum()
    return said / rows, isotonic(came + usual, rows + 1)


def _sums(group: NDArray[np.intp], *values: Array) -> list[Array]:
    """The sums of each of `values` by group, without groups that hold nothing of the first."""
    sums = [np.asarray(np.bincount(group, each), dtype=np.float64) for each in values]
    return [each[sums[0] > 0] for each in sums]


def _through(scores: Array, chances: Array) -> Table:
    """The table through these points and both ends; of points that do not rise, the first alone."""
    found = [(0.0, 0.0)]
    for score, chance in zip(scores.tolist(), chances.tolist(), strict=True):
        if all(last < value < 1.0 for last, value in zip(found[-1], (score, chance), strict=True)):
            found.append((score, chance))
    found.append((1.0, 1.0))
    return Table(scores=tuple(score for score, _ in found), chances=tuple(chance for _, chance in found))
