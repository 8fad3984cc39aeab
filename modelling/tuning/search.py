"""Look for a better recipe: Optuna's TPE from the recipe at hand, judged on the newest rows, within a budget of time.

The result is never worse than the start on the validation rows; whether it is better on later ones is the gate's
question. Never sees the gate's holdout: the caller passes training rows only.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl

from modelling.boosting.dataset import Dataset, dataset
from modelling.boosting.growing import losses_by_round
from modelling.boosting.parameters import parameters
from modelling.encoding import fit_encoding
from modelling.inputs import inputs_of
from modelling.labels import classes_of, label_values
from modelling.recipes import DEFAULT_RECIPES, SPACE, Number, Recipe
from modelling.spec import Search, Spec
from modelling.splits import split
from modelling.tuning.results import Clock, Incumbent, Place, Progress, SearchResult

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

VALIDATION_SHARE = 0.2  # of the rows, the newest
PATIENCE_ROUNDS = 30  # without a new best loss, a trial ends
# Rows are thinned evenly to this many for each second of budget, so that a search is more than two or three trials:
# a trial on 100,000 rows takes about 0.7 s on two threads. Fixed, so that it does not depend on the machine's load.
ROWS_PER_SECOND = 20_000


def search(  # noqa: PLR0913 - what it is told before, and whom it tells meanwhile
    spec: Spec,
    frame: pl.DataFrame,
    *,
    start: Recipe,
    policy: Search,
    gap: str | timedelta,
    study: Place | None = None,  # noqa: ARG001 - follows
    progress: Progress | None = None,
    incumbent: Incumbent | None = None,  # noqa: ARG001 - follows
    clock: Clock = time.monotonic,
) -> SearchResult:
    """Try recipes until `policy.budget_seconds` have passed or `policy.budget_trials` are done.

    The deadline is kept within a trial, to the length of one tree. `progress` is called after each trial with the
    number done, the best loss so far and the seconds left. `gap` is the labels' delay, kept between the two parts.
    """
    began = clock()
    thinned = frame.gather_every(math.ceil(frame.height / (policy.budget_seconds * ROWS_PER_SECOND)) or 1)
    bench = _bench(spec, thinned, policy=policy, gap=gap, clock=clock, deadline=began + policy.budget_seconds)
    if bench is None:
        return SearchResult(recipe=start, trials=(), seconds=clock() - began)
    # The start runs to its end, without early stopping: whatever wins has beaten all of it.
    first = bench.run(start, patience=start.rounds)
    losses, best = [first.loss], start if first.ran < start.rounds else replace(start, rounds=first.rounds)
    study = _study(spec, start, first, seed=policy.seed)
    while True:
        if progress is not None:
            progress(len(losses), min(losses), max(0.0, bench.deadline - clock()))
        if len(losses) >= policy.budget_trials or clock() >= bench.deadline:
            return SearchResult(recipe=best, trials=tuple(losses), seconds=clock() - began)
        asked = study.ask(_distributions())
        candidate = Recipe(params=asked.params, rounds=policy.rounds)
        tried = bench.run(candidate, patience=PATIENCE_ROUNDS)
        study.tell(asked, tried.loss)
        if tried.loss < min(losses):
            best = replace(candidate, rounds=tried.rounds)
        losses.append(tried.loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """The best loss on the validation rows, after how many trees, and how many were grown."""

    loss: float
    rounds: int
    ran: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """The binned rows that all trials share."""

    train: Dataset
    validation: Dataset
    parameters: Callable[[Recipe], dict[str, Any]]
    deadline: float
    clock: Clock

    def run(self, recipe: Recipe, *, patience: int) -> _Trial:
        def is_over(losses: list[float]) -> bool:
            stale = len(losses) - 1 - losses.index(min(losses)) >= patience
            return stale or self.clock() >= self.deadline

        losses = losses_by_round(
            self.parameters(recipe),
            self.train,
            self.validation,
            rounds=recipe.rounds,
            stop=is_over,
        )
        loss = min(losses)
        return _Trial(loss=loss, rounds=losses.index(loss) + 1, ran=len(losses))


def _bench(
    spec: Spec, frame: pl.DataFrame, *, policy: Search, gap: str | timedelta, clock: Clock, deadline: float
) -> _Bench | None:
    if frame.is_empty():
        return None
    first = cast("datetime", frame[spec.time].quantile(1 - VALIDATION_SHARE, interpolation="nearest"))
    span = max(cast("datetime", frame[spec.time].max()) - first, timedelta(microseconds=1))
    parts = split(frame, time=spec.time, holdout=span, gap=gap, train="all")
    if parts.shortfall:
        return None
    classes = classes_of(spec.task, parts.train[spec.target])
    inputs = inputs_of(spec, parts.train)
    encoding = fit_encoding(inputs)

    def parameters_of(recipe: Recipe) -> dict[str, Any]:
        return parameters(spec, recipe, classes=classes, seed=policy.seed, threads=policy.threads)

    params = parameters_of(DEFAULT_RECIPES[spec.task][0])
    labels = label_values(spec.task, parts.train[spec.target], classes)
    train = dataset(encoding, inputs, labels, params=params)
    labels = label_values(spec.task, parts.holdout[spec.target], classes)
    known = labels >= 0 if classes else np.full(len(labels), fill_value=True)  # LightGBM cannot judge a new class
    if not known.any():
        return None
    later = inputs_of(spec, parts.holdout).filter(known)
    validation = dataset(encoding, later, labels[known], params=params, reference=train)
    return _Bench(train=train, validation=validation, parameters=parameters_of, deadline=deadline, clock=clock)


def _study(spec: Spec, start: Recipe, first: _Trial, *, seed: int) -> "Study":
    """A study in memory that knows the start's loss and tries the portfolio first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5))
    known = optuna.trial.create_trial(params=_inside(start), distributions=_distributions(), value=first.loss)
    study.add_trial(known)
    for recipe in DEFAULT_RECIPES[spec.task]:
        if recipe.params != start.params:
            study.enqueue_trial(dict(recipe.params))
    return study


def _inside(recipe: Recipe) -> dict[str, Number]:
    return {name: min(max(recipe.params[name], low), high) for name, (low, high) in SPACE.items()}


def _distributions() -> "dict[str, BaseDistribution]":
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(low, high, log=True)
        if isinstance(low, int) and isinstance(high, int)
        else FloatDistribution(low, high, log=not name.endswith("_fraction"))
        for name, (low, high) in SPACE.items()
    }
