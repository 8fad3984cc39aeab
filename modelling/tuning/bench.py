"""The rows of a search: the newest part judges, the rest trains; encoded and binned once, shared by all that grows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.boosting.dataset import Dataset, dataset
from modelling.boosting.live import Live, thinned
from modelling.boosting.parameters import parameters
from modelling.encoding import Encoding, fit_encoding
from modelling.inputs import inputs_of
from modelling.labels import Classes, classes_of, label_values
from modelling.recipes import Number, Recipe
from modelling.spec import Search, Spec
from modelling.splits import inner_split, newest
from modelling.tuning.costs import Table, round_cost
from modelling.weights import judge_weights, row_weights

VALIDATION_SHARE = 0.2  # of the rows, the newest
# Rows are thinned evenly to this many for each second of budget, so that a search is more than two or three trials.
# Fixed, so that it does not depend on the machine's load.
ROWS_PER_SECOND = 20_000
# A long race on few rows finds who wins in the end sooner than a short one on many, which is won by who learns fastest.
# Where there are more than three times as many, so many race; whoever wins is grown on all rows.
RACE_ROWS = 100_000
_MANY_TIMES = 3
JUDGES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """What boosters are grown on. `train` has all rows that train, `race` fewer where they are many; `whole`: the size
    of the table on which the winner is fitted in the end, without judges.
    """

    spec: Spec
    policy: Search
    start: Recipe
    encoding: Encoding
    classes: Classes
    train: Dataset
    race: Dataset
    validation: Dataset
    table: Table
    race_table: Table
    whole: Table

    def live(self, recipe: Recipe, *, on_race: bool = False) -> Live:
        """A booster without trees yet."""
        return Live(self._parameters(recipe), self.race if on_race else self.train, self.validation)

    def cost(self, params: Mapping[str, Number], *, on_race: bool = False) -> float:
        """Of one round of boosting."""
        return round_cost(params, self.race_table if on_race else self.table)

    def scaled(self, recipe: Recipe) -> Recipe:
        """The recipe for all rows: with the cube root of how many times as many come more rounds."""
        scaled = round(recipe.rounds * math.cbrt(self.whole.rows / self.table.rows))
        return self.recipe(recipe.params, rounds=max(recipe.rounds, min(scaled, self.policy.rounds)))

    def recipe(self, params: Mapping[str, Number], *, rounds: int) -> Recipe:
        """A fresh one that takes the start's rows and weights."""
        span, half_life = self.start.span_days, self.start.half_life_days
        return Recipe(params=dict(params), rounds=rounds, span_days=span, half_life_days=half_life)

    def _parameters(self, recipe: Recipe) -> dict[str, Any]:
        return parameters_of(self.spec, recipe, self.policy, classes=self.classes, encoding=self.encoding)


def parameters_of(
    spec: Spec, recipe: Recipe, policy: Search, *, classes: Classes, encoding: Encoding
) -> dict[str, Any]:
    """LightGBM's, by the search's seed and threads."""
    return parameters(spec, recipe, classes=classes, seed=policy.seed, threads=policy.threads, encoding=encoding)


def bench_of(spec: Spec, frame: pl.DataFrame, *, start: Recipe, policy: Search, gap: str | timedelta) -> Bench | None:
    """The bench for `start` (its span and half-life hold for all recipes); None when the rows are too few to divide.

    `frame`: labelled rows, none of which the gate's holdout has.
    """
    rows = newest(frame, time=spec.time, days=start.span_days)
    trains, judges = _divided(spec, rows, policy=policy, gap=gap)
    one_class = spec.task == "multiclass" and trains[spec.target].n_unique() < 2  # it may be that newer rows have more
    if not trains.height or not judges.height or one_class:
        return None
    classes = classes_of(spec.task, trains[spec.target])
    labels = label_values(spec.task, judges[spec.target], classes)
    known = labels >= 0 if classes else np.full(len(labels), fill_value=True)  # LightGBM cannot judge a new class
    if not known.any():
        return None
    inputs = inputs_of(spec, trains)
    encoding = fit_encoding(inputs, min_rows=spec.training.min_level_rows)
    params = parameters_of(spec, start, policy, classes=classes, encoding=encoding)
    weights = row_weights(spec, trains, start, classes)
    train = dataset(
        encoding, inputs, label_values(spec.task, trains[spec.target], classes), params=params, weights=weights
    )
    validation = dataset(
        encoding,
        inputs_of(spec, judges).filter(known),
        labels[known],
        params=params,
        weights=judge_weights(spec, labels[known]),
        reference=train,
    )
    race = _raced(train, trains.height, params)
    sizes = {"inputs": len(encoding.columns), "trees": max(1, len(classes))}
    judged = int(known.sum())
    return Bench(
        spec=spec, policy=policy, start=start, encoding=encoding, classes=classes,
        train=train, race=race, validation=validation,
        table=Table(rows=trains.height, judged=judged, **sizes),
        race_table=Table(rows=race.num_data(), judged=judged, **sizes),
        whole=Table(rows=rows.height, **sizes),
    )  # fmt: skip


def _divided(
    spec: Spec, rows: pl.DataFrame, *, policy: Search, gap: str | timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that train and those that judge, both thinned evenly where they are many for the budget."""
    step = math.ceil(rows.height / (policy.budget_seconds * ROWS_PER_SECOND)) or 1
    fold = inner_split(rows, time=spec.time, gap=gap, share=VALIDATION_SHARE)
    judging = max(step, math.ceil(fold.validation.size / JUDGES))
    return rows[fold.train[::step]], rows[fold.validation[::judging]]


def _raced(train: Dataset, rows: int, params: Mapping[str, Any]) -> Dataset:
    if rows <= _MANY_TIMES * RACE_ROWS:
        return train
    positions: NDArray[np.int64] = np.arange(0, rows, math.ceil(rows / RACE_ROWS))
    return thinned(train, positions.tolist(), params)
