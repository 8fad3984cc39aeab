"""What correcting probabilities gains, and what it costs, and what a linear model would have done.

python -m benchmarks.calibration [--quick]. Models of the first default recipe on rows up to a Monday, asked of the four
weeks after it (flights), and of made-up rows: many that do not move, few, and such where a 1 is rare. Ways: the trees
as they are; ours (`calibration="isotonic"`); the same trees within scikit-learn's CalibratedClassifierCV with its own
defaults (5 shuffled folds, isotonic or sigmoid); the table made of the newest quarter alone, as ours was at first; and
classes weighed as if they were equally frequent, with ours and without. Prints JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.table import Table
from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped]
from sklearn.calibration import CalibratedClassifierCV  # type: ignore[import-untyped]

from benchmarks.gate_real_weeks import flights
from benchmarks.show import CONSOLE
from modelling.baselines import baseline_predictions
from modelling.calibration import fit_calibration
from modelling.metric_table import metric_values
from modelling.recipes import DEFAULT_RECIPES
from modelling.reliability import reliability
from modelling.spec import Spec, Training
from modelling.training import fit

Array = NDArray[np.float64]
Way = Callable[[Spec, pl.DataFrame, pl.DataFrame], Array]

RECIPE = DEFAULT_RECIPES["binary"][0]
FIRST_WEEK, EVERY, LATER = 14, 6, timedelta(weeks=4)
INPUTS = [f"x{number}" for number in range(20)]
SIZES = {"still": (100_000, 0.0), "few": (3_000, 0.0), "rare": (100_000, -5.0)}  # rows that train, shift of log odds
QUICK = {name: (rows // 50, odds) for name, (rows, odds) in SIZES.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Rows to learn from and later ones to be asked of."""

    data: str
    spec: Spec
    train: pl.DataFrame
    later: pl.DataFrame


def cases(*, quick: bool) -> Iterator[Case]:
    """Made-up rows, then flights."""
    for name, (rows, odds) in (QUICK if quick else SIZES).items():
        yield _made_up(name, rows=rows, odds=odds)
    if quick:
        return
    with tempfile.TemporaryDirectory() as scratch:
        history = flights(Path(scratch) / "flights")
    for cut in history.mondays[FIRST_WEEK : -int(LATER / timedelta(weeks=1)) : EVERY]:
        train = history.rows[history.between(history.mondays[0], cut)]
        later = history.rows[history.between(cut, cut + LATER)]
        yield Case(data="flights", spec=history.pipeline.spec, train=train, later=later)


def ways(*, quick: bool) -> dict[str, Way]:
    """How probabilities are made."""
    isotonic, balanced = Training(calibration="isotonic"), Training(class_weight="balanced")
    found: dict[str, Way] = {
        "as they are": _trained(Training()),
        "ours": _trained(isotonic),
        "newest quarter": _newest_quarter,
        "sklearn isotonic": _sklearn("isotonic"),
        "sklearn sigmoid": _sklearn("sigmoid"),
        "balanced": _trained(balanced),
        "balanced, ours": _trained(replace(isotonic, class_weight="balanced")),
    }
    return {name: way for name, way in found.items() if not (quick and name.startswith("sklearn s"))}


def measured(*, quick: bool) -> list[dict[str, Any]]:
    """A row for each case and way, with the metrics on later rows and the CPU seconds of fitting and asking."""
    found = []
    for case in cases(quick=quick):
        for name, way in ways(quick=quick).items():
            began = time.process_time()
            told = way(case.spec, case.train, case.later)
            found.append(_row(case, name, told, time.process_time() - began))
        began = time.process_time()
        told_by = baseline_predictions(case.spec, case.train, case.later, classes=())
        cpu = time.process_time() - began
        found += [_row(case, name, told, cpu) for name, told in told_by.items()]
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By data set and way, means over the cases; `cost`: CPU over that of the trees as they are."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for data in dict.fromkeys(row["data"] for row in rows):
        own = [row for row in rows if row["data"] == data]
        plain = mean(row["cpu_s"] for row in own if row["way"] == "as they are")
        for way in dict.fromkeys(row["way"] for row in own):
            of_way = [row for row in own if row["way"] == way]
            told = {name: mean(row[name] for row in of_way) for name in ("logloss", "brier", "auc", "error", "cpu_s")}
            told["cost"] = told["cpu_s"] / plain
            found.setdefault(data, {})[way] = {name: round(value, 5) for name, value in told.items()}
    return found


