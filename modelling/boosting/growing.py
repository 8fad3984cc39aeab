"""Growing trees on binned rows, and their text. Decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from modelling.boosting.dataset import Dataset

_ASKED_AT_ONCE = 8_192  # rows, of the leaves they come to: with 1,000 trees 130 MB


def grown(params: Mapping[str, Any], rows: Dataset, *, rounds: int) -> str:
    """The text of `rounds` trees of LightGBM on these rows.

    NOTE: without `keep_training_booster` it would be written and read once more, to the same bytes, for a tenth of all.
    """
    return _text(lgb.train(dict(params), rows, num_boost_round=rounds, keep_training_booster=True))


def weighted(rows: Dataset, weights: NDArray[np.float64] | None) -> Dataset:
    """The same rows, weighted so from now on (n,), or all alike; they are not binned again."""
    return rows.set_field("weight", weights)


def continued(
    params: Mapping[str, Any],
    matrix: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    weights: NDArray[np.float64] | None,
    categorical: list[int],
    base: str,
    more: int,
) -> str:
    """The text of `base` with `more` trees upon its own, which learn what it leaves unexplained in these rows."""
    rows = lgb.Dataset(matrix, labels, weight=weights, categorical_feature=categorical, params=dict(params))
    return _text(
        lgb.train(
            dict(params), rows, num_boost_round=more, init_model=lgb.Booster(model_str=base), keep_training_booster=True
        )
    )


def refitted(
    params: Mapping[str, Any],
    matrix: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    weights: NDArray[np.float64] | None,
    base: str,
    keep: float,
) -> str:
    """The text of `base`, the values of its leaves learned anew from these rows; `keep` (0 to 1) of the old remains,
    and all of it where no row comes.

    NOTE: LightGBM does not keep monotone constraints here.
    """
    old, threads = lgb.Booster(model_str=base), params["num_threads"]
    made = old.refit(matrix, labels, decay_rate=keep, weight=weights, dataset_params=dict(params), num_threads=threads)
    sizes = [int(line.removeprefix("num_leaves=")) for line in base.splitlines() if line.startswith("num_leaves=")]
    reached = _reached(old, matrix, leaves=max(sizes), threads=threads)
    for tree, size in enumerate(sizes):
        # LightGBM takes 0 for what rows say of a leaf that none reaches: what a season knows would fade in the next.
        for leaf in np.flatnonzero(~reached[tree, :size]):
            made.set_leaf_output(tree, int(leaf), old.get_leaf_output(tree, int(leaf)))
    return _text(made)


def _reached(trees: lgb.Booster, matrix: NDArray[np.float64], *, leaves: int, threads: int) -> NDArray[np.bool_]:
    """Whether any row comes to each tree's leaves: (trees, leaves). Asked some rows at a time: each asks for a number
    of every tree.
    """
    reached = np.zeros((trees.num_trees(), leaves), dtype=np.bool_)
    for start in range(0, len(matrix), _ASKED_AT_ONCE):
        some = trees.predict(matrix[start : start + _ASKED_AT_ONCE], pred_leaf=True, num_threads=threads)
        ends = np.asarray(some).reshape(-1, len(reached)).astype(np.int64)
        reached[np.arange(len(reached)), ends] = True
    return reached


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
    return tuple(
        _text(lgb.train(problem, rows.set_label(target), num_boost_round=rounds, keep_training_booster=True))
        for target in targets
    )


def _text(booster: lgb.Booster) -> str:
    return str(booster.model_to_string(num_iteration=-1))
