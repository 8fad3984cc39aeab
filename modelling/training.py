"""Fit models and ask them: LightGBM on the encoded inputs. The same rows, recipe and seed give the same model text.

Rows are taken in the order in which they come: sorting them is the caller's business.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import cast

import polars as pl

from modelling.calibration import Calibration, unseen_calibration
from modelling.engine import Engine
from modelling.made import Made, libraries
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.splits import just_after, newest
from modelling.trees import Trees, fresh, upon
from validation.errors import ContractError, DefinitionError

__all__ = ["Model", "fit", "fits", "newest"]


def fit(
    spec: Spec, frame: pl.DataFrame, recipe: Recipe, *, seed: int, threads: int, base: Model | None = None
) -> Model:
    """Train by `recipe` on the rows of `frame` (raw columns and the target) that it asks for, weighted as it and
    `spec.training` say. `base`: the model whose trees the recipe names.

    ContractError without rows, or for bad labels; DefinitionError where `base` is needed and missing.
    """
    (model,) = fits(spec, frame, [recipe], seed=seed, threads=threads, base=base)
    return model


def fits(
    spec: Spec, frame: pl.DataFrame, recipes: Sequence[Recipe], *, seed: int, threads: int, base: Model | None = None
) -> Iterator[Model]:
    """`fit` by each of the recipes, with the same bytes. What neighbours have in common is made once: rows of one span
    are encoded and binned, and the trees of all rows, upon which others are made, are grown.
    """
    until = just_after(frame, time=spec.time)
    if until is None:
        raise ContractError("there are no labelled rows to train on; wait for labels or widen the training span")
    since = cast("datetime", frame[spec.time].min())
    made = Made(rows=frame.height, since=since, seed=seed, threads=threads, libraries=libraries())
    for recipe, trees in _trees(spec, frame, recipes, seed=seed, threads=threads, base=base):
        yield Model(
            spec=spec,
            encoding=trees.encoding,
            classes=trees.classes,
            recipe=recipe,
            trained_until=until,
            engine=Engine.from_text(trees.text),  # asked from the text on, as its bundle will be
            calibration=_calibration(spec, frame, recipe, seed=seed, threads=threads, base=base),
            made=made,
        )


def _trees(
    spec: Spec, frame: pl.DataFrame, recipes: Sequence[Recipe], *, seed: int, threads: int, base: Model | None
) -> Iterator[tuple[Recipe, Trees]]:
    own: dict[Hashable, Trees] = {}
    for _, group in groupby(recipes, key=_shared):
        alike = list(group)
        first, rows = alike[0], newest(frame, time=spec.time, days=alike[0].span_days)
        if first.way == "fresh":
            found = fresh(spec, rows, alike, seed=seed, threads=threads)
        else:
            if not first.base and _own(first) not in own:
                own[_own(first)] = next(fresh(spec, frame, [first.plain], seed=seed, threads=threads))
            under = own[_own(first)] if not first.base else _given(first, base)
            found = (upon(under, spec, rows, recipe, seed=seed, threads=threads) for recipe in alike)
        for recipe, trees in zip(alike, found, strict=True):
            if recipe == recipe.plain:
                own[_own(recipe)] = trees
            yield recipe, trees


def _shared(recipe: Recipe) -> Hashable:
    """What recipes have in common that can be grown on the same binned rows."""
    return (recipe.way, recipe.base, recipe.span_days, tuple(sorted(recipe.params.items())))


def _own(recipe: Recipe) -> Hashable:
    return (recipe.rounds, tuple(sorted(recipe.params.items())))


def _given(recipe: Recipe, base: Model | None) -> Model:
    if base is None:
        raise DefinitionError(
            f"a {recipe.way} model needs the one whose trees it is made of, bundle {recipe.base[:12]}: give it as "
            "`base`, or fit by `recipe.alone`"
        )
    return base


def _calibration(
    spec: Spec, frame: pl.DataFrame, recipe: Recipe, *, seed: int, threads: int, base: Model | None
) -> Calibration | None:
    """Another model's trees have seen these rows: it keeps its own calibration."""
    if spec.training.calibration == "none":
        return None
    if recipe.base:
        return _given(recipe, base).calibration
    rows = newest(frame, time=spec.time, days=recipe.span_days) if recipe.way == "fresh" else frame
    bare = replace(spec, training=replace(spec.training, calibration="none"))
    return unseen_calibration(spec, rows, lambda older: fit(bare, older, recipe, seed=seed, threads=threads).predict)
