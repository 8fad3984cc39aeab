"""Our search in a process of its own: python -m benchmarks.tuning_ours FOLDER SEED SECONDS [warm]. Prints JSON.

FOLDER: a task (tuning_tasks.py). The clock starts with the rows in memory: encoding and binning are in it. The trace
asks the very boosters of the search, as it does with the peers; its last point is what the product delivers, the recipe
fitted on training and validation rows together, and the moment when that is done: `final` and `delivered_s`. `found` is
the search's last booster, without that fit;
`validated` its loss on the validation rows as it was told, and as it is found here.

warm: first, untimed, a search on the first 80 % of the rows, a cycle ago. Then, timed, its recipe is fitted to all
rows, as the product's cheap rungs do (`refit`: moment and loss), and the search begins with it.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import optuna  # as the peers: what importing costs is nobody's
import polars as pl

from benchmarks.peers.tuning_trace import Race, read_rows, run_race
from benchmarks.tuning_tasks import LABEL, TIME
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.spec import Search, Spec, Task
from modelling.training import fit
from modelling.tuning.search import search

TRIALS, ROUNDS = 100_000, 10_000  # the seconds end it
EARLIER_SHARE = 0.8
_TASKS: dict[str, Task] = {"binary": "binary", "regression": "regression"}
_METRICS = {"binary": "logloss", "regression": "l2"}


def spec_of(kind: str, rows: pl.DataFrame) -> Spec:
    """The columns are the inputs already."""
    raw = {name: dtype for name, dtype in rows.schema.items() if name != LABEL}
    return Spec(
        features=lambda frame: frame, raw_schema=raw, key=(), time=TIME, target=LABEL, task=_TASKS[kind],
        metric=_METRICS[kind],
    )  # fmt: skip


class Ours:
    """The product's search and fit, with the benchmark's budget and clock."""

    def __init__(self, folder: Path, seed: int, seconds: float) -> None:
        self.rows = pl.read_parquet(folder / "rows.parquet")
        kind = json.loads((folder / "task.json").read_text(encoding="utf-8"))["kind"]
        self.spec = spec_of(kind, self.rows)
        self.policy = Search(budget_seconds=seconds, budget_trials=TRIALS, seed=seed, rounds=ROUNDS, threads=1)
        self.start = DEFAULT_RECIPES[self.spec.task][0]
        self.gap = timedelta(0)

    def earlier(self) -> Recipe:
        """What a search of the cycle before has found."""
        rows = self.rows[: int(self.rows.height * EARLIER_SHARE)]
        return search(
            self.spec, rows, start=self.start, policy=self.policy, gap=self.gap, clock=time.process_time
        ).recipe

    def cold(self, race: Race) -> dict[str, Any]:
        """From the first default recipe."""
        return self._searched(race, self.start)

    def warm(self, race: Race, start: Recipe) -> dict[str, Any]:
        """From this one, which is fitted to all rows before."""
        refit = self._fitted(race, start)
        return {"refit": refit, **self._searched(race, start)}

    def _searched(self, race: Race, start: Recipe) -> dict[str, Any]:
        found = search(
            self.spec, self.rows, start=start, policy=self.policy, gap=self.gap, incumbent=_offering(race),
            clock=race.now,
        )  # fmt: skip
        searched = race.now()
        delivered = self._fitted(race, found.recipe)
        with race.pause():
            trace, validated = race.trace(), race.validated()
        last = trace[-1] if trace else (searched, math.nan, math.nan)
        return {
            "trace": [*trace, (delivered[0], last[1], delivered[1])],
            "final": delivered[1],
            "found": last[2],
            "validated": validated,
            "delivered_s": delivered[0],
            "searched_s": searched,
            "recipe": {**found.recipe.params, "rounds": found.recipe.rounds},
            "trials": len(found.trials),
            "cost": found.cost,
            "ended": found.ended,
        }

    def _fitted(self, race: Race, recipe: Recipe) -> tuple[float, float]:
        """The moment at which a fit on all rows is done, and its loss on the later ones."""
        model = fit(self.spec, self.rows, recipe, seed=self.policy.seed, threads=1)
        done = race.now()
        with race.pause():
            inputs, labels = race.rows.test
            found = lgb.Booster(model_str=model.engine.text).predict(inputs, num_threads=1)
            return done, race.rows.loss(labels, np.asarray(found))


def _offering(race: Race) -> Callable[[Recipe, float, Callable[[], str]], None]:
    """Offers what the search tells. Whose method `text` is, that is the booster: parameters alone do not say it, since
    a race is run on fewer rows than its winner.
    """
    squared = race.rows.kind == "regression"

    def best(recipe: Recipe, loss: float, text: Callable[[], str]) -> None:
        booster, lost = getattr(text, "__self__", text), math.sqrt(loss) if squared else loss
        race.offer(booster, recipe.rounds, lost, lambda: lgb.Booster(model_str=text()))

    return best


def main() -> None:
    folder, seed, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    ours = Ours(folder, seed, seconds)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sys.argv[4:] == ["warm"]:
        start = ours.earlier()
        run_race(read_rows(folder), seconds, lambda race: ours.warm(race, start))
    else:
        run_race(read_rows(folder), seconds, ours.cold)


if __name__ == "__main__":
    main()
