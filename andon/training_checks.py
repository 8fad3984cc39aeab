"""Does what a definition says of training fit its task and its columns?"""

from collections.abc import Mapping

import polars as pl

from modelling.spec import Search, Training
from validation.durations import span
from validation.errors import DefinitionError

_DEADLINE_BUDGETS = 2  # beside a search, a process looks for leaks, compares ways of using the rows, and fits


def check_training(
    training: Training,
    *,
    task: str,
    metric: str,
    raw: Mapping[str, pl.DataType],
    inputs: Mapping[str, pl.DataType],
) -> None:
    """DefinitionError for a column that is not there or of the wrong kind, and for what this task cannot do.

    `raw`: the contract's columns and what is looked up; `inputs`: what `features` makes of them.
    """
    _check_task(training, task=task, metric=metric)
    if training.weight and not (training.weight in raw and raw[training.weight].is_numeric()):
        numeric = ", ".join(name for name, dtype in raw.items() if dtype.is_numeric())
        raise DefinitionError(f"training.weight must be a numeric column of {numeric}; got {training.weight!r}")
    for name in training.monotone:
        # NOTE: LightGBM aborts the process where a category is to be monotone.
        if name not in inputs or not (inputs[name].is_numeric() or inputs[name] == pl.Boolean):
            allowed = ", ".join(name for name, dtype in inputs.items() if dtype.is_numeric() or dtype == pl.Boolean)
            raise DefinitionError(f"training.monotone must name numeric inputs of {allowed}; got {name!r}")
    for name in training.trusted:
        if name not in inputs:
            raise DefinitionError(f"training.trusted must name inputs of {', '.join(inputs)}; got {name!r}")


def _check_task(training: Training, *, task: str, metric: str) -> None:
    for field in ("class_weight", "calibration"):
        if task == "regression" and getattr(training, field) != "none":
            raise DefinitionError(f'training.{field} is for classes, this task is a regression; leave it "none"')
    if training.monotone and task == "multiclass":
        raise DefinitionError("training.monotone: several classes cannot all rise with an input; leave it out")
    if training.monotone and metric == "l1":
        raise DefinitionError('training.monotone: LightGBM cannot with metric="l1"; take "l2", or leave it out')


def check_deadline(training: Training, search: Search) -> None:
    """DefinitionError for a training process that would be ended before its search, each time anew."""
    seconds, least = span(training.deadline).total_seconds(), _DEADLINE_BUDGETS * search.budget_seconds
    if seconds < least:
        raise DefinitionError(
            f"training.deadline ({seconds:g} s) must be at least {_DEADLINE_BUDGETS} times search.budget_seconds "
            f"({search.budget_seconds:g} s): the training process does more than search; "
            f"allow it {least:g} s or more, or search for at most {seconds / _DEADLINE_BUDGETS:g} s"
        )
