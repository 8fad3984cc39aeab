"""What a champion's bundle carries to estimate its performance before labels come (`estimator.json`)."""

from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.loss_model import LossModel, loss_model
from modelling.manifest import BundleError
from modelling.spec import Spec
from validation.watch.estimates import Estimate
from validation.watch.scores import ScoreTable, score_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """Made by `build_estimator` when a champion is registered; `estimate` is asked for each window.

    `metric` is the pipeline's. Either `scores`, of a binary task, or `losses`, of a regression.
    """

    metric: str
    scores: ScoreTable | None = None
    losses: LossModel | None = None

    def estimate(self, inputs: pl.DataFrame, predictions: NDArray[np.float64]) -> Estimate | None:
        """`inputs`: of the champion's features (`Bundle.inputs`), row by row with `predictions`. None without rows.

        Rows whose prediction is not finite are left out; a binary table asks the predictions alone.
        """
        finite = np.isfinite(predictions)
        if self.scores is not None:
            return self.scores.estimate(self.scores.count(predictions[finite]))
        if self.losses is not None:
            return self.losses.estimate(inputs.filter(finite), predictions[finite], metric=self.metric)
        return None

    def to_json(self) -> str:
        """Compact JSON text; `from_json` gives an equal value back."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "Estimator":
        """Read what `to_json` wrote; BundleError for anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as cause:
            raise BundleError(f"the bundle's estimator.json cannot be read: {cause}; train anew") from cause


def build_estimator(
    spec: Spec,
    inputs: pl.DataFrame,
    *,
    predictions: NDArray[np.float64],
    labels: NDArray[np.float64],
    windows: NDArray[np.int64],
) -> Estimator | None:
    """The estimator of a model, from rows that it had not seen: one row each of its inputs, its predictions, labels
    (as `Model.labels`), and the number of the monitoring window.

    None where nothing can be said: for several classes there is no estimate, and too few windows hold rows.
    """
    if spec.task == "multiclass":
        return None
    if spec.task == "binary":
        scores = score_table(predictions, labels, windows, loss="brier" if spec.metric == "brier" else "logloss")
        return Estimator(metric=spec.metric, scores=scores) if scores else None
    losses = loss_model(inputs, predictions, labels, windows)
    return Estimator(metric=spec.metric, losses=losses) if losses else None
