"""How a model is to be fitted: a recipe, the space in which search looks for better ones, and where it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from modelling.spec import Task
from validation.errors import DefinitionError

Number = int | float

# name -> (lowest, highest), searched on a logarithmic scale except for the shares; integers are searched as integers.
SPACE: Mapping[str, tuple[Number, Number]] = {
    "learning_rate": (0.01, 0.3),
    "num_leaves": (4, 255),
    "min_data_in_leaf": (5, 1_000),
    "feature_fraction": (0.3, 1.0),
    "bagging_fraction": (0.4, 1.0),
    "lambda_l2": (0.01, 100.0),
}


# What a recipe may say besides; LightGBM's own default where it does not. `max_bin` is fixed with a Dataset.
OPTIONAL = frozenset(
    {
        "lambda_l1",
        "min_gain_to_split",
        "path_smooth",
        "max_depth",
        "extra_trees",
        "min_sum_hessian_in_leaf",
        "cat_smooth",
        "cat_l2",
        "max_cat_threshold",
        "min_data_per_group",
        "max_cat_to_onehot",
        "feature_fraction_bynode",
        "bagging_freq",
        "max_bin",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """LightGBM's parameters (all of SPACE, some of OPTIONAL), the number of trees, and how the rows are used.

    `span_days`: only the newest rows, that many days back from the newest (None: all). `half_life_days`: a row weighs
    half as much for each such time that it is older than the newest (None: all the same).

    `way`: "fresh": `rounds` trees of these rows. "continued": `more` trees of these rows upon those of `base`;
    "refit": the trees of `base`, the values of their leaves learned half anew from these rows. `base`: the sha256 of a
    bundle; "": `rounds` trees of all rows, so that such a recipe needs no other model.
    """

    params: Mapping[str, Number]
    rounds: int
    span_days: float | None = None
    half_life_days: float | None = None
    way: Literal["fresh", "continued", "refit"] = "fresh"
    base: str = ""
    more: int = 0

    def __post_init__(self) -> None:
        unknown, missing = set(self.params) - set(SPACE) - OPTIONAL, set(SPACE) - set(self.params)
        if unknown or missing:
            raise DefinitionError(f"recipe.params must be exactly {', '.join(SPACE)}, got {', '.join(self.params)}")
        if self.rounds < 1:
            raise DefinitionError(f"recipe.rounds must be at least 1, got {self.rounds}")
        for name in ("span_days", "half_life_days"):
            if (days := getattr(self, name)) is not None and not days > 0:
                raise DefinitionError(f"recipe.{name} must be above 0, got {days}")
        if self.way == "continued" and self.more < 1:
            raise DefinitionError(f"recipe.more must be at least 1 tree for a continued model, got {self.more}")

    @property
    def alone(self) -> "Recipe":
        """The same upon trees of its own, where this one asks for another model's."""
        return replace(self, base="")

    @property
    def plain(self) -> "Recipe":
        """The same parameters for fresh trees of all rows alike."""
        return Recipe(params=self.params, rounds=self.rounds)


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
