"""What a model must beat to be worth anything: the best constant, and a linear model on the same inputs."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import Classes, classes_of, label_values
from modelling.metrics import row_losses
from modelling.spec import Spec

Array = NDArray[np.float64]

CONSTANT, LINEAR = "constant", "linear"


def baselines(spec: Spec, train: pl.DataFrame, rows: pl.DataFrame) -> Mapping[str, Array]:
    """By baseline (CONSTANT, LINEAR), the loss of each of `rows`, (n,), in the pipeline's metric.

    Both are fitted on `train`. ContractError as `training.fit`.
    """
    classes = classes_of(spec.task, train[spec.target])
    labels = label_values(spec.task, rows[spec.target], classes)
    predicted = baseline_predictions(spec, train, rows, classes=classes)
    return {name: row_losses(spec.task, spec.metric, labels, found) for name, found in predicted.items()}


def baseline_predictions(
    spec: Spec, train: pl.DataFrame, rows: pl.DataFrame, *, classes: Classes
) -> Mapping[str, Array]:
    """By baseline, its predictions for `rows`: (n,), or (n, k) in order of `classes`, those of `train`."""
    raise NotImplementedError
