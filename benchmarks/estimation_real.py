"""Estimates on real weeks: flights and bikes, champions of several Mondays, each day of the five weeks after.

The whole way of the product: a fit by the delivered recipe on all weeks before, cross-fitted scores of the last 60
days, the estimator from these; then each later day is estimated from its inputs, and its labels are counted.
"""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.table import Table

from benchmarks.gate_real_weeks import History, bikes, flights
from benchmarks.show import CONSOLE
from modelling.crossfit import cross_fitted
from modelling.estimator import Estimator, build_estimator
from modelling.metrics import row_losses
from modelling.recipes import DEFAULT_RECIPES
from modelling.training import Model, fit
from tasks.profiles import MAX_FOLD

FIRST_WEEK, EVERY, LATER, REFERENCE = 14, 6, timedelta(weeks=5), timedelta(days=60)


def measured(bikes_file: Path | None, *, champions: int = 0) -> dict[str, Any]:
    """By data set, over all days: see `_told`. `champions`: of the first so many Mondays alone (0: all)."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        histories = {"flights": flights(Path(scratch) / "flights")}
        if bikes_file:
            histories["bikes"] = bikes(bikes_file, Path(scratch) / "bikes")
        for name, history in histories.items():
            cuts = history.mondays[FIRST_WEEK : -int(LATER / timedelta(weeks=1)) : EVERY]
            found[name] = _told([days_after(history, cut) for cut in cuts[: champions or None]])
    return found


def days_after(history: History, cut: datetime) -> list[dict[str, float]]:
    """Of each day after the champion of this Monday: realised and estimated loss, the interval, and what was usual."""
    spec = history.pipeline.spec
    training = history.rows[history.between(history.mondays[0], cut)]
    model = fit(spec, training, DEFAULT_RECIPES[spec.task][0], seed=7, threads=1)
    estimator = _estimator(history, model, training, cut)
    later = history.rows[history.between(cut, cut + LATER)]
    days = later.group_by(pl.col(spec.time).dt.truncate("1d"), maintain_order=True)
    return [_day(history, model, estimator, rows) for _, rows in days]


def show(found: dict[str, Any]) -> None:
    table = Table("", *next(iter(found.values())), title="Estimates of real days")
    for name, told in found.items():
        table.add_row(name, *[f"{value:,.4g}" for value in told.values()])
    CONSOLE.print(table)


def _estimator(history: History, model: Model, training: pl.DataFrame, cut: datetime) -> Estimator:
    spec, since = history.pipeline.spec, cut - REFERENCE
    recent = training.filter(pl.col(spec.time) >= since)
    folds = max(2, int(np.ceil(recent.height / training.height / MAX_FOLD)))
    predictions = cross_fitted(
        spec, training, model.recipe, folds=folds, since=since, gap=history.gap, seed=7, threads=1
    )
    found = build_estimator(
        spec,
        model.inputs(recent),
        predictions=predictions,
        labels=model.labels(recent),
        windows=(recent[spec.time] - since).dt.total_days().to_numpy(),
    )
    if found is None:
        raise SystemExit("there is nothing to estimate with: too few days in the reference")
    return found


def _day(history: History, model: Model, estimator: Estimator, rows: pl.DataFrame) -> dict[str, float]:
    spec, predictions = history.pipeline.spec, model.predict(rows)
    estimate = estimator.estimate(model.inputs(rows), predictions)
    if estimate is None or estimate.usual is None:
        raise SystemExit("a day without rows has no estimate")
    came = float(row_losses(spec.task, spec.metric, model.labels(rows), predictions).mean())
    return {
        "came": came,
        "said": estimate.loss,
        "usual": estimate.usual,
        "inside": float(estimate.lower <= came <= estimate.upper),
    }


def _told(champions: list[list[dict[str, float]]]) -> dict[str, float]:
    """`within_bounds`: share of the days (0.95 is promised where nothing changes); mean absolute errors of the estimate
    and of the constant "as usual"; `correlation` of estimate and loss over days, within each champion's, the mean.
    """
    days = [day for champion in champions for day in champion]
    table = {name: np.array([day[name] for day in days]) for name in days[0]}
    pairs = [np.corrcoef([day["said"] for day in own], [day["came"] for day in own])[0, 1] for own in champions]
    return {
        "champions": len(champions),
        "days": len(days),
        "within_bounds": round(float(table["inside"].mean()), 3),
        "error": round(float(np.abs(table["said"] - table["came"]).mean()), 4),
        "error_of_usual": round(float(np.abs(table["usual"] - table["came"]).mean()), 4),
        "mean_loss": round(float(table["came"].mean()), 4),
        "mean_estimate": round(float(table["said"].mean()), 4),
        "correlation": round(float(np.mean(pairs)), 3),
    }
