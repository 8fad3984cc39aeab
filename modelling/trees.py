"""Trees of labelled rows, in each way that a recipe knows: fresh ones, and such that are made of another model's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from modelling.boosting.growing import continued, grown, refitted, weighted
from modelling.boosting.parameters import parameters
from modelling.boosting.streaming import frame_dataset, parted
from modelling.encoding import Encoding, fit_encoding
from modelling.inputs import inputs_of
from modelling.labels import Classes, classes_of, label_values
from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.weights import row_weights
from validation.errors import ContractError

KEPT = 0.5  # of a leaf's old value when it is refitted: research/tuning.md, where 0 was worse and 0.5 as good as any


class Base(Protocol):
    """What trees can be made of: a model, or trees alone."""

    @property
    def text(self) -> str:
        """LightGBM's text."""

    @property
    def encoding(self) -> Encoding:
        """Of the inputs that the trees ask."""

    @property
    def classes(self) -> Classes:
        """That they know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """LightGBM's text, and what it takes to ask it."""

    text: str
    encoding: Encoding
    classes: Classes


def fresh(spec: Spec, rows: pl.DataFrame, recipes: Sequence[Recipe], *, seed: int, threads: int) -> Iterator[Trees]:
    """Trees of all these rows, for each of the recipes. They differ in weighting and rounds alone: the rows are encoded
    and binned once, and each gets the bytes that it would get by itself.
    """
    classes, inputs = classes_of(spec.task, rows[spec.target]), inputs_of(spec, rows)
    encoding = fit_encoding(parted(inputs), min_rows=spec.training.min_level_rows)
    params = parameters(spec, recipes[0], classes=classes, seed=seed, threads=threads, encoding=encoding)
    # NOTE: labels are not kept, which LightGBM has copied: 8 bytes of each row, while trees grow.
    binned = frame_dataset(encoding, inputs, label_values(spec.task, rows[spec.target], classes), params=params)
    for recipe in recipes:
        weights = row_weights(spec, rows, recipe, classes)
        text = grown(params, weighted(binned, weights), rounds=recipe.rounds)
        yield Trees(text=text, encoding=encoding, classes=classes)


def upon(base: Base, spec: Spec, rows: pl.DataFrame, recipe: Recipe, *, seed: int, threads: int) -> Trees:
    """`base`, continued or refitted on these rows; it keeps its levels and classes, rows of other classes are left out.

    ContractError where no row is left; DefinitionError where `features` no longer gives the base's inputs.
    """
    encoding, classes = base.encoding, base.classes
    labels = label_values(spec.task, rows[spec.target], classes)
    if classes and (labels < 0).any():
        rows, labels = rows.filter(labels >= 0), labels[labels >= 0]
    if rows.is_empty():
        raise ContractError("there is no row of a class that the champion knows; train afresh")
    matrix, weights = encoding.encode(inputs_of(spec, rows)), row_weights(spec, rows, recipe, classes)
    params = parameters(spec, recipe, classes=classes, seed=seed, threads=threads, encoding=encoding)
    if recipe.way == "refit":
        text = refitted(params, matrix, labels, weights=weights, base=base.text, keep=KEPT)
    else:
        text = continued(
            params,
            matrix,
            labels,
            weights=weights,
            categorical=encoding.categorical,
            base=base.text,
            more=recipe.more,
        )
    return Trees(text=text, encoding=encoding, classes=classes)
