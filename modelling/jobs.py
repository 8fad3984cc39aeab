"""What a training process does (modelling/isolation.py), as functions of plain values: no definition, no storage.

The flow calls them in a process of its own, a notebook in its own process: the same functions, the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

from modelling.leaks import Leak
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.spec import Search, Spec

# What is being done, how much of it (0 to 1), the best loss so far, and the seconds left, where these are known.
Progress = Callable[[str, float, float | None, float | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a challenger is to be made of training rows.

    `start`: the champion's recipe, or a default; `champion`: its model, where it can be loaded (its trees are what
    "continued" and "refit" build upon). `window`: length of the windows on which rungs are compared; `gap`: the labels'
    delay. `when` the search runs: "if needed" is when no rung is good enough. `study`: the folder of the search's
    journal, or a database's URL; "" keeps none.
    """

    spec: Spec
    start: Recipe
    champion: Model | None
    window: timedelta
    gap: timedelta
    search: Search
    when: Literal["never", "if needed", "always"]
    study: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of a plan. Without `model`: `leaks` were found, which tell why. `losses`: of the search's trials."""

    model: Model | None
    leaks: tuple[Leak, ...] = ()
    losses: tuple[float, ...] = ()
    words: str = ""


def learn(
    plan: Plan, train: pl.DataFrame, *, holdout: pl.DataFrame | None = None, progress: Progress | None = None
) -> Learned:
    """Look for leaks, choose a recipe and fit it on `train`; of `holdout` only the keys are looked at."""
    raise NotImplementedError