def show(found: dict[str, dict[str, dict[str, float]]]) -> None:
    table = Table("", "", "log loss", "Brier", "AUC", "calibration error", "CPU s", "x", title="Probabilities")
    for data, told in found.items():
        for way, values in told.items():
            table.add_row(data, way, *[f"{value:.4f}" for value in values.values()])
        table.add_section()
    CONSOLE.print(table)


class _Trees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Our trees as scikit-learn asks them: X holds places of rows."""

    def __init__(self, spec: Spec | None = None, rows: pl.DataFrame | None = None) -> None:
        self.spec, self.rows = spec, rows

    def fit(self, places: NDArray[np.int64], labels: NDArray[Any]) -> "_Trees":
        assert self.spec is not None  # noqa: S101 - scikit-learn wants defaults
        assert self.rows is not None  # noqa: S101
        self.classes_ = np.unique(labels)
        self.model_ = fit(self.spec, self.rows[np.sort(places[:, 0])], RECIPE, seed=7, threads=1)
        return self

    def predict_proba(self, places: NDArray[np.int64]) -> Array:
        assert self.rows is not None  # noqa: S101
        chance = self.model_.predict(self.rows[places[:, 0]])
        return np.column_stack([1 - chance, chance])

    def predict(self, places: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(self.classes_[(self.predict_proba(places)[:, 1] > 0.5).astype(np.int64)])


def _trained(training: Training) -> Way:
    def way(spec: Spec, train: pl.DataFrame, later: pl.DataFrame) -> Array:
        return fit(replace(spec, training=training), train, RECIPE, seed=7, threads=1).predict(later)

    return way


def _newest_quarter(spec: Spec, train: pl.DataFrame, later: pl.DataFrame) -> Array:
    older, newer = train[: train.height * 3 // 4], train[train.height * 3 // 4 :]
    model, earlier = (fit(spec, rows, RECIPE, seed=7, threads=1) for rows in (train, older))
    table, raw = fit_calibration(earlier.predict(newer), earlier.labels(newer)), model.predict(later)
    return raw if table is None else table.many(raw)


def _sklearn(method: str) -> Way:
    def way(spec: Spec, train: pl.DataFrame, later: pl.DataFrame) -> Array:
        both = pl.concat([train, later])
        places, labels = np.arange(both.height)[:, None], both[spec.target].cast(pl.Int64).to_numpy()
        wrapped = CalibratedClassifierCV(_Trees(spec, both), method=method, ensemble=False)
        wrapped.fit(places[: train.height], labels[: train.height])
        return np.asarray(wrapped.predict_proba(places[train.height :])[:, 1])

    return way


def _row(case: Case, way: str, told: Array, cpu_s: float) -> dict[str, Any]:
    labels = case.later[case.spec.target].cast(pl.Float64).to_numpy()
    values, seen = metric_values("binary", labels, told), reliability("binary", labels, told)
    assert seen is not None  # noqa: S101 - there are rows
    return {"data": case.data, "way": way, "cpu_s": cpu_s, "error": seen.error, **values}


def _made_up(name: str, *, rows: int, odds: float) -> Case:
    random = np.random.default_rng(5)
    later = 50_000 if rows > 2_000 else 2_000
    values = random.normal(size=(rows + later, len(INPUTS)))
    score = odds + values[:, 0] + values[:, 1] * values[:, 2] + np.sin(3 * values[:, 3])
    start = datetime(2024, 1, 1, tzinfo=UTC)
    at = pl.Series([start + timedelta(minutes=row) for row in range(len(values))], dtype=pl.Datetime("us", "UTC"))
    inputs = {column: values[:, number] for number, column in enumerate(INPUTS)}
    frame = pl.DataFrame({"at": at, **inputs, "late": random.random(len(values)) < 1 / (1 + np.exp(-score))})
    spec = Spec(
        features=lambda made: made.select(INPUTS),
        raw_schema={column: dtype for column, dtype in frame.schema.items() if column != "late"},
        key=(),
        time="at",
        target="late",
        task="binary",
        metric="logloss",
    )
    return Case(data=name, spec=spec, train=frame[:rows], later=frame[rows:])


def main() -> None:
    """Run, show and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="made-up rows alone, and few of them")
    found = summary(measured(quick=parser.parse_args().quick))
    show(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
