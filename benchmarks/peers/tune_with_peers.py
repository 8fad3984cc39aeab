"""The peers' tuners within a budget of CPU seconds: python tune_with_peers.py TOOL FOLDER SEED SECONDS. Stands alone.

TOOL: flaml, lightgbm_tuner, tpe (a hand-written Optuna loop), control (LightGBM's defaults with early stopping).
FOLDER: a task as `benchmarks.tuning_tasks` writes it. Prints JSON: tuning_trace.py. All have one thread, the same rows,
the same categories and the same validation rows. Each is given all that it finds before a trial is over, too: a new
best round is taken at its moment, and the trial that the end cuts short counts as far as it got. `final` is the best
model so found; `retrained` the same configuration on training and validation rows together, which takes no time here.
"""

import contextlib
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from tuning_trace import Race, Rows, read_rows, run_race

ROUNDS = 1_000  # LightGBMTuner's default
PATIENCE = 50  # rounds without a new best loss
CONTROL_ROUNDS = 10_000


class Over(Exception):  # noqa: N818 - no error
    """The budget is spent."""


def watched(race: Race) -> Callable[[Any], None]:
    """A callback that offers each new best round, and ends the training with the budget. One for each training."""

    def watch(env: Any) -> None:
        race.offer(env.params, env.iteration + 1, env.evaluation_result_list[0][2], lambda: env.model)
        if race.is_over():
            raise Over

    return watch


def datasets(rows: Rows, **more: Any) -> tuple[lgb.Dataset, lgb.Dataset]:
    """Made anew where a tuner's own example does so; it is part of its work."""
    params = {"num_threads": 1, "verbosity": -1}
    categories: Any = rows.categories or "auto"
    train = lgb.Dataset(*rows.train, categorical_feature=categories, params=params, **more)
    return train, lgb.Dataset(*rows.validation, reference=train, categorical_feature=categories, params=params, **more)


def told(race: Race, trials: int) -> dict[str, Any]:
    """The best configuration, and the model that it makes of all rows that were seen, with more trees for more rows."""
    with race.pause():
        params, rounds = race.leader()
        inputs, labels = (np.concatenate(parts) for parts in zip(race.rows.train, race.rows.validation, strict=True))
        rounds = round(rounds * len(labels) / len(race.rows.train[1]))
        fixed = {
            name: value for name, value in params.items() if name not in ("early_stopping_round", "num_iterations")
        }
        whole = lgb.Dataset(inputs, labels, categorical_feature=race.rows.categories or "auto")
        found = lgb.train(fixed, whole, rounds).predict(race.rows.test[0])
        return {"trials": trials, "rounds": rounds, "retrained": race.rows.loss(race.rows.test[1], found)}


def control(race: Race, seed: int) -> dict[str, Any]:
    """One configuration, LightGBM's own defaults, until `PATIENCE` rounds have brought nothing."""
    train, validation = datasets(race.rows)
    callbacks = [lgb.early_stopping(PATIENCE, verbose=False), watched(race)]
    with contextlib.suppress(Over):
        lgb.train(
            {**race.rows.problem, "seed": seed}, train, CONTROL_ROUNDS, valid_sets=[validation], callbacks=callbacks
        )
    return told(race, 1)


def tpe(race: Race, seed: int) -> dict[str, Any]:
    """The loop of Optuna's LightGBM example with its space, the learning rate, and early stopping."""
    with race.pause():
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        params = {
            "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-8, 10.0, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 2, 256),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
            "bagging_freq": trial.suggest_int("bagging_freq", 1, 7),
            "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "seed": seed,
        }
        train, validation = datasets(race.rows)
        callbacks = [lgb.early_stopping(PATIENCE, verbose=False), watched(race)]
        booster = lgb.train(
            {**race.rows.problem, **params}, train, ROUNDS, valid_sets=[validation], callbacks=callbacks
        )
        return float(booster.best_score["valid_0"][race.rows.problem["metric"]])

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    with contextlib.suppress(Over):
        while not race.is_over():
            study.optimize(objective, n_trials=1)
    return told(race, len(study.trials))


