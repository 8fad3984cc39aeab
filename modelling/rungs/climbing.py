"""One window of a ladder: the rungs that can be tried before it, their fits, and what each lost on it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import Encoding
from modelling.mapped import at
from modelling.metrics import row_losses
from modelling.model import Model
from modelling.prepared import restored
from modelling.recipes import Recipe
from modelling.rungs.choosing import Tried
from modelling.rungs.evidence import Asked, asked
from modelling.rungs.found import CHAMPION
from modelling.rungs.rungs import FEWEST_ROWS, PLAIN, Base, Rung
from modelling.spec import Spec
from modelling.splits import Fold, Positions
from modelling.training import fit, fits

Array = NDArray[np.float64]

_ASKING = 0.5  # of growing a tree on a row: what finding the row's leaf costs

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """What came of one window. `cost`: of its fits, in rows times trees. `asked`: what the choice said of it."""

    tried: tuple[Tried, ...]
    asked: Asked | None
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Climber:
    """What all windows have in common. `frame` with `asks` are as the caller gave them, `rows` with `spec` prepared.

    `most`: of rows that are learned from, and that judge; None: no limits. `is_hasty`: `known` is not quite the
    champion's recipe.
    """

    asks: Spec
    frame: pl.DataFrame
    spec: Spec
    rows: pl.DataFrame
    known: Recipe
    base: Base | None
    seed: int
    threads: int
    most: tuple[int, int] | None = None
    is_hasty: bool = False

    def step(self, fold: Fold, rungs: Sequence[Rung], *, choice: Rung | None, tell: Tell) -> Step:
        """Try those of `rungs` that can be before this window; ask `choice` about it, or plain rows where it cannot;
        None: nobody asks.
        """
        past, base = self._past(fold), self._base(fold)
        days = days_of(past, time=self.spec.time)
        # Trees that a champion grew of all its rows would be compared with such as are grown of few, and in haste.
        under = base if past.height == fold.train.size and not self.is_hasty else None
        able = [rung for rung in rungs if self._is_able(rung, past, days=days, base=under)]
        if choice is not None and choice not in able:
            choice, able = PLAIN, able if PLAIN in able else [PLAIN, *able]
        if not _teaches(self.spec, past):
            able = []
        tried, chosen, judges = [], None, Judges(self._judges(fold, self.rows))
        for rung, model in self._models(past, able, days=days, base=base, tell=tell):
            tried.append(self._tried(fold, rung.name, model, judges))
            if rung == choice:
                chosen = restored(model, self.asks)
        if base is not None:
            tried.append(self._tried(fold, CHAMPION, base.model, Judges(self._judges(fold, self.frame))))
        return Step(
            tried=tuple(tried),
            asked=asked(self.asks, self.frame, fold, chosen) if choice is not None else None,
            cost=sum(fit_cost(rung, past.height, self.known) for rung in able),
        )

    def _past(self, fold: Fold) -> pl.DataFrame:
        return at(self.rows, _thinned(fold.train, most=self.most[0]) if self.most else fold.train)

    def _judges(self, fold: Fold, frame: pl.DataFrame) -> pl.DataFrame:
        return at(frame, _thinned(fold.validation, most=self.most[1]) if self.most else fold.validation)

    def losses(self, fold: Fold, rung: Rung, known: Recipe) -> Array | None:
        """What the rung with these parameters, made of the rows before the window, loses on each of its rows; None
        where it cannot be made. In place of a champion's trees that have seen of the window are such of all rows before
        it.
        """
        past, base = self._past(fold), self._base(fold)
        days, alone = days_of(past, time=self.spec.time), rung if base else replace(rung, base="")
        if not _teaches(self.spec, past) or not self._is_able(alone, past, days=days, base=base):
            return None
        recipe, under = alone.recipe(known, days=days), base.model if base else None
        model = fit(self.spec, past, recipe, seed=self.seed, threads=self.threads, base=under)
        return self._losses(model, Judges(self._judges(fold, self.rows)))

    def champion_loss(self, fold: Fold) -> float | None:
        """What the champion loses on the window; None where it has seen of it, or there is none."""
        base = self._base(fold)
        judges = Judges(self._judges(fold, self.frame))
        return self._tried(fold, CHAMPION, base.model, judges).loss if base else None

    def _base(self, fold: Fold) -> Base | None:
        return self.base if self.base and self.base.model.trained_until <= fold.start else None

    def _is_able(self, rung: Rung, past: pl.DataFrame, *, days: float, base: Base | None) -> bool:
        if rung.base and base is None:
            return False
        if rung.part == 1:
            return True
        oldest = cast("datetime", past[self.spec.time].max()) - timedelta(days=days / rung.part)
        within = past[self.spec.time] >= oldest
        if within.sum() < FEWEST_ROWS:
            return False
        return self.spec.task != "multiclass" or past[self.spec.target].filter(within).n_unique() > 1

    def _models(
        self, past: pl.DataFrame, rungs: Sequence[Rung], *, days: float, base: Base | None, tell: Tell
    ) -> Iterator[tuple[Rung, Model]]:
        if not rungs:
            return
        recipes = [rung.recipe(self.known, days=days) for rung in rungs]
        model = base.model if base else None
        found = fits(self.spec, past, recipes, seed=self.seed, threads=self.threads, base=model)
        for rung in rungs:
            tell(rung.words(days=days))
            yield rung, next(found)

    def _tried(self, fold: Fold, name: str, model: Model, judges: "Judges") -> Tried:
        loss = float(self._losses(model, judges).mean())
        return Tried(start=fold.start, stop=fold.stop, rung=name, loss=loss, rows=judges.rows.height)

    def _losses(self, model: Model, judges: "Judges") -> Array:
        return row_losses(self.spec.task, self.spec.metric, model.labels(judges.rows), judges.answers(model))


@dataclass(slots=True, eq=False)
class Judges:
    """Rows that models are asked about in turns; those with one encoding need not encode them again."""

    rows: pl.DataFrame
    encoding: Encoding | None = None
    matrix: Array | None = None

    def answers(self, model: Model) -> Array:
        """What the model says of them, as `Model.predict`."""
        if self.matrix is None or model.encoding != self.encoding:
            self.encoding, self.matrix = model.encoding, model.matrix(self.rows)
        return model.answers(self.matrix)


def days_of(frame: pl.DataFrame, *, time: str) -> float:
    """How far the rows reach back in time, in days; never 0, so that spans of it are spans."""
    if frame.is_empty():
        return 1.0
    first, last = cast("datetime", frame[time].min()), cast("datetime", frame[time].max())
    return max(last - first, timedelta(microseconds=1)) / timedelta(days=1)


def fit_cost(rung: Rung, rows: int, known: Recipe) -> float:
    """Rows times trees, spans taken for shares of the rows. The trees of all rows, upon which others are made, are not
    counted again: the plain rung has them.
    """
    recipe = rung.recipe(known, days=1.0)
    asked = 0.0 if rung.way == "fresh" else _ASKING * known.rounds
    grown = {"fresh": known.rounds, "continued": recipe.more, "refit": 0}[rung.way]
    return rows / rung.part * (grown + asked)


def _thinned(positions: Positions, *, most: int) -> Positions:
    return positions[:: max(1, ceil(len(positions) / most))]


def _teaches(spec: Spec, rows: pl.DataFrame) -> bool:
    """A model needs rows, and one of classes at least two of these."""
    return rows.height > 0 and (spec.task != "multiclass" or rows[spec.target].n_unique() > 1)
