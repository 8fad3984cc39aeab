"""The recipe's record: its refits, each asked about the window of time after its data, as if it had served then.

What such evidence says of is the recipe, not one set of bytes. It must be paired with a champion that was trained
before `since`, and it is evidence only while the recipe was not searched on rows from `since` on: the caller's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.labels import Classes, label_values
from modelling.metrics import baseline_prediction, row_losses
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.splits import just_after
from modelling.training import Model, fit
from validation.durations import duration

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Rows in order of time, later than all that champion and refit of their window have seen, and how each fared.

    `prediction`: of the window's refit, (n,), or (n, k) in order of `classes`: all that any refit knows, 0 for those
    that this one does not. `labels` as `Model.labels`, by `classes`. `loss` of the refits and `baseline_loss` of the
    best constant of their training rows: (n,), as `row_losses`. `windows` hold rows, `fits` of them could be trained
    for, the others are left out. `since`: where the first of these begins. `newest`: the last window's refit.
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


def prequential(
    spec: Spec,
    frame: pl.DataFrame,
    recipe: Recipe,
    *,
    since: datetime,
    window: timedelta,
    gap: timedelta,
    train: str | timedelta,
    max_windows: int = 8,
    seed: int,
    threads: int,
    progress: Progress | None = None,
) -> Scored:
    """Score `recipe` on the newest windows from `since`, the champion's `trained_until`, to the end of `frame`.

    `frame`: mature labelled rows in order of time. For each window (see `windows_between`) the recipe is fitted on the
    rows before its start - `gap` ("all", or those from its start - `train` on), then asked. Left out are windows before
    which nothing can be trained. `progress` is called with the windows done and their number. Never raises for want of
    rows: the result is then empty.
    """
    raise NotImplementedError


def windows_between(since: datetime, end: datetime, *, window: timedelta, max_windows: int) -> tuple[Window, ...]:
    """The newest windows [start, stop) up to `end`, oldest first, none of which begins before `since`.

    All have the length `window`, except that the oldest begins at `since` where fewer than `max_windows` are needed: it
    has 0.5 to 1.5 times the length (less only when it is the only one), so that no row from `since` on is lost and none
    costs a fit for a sliver. None when `end` is not after `since`.
    """
    raise NotImplementedError
