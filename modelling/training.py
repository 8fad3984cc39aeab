"""Fit one model and ask it: LightGBM on the encoded inputs. The same rows, recipe and seed give the same model text.

The only file that imports lightgbm.

Rows are taken in the order in which they come: sorting them is the caller's business.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import Encoding, fit_encoding
from modelling.engine import Engine
from modelling.inputs import inputs_of
from modelling.labels import Classes, classes_of, label_values
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.splits import just_after
from validation.errors import ContractError

# Fixed with the binning, so that all recipes of a search share one binned Dataset. 63 bins, row-wise, cost 20 ms of CPU
# a tree where 255 column-wise cost 30 (160k x 30), for 0.3 % of loss after 40 trees: research/tuning.md.
BINNING: Mapping[str, Any] = {"max_bin": 63, "feature_pre_filter": False, "force_row_wise": True}

Dataset = lgb.Dataset

__all__ = ["Dataset", "Model", "dataset", "fit", "fit_values", "losses_by_round", "parameters"]


def fit(spec: Spec, frame: pl.DataFrame, recipe: Recipe, *, seed: int, threads: int) -> Model:
    """Train on all rows of `frame` (raw columns and the target). ContractError without rows, or for bad labels."""
    until = just_after(frame, time=spec.time)
    if until is None:
        raise ContractError("there are no labelled rows to train on; wait for labels or widen the training span")
    classes = classes_of(spec.task, frame[spec.target])
    inputs = inputs_of(spec, frame)
    encoding = fit_encoding(inputs)
    labels = label_values(spec.task, frame[spec.target], classes)
    params = parameters(spec, recipe, classes=classes, seed=seed, threads=threads)
    booster = lgb.train(params, dataset(encoding, inputs, labels, params=params), num_boost_round=recipe.rounds)
    return Model(
        spec=spec,
        encoding=encoding,
        classes=classes,
        recipe=recipe,
        trained_until=until,
        engine=Engine.from_text(_text(booster)),  # asked from the text on, as its bundle will be
    )


def parameters(spec: Spec, recipe: Recipe, *, classes: Classes, seed: int, threads: int) -> dict[str, Any]:
    """LightGBM's parameters: the recipe's, and all that makes training repeatable and quiet."""
    logloss = {"objective": "multiclass", "num_class": len(classes)} if classes else {"objective": "binary"}
    problem = logloss if spec.metric == "logloss" else {"objective": spec.metric}
    fixed = {**BINNING, "verbosity": -1, "deterministic": True, "seed": seed, "num_threads": threads, "bagging_freq": 1}
    return {**fixed, **problem, **recipe.params}


def dataset(
    encoding: Encoding,
    inputs: pl.DataFrame,
    labels: NDArray[np.float64],
    *,
    params: Mapping[str, Any],
    reference: Dataset | None = None,
) -> Dataset:
    """The binned rows; with `reference`, in that dataset's bins."""
    made = lgb.Dataset(
        encoding.encode(inputs),
        labels,
        reference=reference,
        categorical_feature=encoding.categorical,
        params=dict(params),
    )
    return made.construct()


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
