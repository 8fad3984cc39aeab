"""What a champion's bundle carries to estimate its performance before labels come (`estimator.json`)."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from validation.watch.estimates import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """Made by `build_estimator` when a champion is registered; `estimate` is asked for each window."""

    metric: str

    def estimate(self, inputs: pl.DataFrame, predictions: NDArray[np.float64]) -> Estimate | None:
        """`inputs`: of the champion's features (`Bundle.inputs`), row by row with `predictions`. None without rows."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Compact JSON text; `from_json` gives an equal value back."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, text: str) -> "Estimator":
        """Read what `to_json` wrote; BundleError for anything else."""
        raise NotImplementedError