def lightgbm_tuner(race: Race, seed: int) -> dict[str, Any]:
    """Optuna's stepwise tuner as it comes. Its own time budget asks the clock on the wall, so the watcher ends it."""
    with race.pause():
        import optuna
        from optuna_integration.lightgbm import LightGBMTuner
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    train, validation = datasets(race.rows, free_raw_data=False)
    tuner = LightGBMTuner(
        {**race.rows.problem, "seed": seed},
        train,
        num_boost_round=ROUNDS,
        valid_sets=[validation],
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False), watched(race)],
        show_progress_bar=False,
        optuna_seed=seed,
    )
    with contextlib.suppress(Over):
        tuner.run()
    return told(race, len(tuner.study.trials))


def flaml(race: Race, seed: int) -> dict[str, Any]:
    """FLAML's AutoML with LightGBM alone; all that it asks of clocks is answered in CPU seconds.

    Given validation rows it does not retrain at the end (2.7.0): here it is given that, too.
    """
    import logging

    with race.pause():
        import flaml.automl.ml as inside
        from flaml import AutoML

    logging.getLogger("flaml").setLevel(logging.ERROR)
    rows = race.rows
    with race.pause():
        train, validation, later = (_frame(rows, part[0]) for part in (rows.train, rows.validation, rows.test))
    labels = [part[1].astype(int) if rows.kind == "binary" else part[1] for part in (rows.train, rows.validation)]
    seen: list[tuple[float, float, Any]] = []
    inside.get_y_pred = _spied(inside.get_y_pred, race, seen)
    base = time.time()
    time.time = lambda: base + race.now()
    time.perf_counter = time.monotonic = race.now
    automl = AutoML()
    automl.fit(
        train, labels[0], X_val=validation, y_val=labels[1],
        task="classification" if rows.kind == "binary" else "regression",
        metric="log_loss" if rows.kind == "binary" else "rmse",
        estimator_list=["lgbm"], time_budget=race.seconds, n_jobs=1, eval_method="holdout", verbose=0, seed=seed,
    )  # fmt: skip
    with race.pause():
        into = automl._transformer.transform  # noqa: SLF001 - what its models were given
        whole, test = into(pd.concat([train, validation])), into(later)
        trace = [(round(when, 3), loss, _lost(rows, model, test)) for when, loss, model in seen]
        kept = automl.model.model
        again = type(kept)(**kept.get_params()).fit(whole, np.concatenate(labels))
        found = {"final": _lost(rows, automl, later), "retrained": _lost(rows, again, test), "trace": trace}
    return {**found, "config": {name: float(value) for name, value in automl.best_config.items()}}


def _spied(asked: Any, race: Race, seen: list[tuple[float, float, Any]]) -> Any:
    """FLAML's way to ask a model; whatever is the best on the validation rows so far is kept with its moment."""

    def asking(estimator: Any, inputs: Any, *others: Any) -> Any:
        found = asked(estimator, inputs, *others)
        with race.pause():
            rows = race.rows
            loss = rows.loss(rows.validation[1], found[:, 1] if found.ndim > 1 else found)
            if len(found) == len(rows.validation[1]) and (not seen or loss < seen[-1][1]):
                seen.append((race.now(), loss, estimator._model))  # noqa: SLF001 - it has no other name
        return found

    return asking


def _frame(rows: Rows, inputs: Any) -> pd.DataFrame:
    """FLAML knows categories by their dtype."""
    frame = pd.DataFrame(inputs, columns=[f"f{position}" for position in range(inputs.shape[1])])
    levels = [np.arange(np.nanmax(rows.train[0][:, position]) + 1) for position in rows.categories]
    for position, known in zip(rows.categories, levels, strict=True):
        frame[f"f{position}"] = pd.Categorical(frame[f"f{position}"], categories=known)
    return frame


def _lost(rows: Rows, model: Any, test: pd.DataFrame) -> float:
    found = model.predict_proba(test)[:, 1] if rows.kind == "binary" else model.predict(test)
    return rows.loss(rows.test[1], found)


TOOLS = {tool.__name__: tool for tool in (flaml, lightgbm_tuner, tpe, control)}


def main() -> None:
    tool, folder, seed, seconds = TOOLS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    warnings.filterwarnings("ignore")
    run_race(read_rows(folder), seconds, lambda race: tool(race, seed))


if __name__ == "__main__":
    main()
