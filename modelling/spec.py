"""What the machine learning needs to know of a pipeline: plain values, so that it never imports the definition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types

Task = Literal["binary", "multiclass", "regression"]
Features = Callable[[pl.LazyFrame], pl.LazyFrame]

# The first is the default. All are losses: smaller is better, and a loss of zero is perfect.
METRICS: dict[str, tuple[str, ...]] = {"binary": ("logloss",), "multiclass": ("logloss",), "regression": ("l2", "l1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The learning problem: raw rows in (`features` makes the model's inputs of them), `target` out.

    `raw_schema` is all that `features` ever sees, in training as in serving: labels and bookkeeping columns of a frame
    cannot leak into it. Inputs are all columns that `features` returns, without `key`, `time` and `target`. `features`
    works row by row: it keeps the number of rows and their order.
    """

    features: Features
    raw_schema: Mapping[str, pl.DataType]
    key: tuple[str, ...]
    time: str
    target: str
    task: Task
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """On which rows a challenger is trained and judged.

    `train`: "all" mature rows, or the newest span of them. `holdout`: the newest mature span, judged by the gate,
    never seen by training or search. `search_every`: an Optuna search at least this often (data time); otherwise
    only when the champion's parameters do not pass.
    """

    train: str | timedelta = "all"
    holdout: str | timedelta = "7d"
    search_every: str | timedelta = "90d"

    def __post_init__(self) -> None:
        check_types(self, part="retrain")
        if self.train != "all":
            object.__setattr__(self, "train", duration(self.train, field="retrain.train"))
        object.__setattr__(self, "holdout", duration(self.holdout, field="retrain.holdout"))
        object.__setattr__(self, "search_every", duration(self.search_every, field="retrain.search_every"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How long and from where Optuna searches: it ends at `budget_seconds` or after `max_trials`, whichever is first.

    `rounds`: most trees of a model; `threads`: LightGBM's threads (1 makes results independent of the machine's load).
    """

    budget_seconds: float = 60.0
    max_trials: int = 200
    seed: int = 7
    rounds: int = 400
    threads: int = 2

    def __post_init__(self) -> None:
        check_types(self, part="search")
        if self.budget_seconds <= 0:
            raise DefinitionError(f"search.budget_seconds must be above 0, got {self.budget_seconds}")
        for name in ("max_trials", "rounds", "threads"):
            if getattr(self, name) < 1:
                raise DefinitionError(f"search.{name} must be at least 1, got {getattr(self, name)}")
