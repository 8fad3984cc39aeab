"""Growing trees on binned rows, and their text. Decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from modelling.boosting.dataset import Dataset


def grown(params: Mapping[str, Any], rows: Dataset, *, rounds: int) -> str:
    """The text of `rounds` trees of LightGBM on these rows."""
    return _text(lgb.train(dict(params), rows, num_boost_round=rounds))


def losses_by_round(
    params: Mapping[str, Any],
    train: Dataset,
    validation: Dataset,
    *,
    rounds: int,
    stop: Callable[[list[float]], bool],
) -> list[float]:
    """Boost up to `rounds` trees; the validation loss after each. Ends when `stop` says so of the losses so far."""
    losses: list[float] = []

    def watch(env: lgb.callback.CallbackEnv) -> None:
        results = env.evaluation_result_list or []
        losses.append(float(results[0][2]))
        if stop(losses):
            raise lgb.callback.EarlyStopException(env.iteration, results)

    lgb.train(dict(params), train, num_boost_round=rounds, valid_sets=[validation], callbacks=[watch])
    return losses


def fit_values(
    matrix: NDArray[np.float64],
    targets: Sequence[NDArray[np.float64]],
    *,
    params: Mapping[str, Any],
    categorical: list[int],
    rounds: int,
) -> tuple[str, ...]:
    """The text of one regression for each of `targets` on the same rows, which are binned once; repeatable, with one
    thread.
    """
    fixed = {
        "objective": "regression",
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
    }
    problem = {**fixed, **params}
    rows = lgb.Dataset(matrix, targets[0], categorical_feature=categorical, params=problem).construct()
    return tuple(_text(lgb.train(problem, rows.set_label(target), num_boost_round=rounds)) for target in targets)


def _text(booster: lgb.Booster) -> str:
    return str(booster.model_to_string(num_iteration=-1))
