"""What models said of windows of time that are later than all they had seen, put together in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import Classes, label_values
from modelling.metrics import baseline_prediction, row_losses
from modelling.model import Model
from modelling.spec import Spec

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Rows in order of time, later than all that the model of their window has seen, and how each fared.

    `prediction`: of the window's model, (n,), or (n, k) in order of `classes`: all that any of them knows, 0 for those
    that this one does not. `labels` as `Model.labels`, by `classes`. `loss` of the models and `baseline_loss` of the
    best constant of their training rows: (n,), as `row_losses`. `windows` hold rows, `fits` of them could be trained
    for, the others are left out. `since`: where the first of these begins. `newest`: the last window's model.
    """

    rows: pl.DataFrame
    prediction: Array
    labels: Array
    loss: Array
    baseline_loss: Array
    classes: Classes
    windows: int
    fits: int
    since: datetime
    newest: Model | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A window, and the model that was made of the rows before it, if one could be; `past` are these."""

    start: datetime
    rows: pl.DataFrame
    past: pl.DataFrame
    model: Model | None


def together(spec: Spec, windows: Sequence[Asked], *, nothing: pl.DataFrame, since: datetime) -> Scored:
    """All windows' rows as one; `nothing` and `since` stand for them where no model could be made."""
    asked = [(item, item.model) for item in windows if item.model is not None]
    levels = {level for _, model in asked for level in model.classes}
    classes = tuple(pl.Series(list(levels)).sort()) if levels else ()
    rows = pl.concat([item.rows for item, _ in asked]) if asked else nothing.clear()
    labels = label_values(spec.task, rows[spec.target], classes)
    predicted = [_spread(model.predict(item.rows), model.classes, classes) for item, model in asked]
    shape = (0, len(classes)) if spec.task == "multiclass" else (0,)
    prediction = np.concatenate([np.empty(shape), *predicted])
    return Scored(
        rows=rows,
        prediction=prediction,
        labels=labels,
        loss=row_losses(spec.task, spec.metric, labels, prediction),
        baseline_loss=np.concatenate([np.empty(0), *(_baseline(spec, item, model) for item, model in asked)]),
        classes=classes,
        windows=len(windows),
        fits=len(asked),
        since=asked[0][0].start if asked else since,
        newest=windows[-1].model if windows else None,
    )


def _spread(prediction: Array, known: Classes, classes: Classes) -> Array:
    """A model's probabilities in the columns of all classes."""
    if not classes:
        return prediction
    wide = np.zeros((len(prediction), len(classes)))
    wide[:, [classes.index(level) for level in known]] = prediction
    return wide


def _baseline(spec: Spec, item: Asked, model: Model) -> Array:
    constant = baseline_prediction(spec.task, spec.metric, model.labels(item.past))
    return row_losses(spec.task, spec.metric, model.labels(item.rows), constant)
