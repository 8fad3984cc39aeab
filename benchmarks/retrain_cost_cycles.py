"""What each strategy serves with in each cycle of a stream, what that loses, and the CPU seconds that it took."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import numpy as np
import polars as pl

from benchmarks.retrain_cost_streams import WINDOW_WEEKS, Stream
from modelling.jobs import CHOICE_WINDOWS
from modelling.metrics import row_losses
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.rungs.climbing import days_of
from modelling.rungs.ladder import Base, Ladder, Tried, ladder
from modelling.rungs.rungs import FEWEST_ROWS, Rung, all_rungs
from modelling.spec import Search
from modelling.splits import newest, rolling
from modelling.training import Model, fit
from modelling.tuning.search import search

Result = TypeVar("Result")
STALE, TUNED, OURS = "stale", "full tune", "ours"
CHAINS = ("continued", "refit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one strategy's model of one cycle lost per row, and the CPU seconds of its making."""

    loss: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """By strategy; `choice`: what the ladder took, `asked`: whether it would have asked for a search."""

    rows: int
    known: int
    served: Mapping[str, Served]
    choice: str
    asked: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Contest:
    """All strategies on one stream. They begin with one champion, of a search before the first cycle; what each knows
    of later cycles is its own. `policy`: of each search.
    """

    stream: Stream
    policy: Search
    seed: int
    models: dict[str, Model] = field(default_factory=dict)
    tuned: Recipe | None = None
    first: Recipe | None = None
    tried: tuple[Tried, ...] = ()

    def begin(self) -> float:
        """The common champion; the CPU seconds that it took."""
        known = self.stream.known(self.stream.cuts[0])
        default = DEFAULT_RECIPES[self.stream.spec.task][0]
        (model, recipe), seconds = _timed(lambda: self._searched(known, default))
        self.first = self.tuned = recipe
        self.models = dict.fromkeys((STALE, OURS, *CHAINS), model)
        return seconds

    def cycle(self, number: int) -> Cycle:
        """Make all models as of the cycle's beginning, and ask them about its rows."""
        known, rows = self.stream.known(self.stream.cuts[number]), self.stream.served(number)
        found = {STALE: Served(loss=self._loss(self.models[STALE], rows), cpu_s=0.0)}
        (model, self.tuned), seconds = _timed(lambda: self._searched(known, self._recipe(self.tuned)))
        found[TUNED] = Served(loss=self._loss(model, rows), cpu_s=seconds)
        for rung in all_rungs(self._recipe(self.first), base=None, monotone=False):
            found[rung.name] = self._single(rung, known, rows)
        for way in CHAINS:
            found[f"{way}, one after the other"] = self._chained(way, known, rows)
        (model, ladder_found), seconds = _timed(lambda: self._ours(known))
        self.models[OURS], self.tried = model, ladder_found.tried
        found[OURS] = Served(loss=self._loss(model, rows), cpu_s=seconds)
        return Cycle(
            rows=rows.height,
            known=known.height,
            served=found,
            choice=ladder_found.chosen.name,
            asked=not ladder_found.is_good_enough(min_gain=0.001),
        )

    def _searched(self, known: pl.DataFrame, start: Recipe) -> tuple[Model, Recipe]:
        found = search(
            self.stream.spec,
            known,
            start=start,
            policy=self.policy,
            gap=self.stream.gap,
            clock=time.process_time,
        )
        return self._fit(known, found.recipe), found.recipe

    def _single(self, rung: Rung, known: pl.DataFrame, rows: pl.DataFrame) -> Served:
        """One rung at every cycle, whatever it does; all rows where its span has too few."""
        days, time_ = days_of(known, time=self.stream.spec.time), self.stream.spec.time
        if newest(known, time=time_, days=days / rung.part).height < FEWEST_ROWS:
            rung = Rung()
        recipe = rung.recipe(self._recipe(self.first), days=days)
        model, seconds = _timed(lambda: self._fit(known, recipe))
        return Served(loss=self._loss(model, rows), cpu_s=seconds)

    def _chained(self, way: str, known: pl.DataFrame, rows: pl.DataFrame) -> Served:
        """Upon the last cycle's model; a fresh one when the trees have become too many."""
        base = Base(sha256="0" * 64, model=self.models[way])
        first, days = self._recipe(self.first), days_of(known, time=self.stream.spec.time)
        able = [rung for rung in all_rungs(first, base=base, monotone=False) if rung.base and rung.way == way]
        recipe = able[0].recipe(first, days=days) if able else first
        model, seconds = _timed(lambda: self._fit(known, recipe, base=base.model))
        self.models[way] = model
        return Served(loss=self._loss(model, rows), cpu_s=seconds)

    def _ours(self, known: pl.DataFrame) -> tuple[Model, Ladder]:
        """As the product: the ladder on three windows, with what it found before; then one fit of its choice."""
        spec = self.stream.spec
        window = timedelta(weeks=WINDOW_WEEKS[self.stream.name])
        folds = rolling(known, time=spec.time, window=window, gap=self.stream.gap, windows=CHOICE_WINDOWS)
        base = Base(sha256="0" * 64, model=self.models[OURS])
        found = ladder(
            spec,
            known,
            self._recipe(self.first),
            folds=folds,
            seed=self.seed,
            threads=1,
            base=base,
            earlier=self.tried,
        )
        return self._fit(known, found.recipe, base=base.model), found

    def _fit(self, known: pl.DataFrame, recipe: Recipe, *, base: Model | None = None) -> Model:
        return fit(self.stream.spec, known, recipe, seed=self.seed, threads=1, base=base)

    def _loss(self, model: Model, rows: pl.DataFrame) -> float:
        spec = self.stream.spec
        return float(np.mean(row_losses(spec.task, spec.metric, model.labels(rows), model.predict(rows))))

    @staticmethod
    def _recipe(recipe: Recipe | None) -> Recipe:
        if recipe is None:
            raise SystemExit("there is no champion yet: begin() makes it")
        return recipe


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = time.process_time()
    return work(), time.process_time() - began
