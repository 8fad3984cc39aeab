"""What a model must beat to be worth anything: the best constant, and a linear model on the same inputs."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import fit_encoding
from modelling.inputs import inputs_of
from modelling.labels import Classes, classes_of, label_values
from modelling.linear import fit_linear
from modelling.metrics import baseline_prediction, row_losses
from modelling.spec import Spec

Array = NDArray[np.float64]

CONSTANT, LINEAR = "constant", "linear"
# That the linear model is fitted on, drawn with a fixed seed: for some hundred columns more are not needed.
MAX_ROWS = 50_000


def baselines(spec: Spec, train: pl.DataFrame, rows: pl.DataFrame) -> Mapping[str, Array]:
    """By baseline (CONSTANT, LINEAR), the loss of each of `rows`, (n,), in the pipeline's metric.

    Both are fitted on `train`, all of whose rows weigh the same. ContractError for bad labels.
    """
    classes = classes_of(spec.task, train[spec.target])
    labels = label_values(spec.task, rows[spec.target], classes)
    predicted = baseline_predictions(spec, train, rows, classes=classes)
    return {name: row_losses(spec.task, spec.metric, labels, found) for name, found in predicted.items()}


def baseline_predictions(
    spec: Spec, train: pl.DataFrame, rows: pl.DataFrame, *, classes: Classes
) -> Mapping[str, Array]:
    """By baseline, its predictions for `rows`: (n,), or (n, k) in order of `classes`, those of `train`."""
    labels = label_values(spec.task, train[spec.target], classes)
    constant = baseline_prediction(spec.task, spec.metric, labels)
    return {
        CONSTANT: np.broadcast_to(constant, (rows.height, *constant.shape)),
        LINEAR: _linear(spec, train, rows, classes=classes),
    }


def _linear(spec: Spec, train: pl.DataFrame, rows: pl.DataFrame, *, classes: Classes) -> Array:
    drawn = train
    if train.height > MAX_ROWS:  # not every n-th: that would be the same hours of each day
        drawn = train[np.sort(np.random.default_rng(0).choice(train.height, MAX_ROWS, replace=False))]
    inputs = inputs_of(spec, drawn)
    encoding = fit_encoding(inputs)
    model = fit_linear(
        encoding.encode(inputs),
        label_values(spec.task, drawn[spec.target], classes),
        categorical=encoding.categorical,
        task=spec.task,
        metric=spec.metric,
        classes=len(classes),
    )
    return model.predict(encoding.encode(inputs_of(spec, rows)))
