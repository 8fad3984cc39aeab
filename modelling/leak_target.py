"""The target as the leak checks ask it: how far a column is the same, and how surely it alone tells it."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from modelling.labels import classes_of, label_values
from modelling.leak_scores import (
    Codes,
    Floats,
    Marks,
    binned,
    explained,
    learners,
    likeness,
    made_of,
    numbers,
    on_one_line,
    purity,
    ranked,
    separation,
)
from modelling.spec import Spec

COPY_PURITY = 0.95  # of the target's classes under other names; some labels are corrected later
MIN_LAGGED_ROWS = 30  # of which a sum of earlier labels is made
COPY_SHARE = 0.9  # of the rows, that are a scaled number's copies; some are not filled in


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """The sampled labels and their `ranks`; `classes`: their number, 0 for a number. `learns`: rows that the bins
    of a column learn from.

    `usual`: how far the label of the row before is the same (`same_as`), and what it tells (`told_by`): an input that
    tells hardly more may be an honest, lagged one.
    """

    labels: Floats
    ranks: Floats
    classes: int
    stretch: Codes
    learns: Marks
    usual: tuple[float, float] = (0.0, 0.0)

    @property
    def codes(self) -> Codes:
        """The labels as numbers of classes."""
        return self.labels.astype(np.int64)

    def told_by(self, column: pl.Series, bins: Codes, rows: Marks) -> float:
        """AUC of the column in these rows; or R^2, of the values, of their ranks, or of ranks by ranks: an order that
        is kept is as telling as the values.
        """
        if self.classes:
            return separation(bins[rows], self.codes[rows], self.classes, self.learns[rows])
        found = [explained(bins[rows], values[rows], self.learns[rows]) for values in (self.labels, self.ranks)]
        if is_number(column):
            found.append(likeness(ranked(numbers(column)[rows]), self.ranks[rows]))
        return float(np.fmax.reduce(found))

    def same_as(self, column: pl.Series, bins: Codes, *, ahead: int = 0) -> float:
        """How far the column is the target of the row so many rows later, under other names or in another scale."""
        here = np.arange(bins.size - ahead)
        here = here[self.stretch[here] == self.stretch[here + ahead]]
        if not self.classes:
            return on_one_line(numbers(column)[here], self.labels[here + ahead]) if is_number(column) else float("nan")
        if not here.size or int(bins.max(initial=0)) > 2 * self.classes:
            return float("nan")
        return purity(bins[here], self.codes[here + ahead], self.classes)

    def told_by_earlier(self, most: int) -> float:
        """R^2 of the best weighted sum of the labels of the rows before, of up to so many; 0 with too few rows."""
        for lags in range(most, 0, -1):
            rows = np.arange(lags, self.labels.size)
            rows = rows[self.stretch[rows] == self.stretch[rows - lags]]
            if rows.size >= MIN_LAGGED_ROWS:
                before = np.column_stack([self.labels[rows - lag] for lag in range(1, lags + 1)])
                return made_of(before, self.labels[rows], enough=float("inf"), most=lags)[1]
        return 0.0

    @property
    def copies(self) -> float:
        """From where on `same_as` is a copy."""
        return COPY_PURITY if self.classes else COPY_SHARE


def is_number(column: pl.Series) -> bool:
    """Whether the values are numbers or yes and no, so that they can be correlated."""
    return column.dtype.is_numeric() or column.dtype == pl.Boolean


def target_of(spec: Spec, labels: pl.Series, stretch: Codes) -> Target:
    """The sampled labels of the problem; `stretch` as `sample_rows` gives it. ContractError for bad labels."""
    classes = classes_of(spec.task, labels)
    count = {"binary": 2}.get(spec.task, len(classes))
    values = label_values(spec.task, labels, classes)
    target = Target(labels=values, ranks=ranked(values), classes=count, stretch=stretch, learns=learners(stretch))
    return replace(target, usual=_usual(target))


def _usual(target: Target) -> tuple[float, float]:
    follows = np.diff(target.stretch, prepend=-1) == 0
    before = pl.Series(np.roll(target.labels, 1)[follows])
    rest = Target(
        labels=target.labels[follows],
        ranks=target.ranks[follows],
        classes=target.classes,
        stretch=target.stretch[follows],
        learns=target.learns[follows],
    )
    bins = binned(before)
    return rest.same_as(before, bins), rest.told_by(before, bins, bins > 0)
