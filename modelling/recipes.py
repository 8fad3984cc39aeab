"""How a model is to be fitted: a recipe, the space in which search looks for better ones, and where it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modelling.spec import Task
from validation.errors import DefinitionError

Number = int | float

# name -> (lowest, highest), searched on a logarithmic scale except for the shares; integers are searched as integers.
SPACE: Mapping[str, tuple[Number, Number]] = {
    "learning_rate": (0.03, 0.3),
    "num_leaves": (7, 255),
    "min_data_in_leaf": (5, 1_000),
    "feature_fraction": (0.3, 1.0),
    "bagging_fraction": (0.4, 1.0),
    "lambda_l2": (0.01, 100.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """LightGBM's parameters (all of SPACE and nothing else), the number of trees, and how the rows are used.

    `span_days`: only the newest rows, that many days back from the newest (None: all). `half_life_days`: a row weighs
    half as much for each such time that it is older than the newest (None: all the same). `way`: "fresh" trees;
    "continued": `rounds` more of them upon those of the bundle `base` (its sha256); "refit": the trees of `base` with
    the values of their leaves learned anew.
    """

    params: Mapping[str, Number]
    rounds: int
    span_days: float | None = None
    half_life_days: float | None = None
    way: Literal["fresh", "continued", "refit"] = "fresh"
    base: str = ""

    def __post_init__(self) -> None:
        if set(self.params) != set(SPACE):
            raise DefinitionError(f"recipe.params must be exactly {', '.join(SPACE)}, got {', '.join(self.params)}")
        if self.rounds < 1:
            raise DefinitionError(f"recipe.rounds must be at least 1, got {self.rounds}")


def _recipe(rounds: int, *values: Number) -> Recipe:
    return Recipe(params=dict(zip(SPACE, values, strict=True)), rounds=rounds)


# The first is the first champion's: chosen among eleven by the mean log loss on seven cuts of the flights' year (one
# seed: 0.4944; the last here, with all inputs and weak regularisation, 0.4982) and by its cost (250k x 25: 3.5 s of CPU
# against 5.6). The second was better on synthetic rows with day effects (0.5212 against 0.5254); third: small trees.
_PORTFOLIO = (
    _recipe(120, 0.1, 31, 200, 0.4, 0.7, 10.0),
    _recipe(150, 0.1, 63, 200, 0.4, 0.7, 10.0),
    _recipe(200, 0.1, 15, 20, 0.8, 0.9, 0.1),
    _recipe(150, 0.1, 63, 100, 0.8, 0.8, 1.0),
)

DEFAULT_RECIPES: Mapping[Task, tuple[Recipe, ...]] = {
    "binary": _PORTFOLIO,
    "multiclass": _PORTFOLIO,
    # Chosen among eight on four cuts of the bikes' two years, where the portfolio's first was 3 % worse (RMSE).
    "regression": (_recipe(120, 0.1, 31, 50, 0.6, 0.8, 5.0), *_PORTFOLIO),
}
