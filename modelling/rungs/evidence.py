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
from modelling.splits import Fold

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
    """A window, and what a model said of it that was made of the rows before it; None where none could be.

    `positions` of the window's rows in the frame; `prediction` and `baseline_loss` as `Scored`'s, but in order of the
    model's own classes. No row is kept: some windows' rows with all before them are the frame many times over.
    """

    start: datetime
    positions: NDArray[np.int64]
    model: Model | None
    prediction: Array
    baseline_loss: Array


def asked(spec: Spec, frame: pl.DataFrame, fold: Fold, model: Model | None) -> Asked:
    """What `model`, made of the fold's rows of `frame` that train, says of those that judge."""
    said = loss = np.empty(0)
    if model is not None:
        rows, past = fold.validation_rows(frame), fold.train_rows(frame.select(spec.target))
        constant = baseline_prediction(spec.task, spec.metric, model.labels(past))
        said, loss = model.predict(rows), row_losses(spec.task, spec.metric, model.labels(rows), constant)
    return Asked(start=fold.start, positions=fold.validation, model=model, prediction=said, baseline_loss=loss)


def together(spec: Spec, windows: Sequence[Asked], *, frame: pl.DataFrame, since: datetime) -> Scored:
    """All windows' rows of `frame` as one; `since` stands for the first where no model could be made."""
    known = [(item, item.model) for item in windows if item.model is not None]
    levels = {level for _, model in known for level in model.classes}
    classes = tuple(pl.Series(list(levels)).sort()) if levels else ()
    rows = frame[np.concatenate([np.empty(0, dtype=np.int64), *(item.positions for item, _ in known)])]
    labels = label_values(spec.task, rows[spec.target], classes)
    predicted = [_spread(item.prediction, model.classes, classes) for item, model in known]
    shape = (0, len(classes)) if spec.task == "multiclass" else (0,)
    prediction = np.concatenate([np.empty(shape), *predicted])
    return Scored(
        rows=rows,
        prediction=prediction,
        labels=labels,
        loss=row_losses(spec.task, spec.metric, labels, prediction),
        baseline_loss=np.concatenate([np.empty(0), *(item.baseline_loss for item, _ in known)]),
        classes=classes,
        windows=len(windows),
        fits=len(known),
        since=known[0][0].start if known else since,
        newest=windows[-1].model if windows else None,
    )


def _spread(prediction: Array, known: Classes, classes: Classes) -> Array:
    """A model's probabilities in the columns of all classes."""
    if not classes:
        return prediction
    wide = np.zeros((len(prediction), len(classes)))
    wide[:, [classes.index(level) for level in known]] = prediction
    return wide
