"""What LightGBM is told: the recipe's parameters, and all that makes training repeatable and quiet."""

from typing import Any

from modelling.boosting.dataset import BINNING
from modelling.labels import Classes
from modelling.recipes import Recipe
from modelling.spec import Spec


def parameters(spec: Spec, recipe: Recipe, *, classes: Classes, seed: int, threads: int) -> dict[str, Any]:
    """LightGBM's parameters: the recipe's, and all that makes training repeatable and quiet."""
    logloss = {"objective": "multiclass", "num_class": len(classes)} if classes else {"objective": "binary"}
    problem = logloss if spec.metric == "logloss" else {"objective": spec.metric}
    fixed = {**BINNING, "verbosity": -1, "deterministic": True, "seed": seed, "num_threads": threads, "bagging_freq": 1}
    return {**fixed, **problem, **recipe.params}
