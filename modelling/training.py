"""Fit one model and ask it: LightGBM on the encoded inputs. The same rows, recipe and seed give the same model text.

Rows are taken in the order in which they come: sorting them is the caller's business.
"""

import polars as pl

from modelling.boosting.dataset import dataset
from modelling.boosting.growing import grown
from modelling.boosting.parameters import parameters
from modelling.encoding import fit_encoding
from modelling.engine import Engine
from modelling.inputs import inputs_of
from modelling.labels import classes_of, label_values
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.splits import just_after
from validation.errors import ContractError, DefinitionError

__all__ = ["Model", "fit"]


def fit(
    spec: Spec, frame: pl.DataFrame, recipe: Recipe, *, seed: int, threads: int, base: Model | None = None
) -> Model:
    """Train by `recipe` on the rows of `frame` (raw columns and the target) that it asks for, weighted as it and
    `spec.training` say. `base`: the model whose trees are used, where the recipe's way is not "fresh".

    ContractError without rows, or for bad labels; DefinitionError where `base` is needed and missing.
    """
    if recipe.way != "fresh" and base is None:
        raise DefinitionError(f"a {recipe.way} model needs the model that it is made of; give it, or train afresh")
    until = just_after(frame, time=spec.time)
    if until is None:
        raise ContractError("there are no labelled rows to train on; wait for labels or widen the training span")
    classes = classes_of(spec.task, frame[spec.target])
    inputs = inputs_of(spec, frame)
    encoding = fit_encoding(inputs)
    labels = label_values(spec.task, frame[spec.target], classes)
    params = parameters(spec, recipe, classes=classes, seed=seed, threads=threads)
    text = grown(params, dataset(encoding, inputs, labels, params=params), rounds=recipe.rounds)
    return Model(
        spec=spec,
        encoding=encoding,
        classes=classes,
        recipe=recipe,
        trained_until=until,
        engine=Engine.from_text(text),  # asked from the text on, as its bundle will be
    )
