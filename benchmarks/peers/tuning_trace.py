"""What every tuner is given, and what it has found by when: the same rows, one clock, the same losses on later rows.

The clock counts the process's CPU seconds, so that a busy machine is no disadvantage; what is written down meanwhile
(`Race.pause`) is taken off it. Stands alone: it is imported by ours and by the peers, in their own environments.
"""

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_cpu = time.process_time
_wall = time.perf_counter
_APART = 1.02  # a model is asked about the later rows when this much more time has passed than at the last one
_TINY = 1e-15


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Inputs (n, k) and labels (n,); `kind`: "binary" or "regression"; `categories`: positions; nan is missing."""

    kind: str
    categories: list[int]
    train: tuple[Floats, Floats]
    validation: tuple[Floats, Floats]
    test: tuple[Floats, Floats]

    def loss(self, labels: Floats, found: Floats) -> float:
        """Log loss of probabilities, or the root mean squared error."""
        if self.kind == "regression":
            return float(np.sqrt(np.mean((labels - found) ** 2)))
        chance = np.clip(np.where(labels > 0, found, 1 - found), _TINY, 1)
        return float(-np.log(chance).mean())

    @property
    def problem(self) -> dict[str, Any]:
        """What LightGBM must be told of it, whoever tunes it."""
        metric = {"binary": "binary_logloss", "regression": "rmse"}[self.kind]
        return {"objective": self.kind, "metric": metric, "verbosity": -1, "num_threads": 1}


def read_rows(folder: Path) -> Rows:
    """A task as `benchmarks.tuning_tasks` has written it."""
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    parts = {
        name: (np.load(folder / f"{name}.npy"), np.load(folder / f"{name}_labels.npy"))
        for name in ("train", "validation", "test")
    }
    return Rows(kind=task["kind"], categories=task["categories"], **parts)


def pace() -> float:
    """CPU seconds of a fixed piece of the same work: what a second is worth on this machine just now."""
    draws = np.random.default_rng(0)
    inputs = draws.normal(size=(40_000, 12))
    labels = inputs[:, 0] * inputs[:, 1] + draws.normal(size=40_000)
    fixed = {"objective": "regression", "num_leaves": 63, "verbosity": -1, "num_threads": 1, "force_row_wise": True}
    rows = lgb.Dataset(inputs, labels, params=fixed).construct()
    began = _cpu()
    lgb.train(fixed, rows, num_boost_round=30)
    return _cpu() - began


@dataclass(kw_only=True)
class Race:
    """The best model so far on the validation rows, moment by moment, within `seconds` of CPU time.

    Of each model that was best, one text or booster is kept: the last that it came with; it holds the earlier rounds.
    """

    rows: Rows
    seconds: float
    clock: Callable[[], float] = _cpu
    best: float = math.inf
    _began: float = 0.0
    _paused: float = 0.0
    _points: list[tuple[float, int, int, float]] = field(default_factory=list)  # seconds, model, rounds, loss
    _models: list[Callable[[], lgb.Booster]] = field(default_factory=list)
    _key: Any = None

    def __post_init__(self) -> None:
        self._began = self.clock()

    def now(self) -> float:
        """CPU seconds since the start, without the pauses."""
        return self.clock() - self._began - self._paused

    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self.now() >= self.seconds

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """What is done within is not the tuner's work."""
        began = self.clock()
        try:
            yield
        finally:
            self._paused += self.clock() - began

    def offer(self, key: Any, rounds: int, loss: float, model: Callable[[], lgb.Booster]) -> None:
        """A model of `rounds` trees and its validation loss; calls with one `key` one after the other are one model."""
        if not loss < self.best:
            return
        self.best = loss
        if key is not self._key:
            with self.pause():
                if self._models:
                    self._models[-1] = _kept(self._models[-1]())
                self._key = key
                self._models.append(model)
        self._models[-1] = model
        self._points.append((self.now(), len(self._models) - 1, rounds, loss))

    def leader(self) -> tuple[Any, int]:
        """The key of the best model so far, and its rounds."""
        return self._key, self._points[-1][2]

    def validated(self) -> tuple[float, float]:
        """The best model's loss on the validation rows as it was told, and as its trees give it."""
        if not self._points:
            return math.nan, math.nan
        _, number, rounds, loss = self._points[-1]
        inputs, labels = self.rows.validation
        found = np.asarray(self._models[number]().predict(inputs, num_iteration=rounds, num_threads=1))
        return loss, self.rows.loss(labels, found)

    def trace(self) -> list[tuple[float, float, float]]:
        """(seconds, validation loss, loss on the later rows) of the best model so far; asked when all is over."""
        told, margins, held = [], np.zeros(0), (-1, 0)
        for seconds, number, rounds, loss in _apart(self._points):
            if (number, rounds) < held or number != held[0]:
                margins, held = np.zeros(len(self.rows.test[1])), (number, 0)
            booster = self._models[number]()
            if rounds > held[1]:
                margins = margins + booster.predict(
                    self.rows.test[0],
                    start_iteration=held[1],
                    num_iteration=rounds - held[1],
                    raw_score=True,
                    num_threads=1,
                )
            held = (number, rounds)
            found = margins if self.rows.kind == "regression" else 1 / (1 + np.exp(-margins))
            told.append((round(seconds, 3), loss, self.rows.loss(self.rows.test[1], found)))
        return told


def run_race(rows: Rows, seconds: float, tune: Callable[[Race], dict[str, Any]]) -> None:
    """Tune, and print as one line of JSON what was best by when, what it cost, and what `tune` tells besides."""
    speed = pace()
    race, wall = Race(rows=rows, seconds=seconds), _wall()
    told = tune(race)
    spent, passed = race.now(), _wall() - wall
    told = {"trace": race.trace() if race.best < math.inf else [], **told}
    told = {"final": told["trace"][-1][2], **told}
    machine = {"pace_s": speed, "load": os.getloadavg()[0], "lightgbm": lgb.__version__}
    print(json.dumps({"cpu_s": spent, "wall_s": passed, **machine, **told}), flush=True)


def _kept(booster: lgb.Booster) -> Callable[[], lgb.Booster]:
    return lambda: booster


def _apart(points: list[tuple[float, int, int, float]]) -> list[tuple[float, int, int, float]]:
    """Without those that another one followed within a fiftieth of the time; the last is always there."""
    chosen, last = [], 0.0
    for point, following in zip_longest(points, points[1:]):
        if following is None or following[0] > max(last * _APART, last + 0.02) or following[1] != point[1]:
            chosen.append(point)
            last = point[0]
    return chosen
