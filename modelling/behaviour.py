"""Does a model keep the behaviour that its pipeline declares? Raw columns are changed, and the model is asked again."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from validation.behaviour import BehaviourResult, Check

MAX_ROWS = 2_000  # evenly spaced rows that are asked; more would not say more


class Predictor(Protocol):
    """A model or a bundle: raw rows in, predictions out."""

    def predict(self, raw: pl.DataFrame) -> NDArray[np.float64]:
        """One prediction for each row, or one row of class probabilities."""


def measure(checks: Sequence[Check], model: Predictor, rows: pl.DataFrame) -> tuple[BehaviourResult, ...]:
    """Each check's share of violations on at most MAX_ROWS evenly spaced raw rows; the same for the same rows."""
    raise NotImplementedError
