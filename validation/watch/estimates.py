"""How good is a binary champion before its labels come? An estimate from its scores alone; it judges nothing.

Confidence-based performance estimation: a table, made of scores whose labels are known, says how often a score came
true; a window's scores then say how many labels of each kind to expect, and so what any metric would be. It holds as
long as a score goes on meaning what it meant: concept drift (other labels follow from the same inputs) it cannot see.
Source of the idea: NannyML's CBPE; of the measurements: research/drift.md, 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 512
LEVEL = 0.95  # share of windows without drift whose realised value lies within the interval
MIN_WINDOWS = 5  # with fewer, nobody knows how far an estimate may be off
DECISION = 0.5  # a higher score is counted as a "yes", for accuracy and F1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a window's performance probably is, before its labels have come. Never a measurement.

    `loss` is the pipeline's metric, mean per row, between `lower` and `upper` in `level` of windows while a score means
    what it meant in the reference. `metrics`: what else is estimated (binary: "auc", "accuracy", "f1", "positive rate";
    regression: "l1", "l2"), without those that are not defined for the window; `intervals`: of each of them.
    """

    method: str
    rows: int
    loss: float
    lower: float
    upper: float
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    level: float = LEVEL
