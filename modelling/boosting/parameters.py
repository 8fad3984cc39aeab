"""What LightGBM is told: the recipe's parameters, and all that makes training repeatable and quiet."""

from typing import Any

from modelling.boosting.dataset import BINNING
from modelling.encoding import Encoding
from modelling.fixable import FIXABLE
from modelling.labels import Classes
from modelling.recipes import Recipe
from modelling.spec import Spec
from validation.errors import DefinitionError

# What is boosted for each metric, and what LightGBM then counts. Its "l2" of a binary objective is the Brier score: it
# is counted on probabilities.
_PROBLEMS = {
    ("binary", "logloss"): {"objective": "binary"},
    ("binary", "brier"): {"objective": "binary", "metric": "l2"},
    ("multiclass", "logloss"): {"objective": "multiclass"},
    ("regression", "l2"): {"objective": "l2"},
    ("regression", "l1"): {"objective": "l1"},
}


def parameters(
    spec: Spec, recipe: Recipe, *, classes: Classes, seed: int, threads: int, encoding: Encoding | None = None
) -> dict[str, Any]:
    """LightGBM's parameters: the recipe's, what the definition fixes of them, and all that makes training repeatable
    and quiet. `encoding`: of the inputs, in whose order monotone constraints are told; needed where there are any.
    """
    fixed = {**BINNING, "verbosity": -1, "deterministic": True, "seed": seed, "num_threads": threads, "bagging_freq": 1}
    problem = _PROBLEMS[spec.task, spec.metric] | ({"num_class": len(classes)} if classes else {})
    declared = {name: FIXABLE[name](value) for name, value in spec.training.fixed.items()}
    return {**fixed, **problem, **recipe.params, **declared, **_constraints(spec, encoding)}


def _constraints(spec: Spec, encoding: Encoding | None) -> dict[str, Any]:
    signs = spec.training.monotone
    if not signs:
        return {}
    if encoding is None:
        raise DefinitionError("monotone constraints are told in the order of the inputs: give their encoding")
    # NOTE: LightGBM aborts the process where a category is to be monotone.
    if odd := [column.name for column in encoding.columns if column.levels is not None and column.name in signs]:
        raise DefinitionError(f"training.monotone names {odd[0]!r}, which is a category; leave it out")
    # NOTE: "basic" forbids more splits than it must; under "advanced" 24 of 300 models were not monotone, here none.
    signs_in_order = [int(signs.get(name, 0)) for name in encoding.names]
    return {"monotone_constraints": signs_in_order, "monotone_constraints_method": "intermediate"}
