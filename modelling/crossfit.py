"""What a recipe's model says to rows that it has not seen, for rows that the delivered model was trained on.

A model's own scores of its training rows are sharper than those that it will give. So the rows are divided into
contiguous folds of time, and each fold is asked of a model that was fitted by the same recipe on all other rows.

NOTE: the other rows include later ones, which a model in service never has; where the world moves fast, its errors
there are larger than these.
"""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import classes_of
from modelling.mapped import kept
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.training import fit


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
    """Predictions for the rows of `frame` at or after `since`, in their order, each by a model that has not seen it.

    `frame`: labelled rows in order of time. Its rows from `since` on are divided at moments, into `folds` of about
    equally many rows; a fold's model is fitted on all rows but those from `gap` before its first to `gap` after its
    last: their labels may tell of the same days. A recipe that goes on from another model's trees is given trees of its
    own: those have seen the rows that are asked. Shape (n,); of several classes (n, k) in order of all classes of
    `frame`. nan for a fold that leaves nothing to learn from.
    """
    moment, classes = frame[spec.time], classes_of(spec.task, frame[spec.target])
    asked = kept(frame, moment >= since)
    found = np.full((asked.height, len(classes)) if classes else asked.height, np.nan)
    for first, last in _spans(asked[spec.time], folds):
        rest = kept(frame, (moment < first - gap) | (moment > last + gap))
        if not rest.height or (classes and rest[spec.target].n_unique() < 2):
            continue
        own = asked[spec.time].is_between(first, last)
        model = fit(spec, rest, recipe.alone, seed=seed, threads=threads)
        prediction = model.predict(kept(asked, own), threads=threads)
        if classes:
            wide = np.zeros((len(prediction), len(classes)))  # 0: of a class that this model does not know
            wide[:, [classes.index(level) for level in model.classes]] = prediction
            found[own.to_numpy()] = wide
        else:
            found[own.to_numpy()] = prediction
    return found


def _spans(moments: pl.Series, folds: int) -> list[tuple[datetime, datetime]]:
    """The first and last moment of each fold; rows of one moment are never divided."""
    parts = np.array_split(np.arange(moments.len()), folds)
    starts = sorted({moments[int(part[0])] for part in parts if len(part)})
    return [
        (start, moments.filter(moments < following).max() if following else moments.max())  # type: ignore[misc]
        for start, following in pairwise([*starts, None])
        if start
    ]
