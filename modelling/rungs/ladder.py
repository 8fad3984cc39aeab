"""The ladder: cheap ways of using the rows, each fitted before windows of time and judged on them.

One function for three uses. A retrain chooses by windows before the gate's holdout; the monitor's probe and the gate's
prequential evidence are the choices made before each window, asked about that window: no choice is judged by rows that
made it. Which rows a model learns from matters more than its parameters (research/tuning.md), so spans and weightings
come first; trees continued upon the champion's, and its leaves refitted, are rungs too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.model import Model
from modelling.prequential import Scored
from modelling.recipes import Recipe
from modelling.spec import Spec

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the fits are made: on rows until `gap` before a window, at most those from its start - `train` on."""

    gap: timedelta
    seed: int
    threads: int
    train: str | timedelta = "all"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """The champion, whose trees may be used where it has seen no row of a window; `sha256` of its bundle."""

    sha256: str
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way of using the rows. `name`: the same from one ladder to the next, such as "1/4"; `words`: for people."""

    name: str
    recipe: Recipe
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one rung lost on one window: a plain value, which later ladders can be given so as not to fit it again."""

    start: datetime
    stop: datetime
    rung: str
    loss: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """What was found. `tried`: by all windows, those of earlier ladders too. `cost`: of all its fits, where 1 is one
    fit of the recipe on all rows of the frame; counted, not timed. `evidence`: the windows' rows, each asked of the
    rung that the windows before it had chosen. `chosen`: by all windows, for a fit on rows up to the end of the frame.
    """

    rungs: tuple[Rung, ...]
    tried: tuple[Tried, ...]
    cost: float
    evidence: Scored
    chosen: Rung

    @property
    def recipe(self) -> Recipe:
        """The chosen rung's recipe: to be given to `fit`, with the champion as `base` where its way is not fresh."""
        return self.chosen.recipe

    @property
    def why(self) -> str:
        """The choice in words, with the losses that it rests on."""
        raise NotImplementedError

    def is_good_enough(self, *, min_gain: float) -> bool:
        """Whether the choice is better than the champion as it is by that share of its loss, on windows that the
        champion has not seen; True where there are none, since nothing then speaks for a search.
        """
        raise NotImplementedError


def ladder(
    spec: Spec,
    frame: pl.DataFrame,
    recipe: Recipe,
    *,
    windows: Sequence[Window],
    terms: Terms,
    base: Base | None = None,
    earlier: Sequence[Tried] = (),
    progress: Progress | None = None,
) -> Ladder:
    """Try all rungs of the champion's `recipe` on the windows of `frame` (mature labelled rows in order of time).

    `windows`: [start, stop), oldest first, as `windows_between` or `rolling` give them. `earlier`: what older ladders
    found, so that their windows are not fitted again; those that reach into `windows` are ignored. `progress` is called
    with the fits done and their number. Never raises for want of rows: the choice is then the recipe itself.
    """
    raise NotImplementedError
