"""What a tree costs, by a formula: so that a race at equal cost is the same race whatever the machine's load.

In seconds of the processor on which it was calibrated (1 thread, 63 bins, row-wise; 54 settings of three tables
of 50,000 and 250,000 rows, 14 to 30 inputs: mean error 9 %, at most 31 %). Seconds that matter are measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

from modelling.recipes import Number

_PER_ROW, _PER_ROW_AND_LEVEL = 14.6e-9, 6.1e-9  # gradients, scores, bagging; which leaf it falls into
_PER_VALUE = 0.74e-9  # a row's input in a histogram, for each level of a balanced tree
_PER_JUDGED_ROW = 8e-9  # for each level
_PER_HISTOGRAM = 340e-9  # an input's bins, looked through for each leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The size of what is grown on: rows, inputs, rows that judge after each tree, and trees in a round."""

    rows: int
    inputs: int
    judged: int = 0
    trees: int = 1


def round_cost(params: Mapping[str, Number], table: Table) -> float:
    """The cost of one round of boosting by these parameters; above 0."""
    leaves = max(2, params["num_leaves"])
    levels, used = log2(leaves), table.inputs * params["feature_fraction"]
    rows = table.rows * (_PER_ROW + levels * (_PER_ROW_AND_LEVEL + _PER_VALUE * used))
    return table.trees * (rows + table.judged * _PER_JUDGED_ROW * levels + leaves * table.inputs * _PER_HISTOGRAM)
