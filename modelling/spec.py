"""What the machine learning needs to know of a pipeline: plain values, so that it never imports the definition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import isfinite
from typing import Literal

import polars as pl

from modelling.fixable import check_fixed, check_space
from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types

Task = Literal["binary", "multiclass", "regression"]
Features = Callable[[pl.LazyFrame], pl.LazyFrame]

# The first is the default. All are losses: smaller is better, and a loss of zero is perfect.
METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("logloss", "brier"),
    "multiclass": ("logloss",),
    "regression": ("l2", "l1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How any model of this pipeline is fitted, by whatever recipe, and within which limits.

    `weight`: a raw numeric column, the weight of each row in training (above 0); "": all weigh the same.
    `class_weight`: "balanced" weighs classes as if they were equally frequent; probabilities are then too high for rare
    ones, and lose before the gate, unless they are calibrated. `calibration`: "isotonic" corrects probabilities by a
    monotone table made of rows that the trees have not seen; fits cost twice as much, and of a few thousand rows it
    gains nothing. `monotone`: input -> 1 (never falls with it) or -1 (never rises). `fixed`: LightGBM parameters that
    no search changes. `min_level_rows`: a category's level with fewer training rows is taken for an unseen one.
    `trusted`: inputs that the leak checks do not question. `memory_mb`: most memory that the training process may ask
    for (0: no limit of ours); `deadline`: after which it is ended, at least twice the search's `budget_seconds`.
    """

    weight: str = ""
    class_weight: Literal["none", "balanced"] = "none"
    calibration: Literal["none", "isotonic"] = "none"
    monotone: Mapping[str, int] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    min_level_rows: int = 20
    trusted: tuple[str, ...] = ()
    memory_mb: int = 0
    deadline: str | timedelta = "1h"

    def __post_init__(self) -> None:
        check_types(self, part="training")
        self._check_containers()
        object.__setattr__(self, "deadline", duration(self.deadline, field="training.deadline"))
        for name, allowed in (("class_weight", ("none", "balanced")), ("calibration", ("none", "isotonic"))):
            if getattr(self, name) not in allowed:
                wanted = " or ".join(repr(word) for word in allowed)
                raise DefinitionError(f"training.{name} must be {wanted}, got {getattr(self, name)!r}")
        check_fixed(self.fixed)
        if self.memory_mb < 0:
            raise DefinitionError(f"training.memory_mb must be 0 (no limit) or more, got {self.memory_mb}")
        if self.min_level_rows < 1:
            raise DefinitionError(f"training.min_level_rows must be at least 1, got {self.min_level_rows}")
        if odd := [sign for sign in self.monotone.values() if isinstance(sign, bool) or sign not in (1, -1)]:
            raise DefinitionError(f"training.monotone must be 1 or -1 for each input, got {odd[0]!r}")

    def _check_containers(self) -> None:
        """What `check_types` does not look into."""
        _check_mapping(self.monotone, field="training.monotone", like='{"wind": 1}')
        _check_mapping(self.fixed, field="training.fixed", like='{"max_depth": 6}')
        if not isinstance(self.trusted, tuple) or not all(isinstance(name, str) for name in self.trusted):
            like = f'("{self.trusted if isinstance(self.trusted, str) else "wind"}",)'
            raise DefinitionError(f"training.trusted must be a tuple of texts, got {self.trusted!r}; write {like}")


def _check_mapping(value: object, *, field: str, like: str) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise DefinitionError(f"{field} must be a mapping of names, such as {like}, got {value!r}")


def metric_of(task: str, metric: str) -> str:
    """The metric that steers, the task's first where none is named; DefinitionError for another task or metric."""
    if task not in METRICS:
        raise DefinitionError(f"task must be one of {', '.join(METRICS)}, got {task!r}")
    allowed = METRICS[task]
    if metric and metric not in allowed:
        raise DefinitionError(f"metric of a {task} task must be one of {', '.join(allowed)}, got {metric!r}")
    return metric or allowed[0]


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
    training: Training = field(default_factory=Training)


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
    """How long and where Optuna searches: it ends at `budget_seconds` or after `budget_trials`, whichever is first, or
    earlier when nothing is to be gained any more.

    A search that ends by `budget_trials` finds the same again, whatever the machine's load; one that ends by
    `budget_seconds` does not. `space`: parameter -> (lowest, highest), in place of the default range. `rounds`: most
    trees of a model; `threads`: LightGBM's threads.
    """

    budget_seconds: float = 60.0
    budget_trials: int = 200
    seed: int = 7
    rounds: int = 2_000
    threads: int = 2
    space: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self, part="search")
        if not (isfinite(self.budget_seconds) and self.budget_seconds > 0):
            raise DefinitionError(f"search.budget_seconds must be above 0 and finite, got {self.budget_seconds}")
        _check_mapping(self.space, field="search.space", like='{"num_leaves": (7, 63)}')
        check_space(self.space)
        for name in ("budget_trials", "rounds", "threads"):
            if getattr(self, name) < 1:
                raise DefinitionError(f"search.{name} must be at least 1, got {getattr(self, name)}")
