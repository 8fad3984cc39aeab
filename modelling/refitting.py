"""What a training process does besides making a challenger (modelling/jobs.py): a refit, a probe, a plain fit.

Their rows are prepared ones (modelling/prepared.py) or raw ones, as their `spec` says.

NOTE: who only passes the values on must not load lightgbm for it: what trains is imported where it is used.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.estimator import Estimator, build_estimator
from modelling.jobs import Champion, base_of, nobody
from modelling.labels import classes_of, label_values
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.tuning.results import Progress

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recent:
    """The newest training rows, those from `since` on: by them a champion to be is known later.

    Row by row of them: `inputs` as the log keeps them, and the number of their monitoring window. Only what is before
    `until` counts. `folds`, `gap`: see `cross_fitted`.
    """

    since: datetime
    until: datetime
    inputs: pl.DataFrame
    windows: NDArray[np.int64]
    folds: int
    gap: timedelta


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unseen:
    """What models of the recipe said to recent rows, none of which they knew: the rows' `moments`, and `predictions`;
    `estimator`: made of these, None where nothing can be estimated.
    """

    moments: pl.Series
    predictions: Array
    estimator: Estimator | None


def refit(
    spec: Spec,
    training: pl.DataFrame,
    recipe: Recipe,
    recent: Recent,
    *,
    champion: Champion | None,
    seed: int,
    threads: int,
    progress: Progress | None = None,
) -> tuple[Model, Unseen]:
    """The recipe on everything, and what is needed to know this model later."""
    from modelling.training import fit

    tell = progress or nobody
    tell("refitting on everything mature", 0.0, None, None)
    model = fit(spec, training, recipe, seed=seed, threads=threads, base=base_of(recipe, champion))
    tell("asking it about rows that it has not seen", 0.2, None, None)
    return model, cross_fit(spec, training, recipe, recent, seed=seed, threads=threads)


def cross_fit(spec: Spec, training: pl.DataFrame, recipe: Recipe, recent: Recent, *, seed: int, threads: int) -> Unseen:
    """What the recipe's models say to the recent rows when they do not know them."""
    from modelling.crossfit import cross_fitted

    predictions = cross_fitted(
        spec,
        training,
        recipe.alone,
        folds=recent.folds,
        since=recent.since,
        gap=recent.gap,
        seed=seed,
        threads=threads,
    )
    rows = training.filter(pl.col(spec.time) >= recent.since)
    usable = (rows[spec.time] < recent.until).to_numpy() & np.isfinite(predictions.reshape(rows.height, -1)).all(axis=1)
    classes = classes_of(spec.task, training[spec.target])
    estimator = build_estimator(
        spec,
        recent.inputs.filter(usable),
        predictions=predictions[usable],
        labels=label_values(spec.task, rows[spec.target], classes)[usable],
        windows=recent.windows[usable],
    )
    return Unseen(moments=rows[spec.time].filter(usable), predictions=predictions[usable], estimator=estimator)


def probe(spec: Spec, frame: pl.DataFrame, **terms: Any) -> Model | None:
    """See modelling/probe.py."""
    from modelling.probe import probe as made

    return made(spec, frame, **terms)


def fitted(
    spec: Spec, frame: pl.DataFrame, recipe: Recipe, *, seed: int, threads: int, base: Model | None = None
) -> Model:
    """See `training.fit`."""
    from modelling.training import fit

    return fit(spec, frame, recipe, seed=seed, threads=threads, base=base)
