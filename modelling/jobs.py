"""What a training process does (modelling/isolation.py), as functions of plain values: no definition, no storage.

The flow calls them in a process of its own, a notebook in its own process: the same functions, the same bytes. Their
rows are prepared ones (modelling/prepared.py) or raw ones, as their `spec` says.

NOTE: who only passes the values on must not load lightgbm for it: what trains is imported where it is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.estimator import Estimator, build_estimator
from modelling.labels import classes_of, label_values
from modelling.leaks import Leak, find_leaks
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.spec import Search, Spec
from modelling.tuning.results import Place, SearchResult

# What is being done, how much of it (0 to 1), the best loss so far, and the seconds left, where these are known.
Progress = Callable[[str, float, float | None, float | None], None]
Array = NDArray[np.float64]
_ROW = "_row"
Champion = tuple[Model, str]  # and the sha256 of its bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a challenger is to be made of training rows.

    `start`: the champion's recipe, or a default; `champion`: its model and the sha256 of its bundle, where its trees
    may be built upon. `gap`: the labels' delay; `window`: length of the windows on which ways of using the rows are
    compared; `min_gain`: the share of its loss by which the champion must be beaten. `when` the search runs: "if
    needed" is when no rung is good enough. `study`: where the search's study is kept.
    """

    spec: Spec
    start: Recipe
    champion: Champion | None
    gap: timedelta
    window: timedelta
    min_gain: float
    search: Search
    when: Literal["never", "if needed", "always"]
    study: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """What came of a plan. Without `model`, `leaks` were found. `search`: None where none ran. `baselines`: by name,
    the losses of the holdout's rows.
    """

    model: Model | None
    leaks: tuple[Leak, ...] = ()
    search: SearchResult | None = None
    baselines: Mapping[str, Array] = field(default_factory=dict)


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


def learn(
    plan: Plan, train: pl.DataFrame, *, holdout: pl.DataFrame | None = None, progress: Progress | None = None
) -> Learned:
    """Look for leaks, choose a recipe and fit it on `train`; of `holdout` only the keys are looked at."""
    from modelling.training import fit

    tell = progress or _nobody
    tell("looking for leaks", 0.0, None, None)
    if leaks := find_leaks(plan.spec, train, holdout=holdout):
        return Learned(model=None, leaks=leaks)
    found = _searched(plan, train, tell) if plan.when == "always" else None
    recipe = found.recipe if found else plan.start
    tell("fitting the challenger", 0.0, None, None)
    base, policy = _base(recipe, plan.champion), plan.search
    model = fit(plan.spec, train, recipe, seed=policy.seed, threads=policy.threads, base=base)
    return Learned(model=model, search=found)


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

    tell = progress or _nobody
    tell("refitting on everything mature", 0.0, None, None)
    model = fit(spec, training, recipe, seed=seed, threads=threads, base=_base(recipe, champion))
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """What `Scored` is, with the positions of its rows in the frame in place of the rows."""

    positions: NDArray[np.int64]
    prediction: Array
    labels: Array
    loss: Array
    baseline_loss: Array
    fits: int


def prequential(spec: Spec, frame: pl.DataFrame, recipe: Recipe, **terms: Any) -> Windows:
    """See modelling/prequential.py."""
    from modelling.prequential import prequential as scored

    found = scored(spec, frame.with_row_index(_ROW), recipe, **terms)
    return Windows(
        positions=found.rows[_ROW].cast(pl.Int64).to_numpy(),
        prediction=found.prediction,
        labels=found.labels,
        loss=found.loss,
        baseline_loss=found.baseline_loss,
        fits=found.fits,
    )


def _searched(plan: Plan, train: pl.DataFrame, tell: Progress) -> SearchResult | None:
    """None where there were too few rows for a trial."""
    from modelling.tuning.search import search

    found = search(
        plan.spec, train, start=plan.start, policy=plan.search, gap=plan.gap, study=plan.study, progress=tell
    )
    return found if found.trials else None


def _base(recipe: Recipe, champion: Champion | None) -> Model | None:
    """The model whose trees the recipe names."""
    return champion[0] if champion and champion[1] == recipe.base else None


def _nobody(_doing: str, _share: float, _best: float | None, _left: float | None) -> None:
    """Nobody is told."""
