"""What a recipe's model says to rows that it has not seen, for rows that the delivered model was trained on.

A model's own scores of its training rows are sharper than those that it will give. So the rows are divided into
contiguous folds of time, and each fold is asked of a model that was fitted by the same recipe on all other rows.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.recipes import Recipe
from modelling.spec import Spec


def cross_fitted(
    spec: Spec,
    frame: pl.DataFrame,
    recipe: Recipe,
    *,
    folds: int,
    since: datetime,
    gap: timedelta,
    seed: int,
    threads: int,
) -> NDArray[np.float64]:
    """Predictions for the rows of `frame` at or after `since`, in their order, each by a model that has not seen it."""
    raise NotImplementedError
