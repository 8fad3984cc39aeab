"""LightGBM's parameters that a definition may fix, or have searched: their kinds and ranges.

NOTE: LightGBM takes no `5.0` for a whole number, no `1` for a truth, and passes over a name that it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite

from validation.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Fixable:
    """A parameter's kind, its range, ends included (above the lowest where it is `open`), and LightGBM's own value."""

    kind: type[int] | type[float] | type[bool]
    lowest: float
    highest: float
    default: float
    open: bool = False

    def __call__(self, value: float) -> int | float | bool:
        """The value as LightGBM reads it."""
        return self.kind(value)

    def allows(self, value: object) -> bool:
        """Whether the value is of this kind and in the range; a truth may be written 0 or 1."""
        if not isinstance(value, int | float) or not isfinite(value) or (self.kind is float and value is True):
            return False
        if self.kind is not float and value != int(value):
            return False
        return (self.lowest < value if self.open else self.lowest <= value) and value <= self.highest

    @property
    def words(self) -> str:
        """What is allowed."""
        if self.kind is bool:
            return "True or False"
        kind = "a whole number" if self.kind is int else "a number"
        low = f"{'above' if self.open else 'of at least'} {self.lowest:g}"
        return f"{kind} {low}" + (f", at most {self.highest:g}" if isfinite(self.highest) else "")


# By LightGBM's own documentation. Not here is what we set ourselves: objective, seed, threads, and the like.
FIXABLE: Mapping[str, Fixable] = {
    "learning_rate": Fixable(float, 0, 1, 0.1, open=True),
    "num_leaves": Fixable(int, 2, 131_072, 31),
    "max_depth": Fixable(int, -1, 1_000, 1_000),  # LightGBM's own -1 is no limit, and beside others the deepest
    "min_data_in_leaf": Fixable(int, 0, 2**31 - 1, 20),
    "min_sum_hessian_in_leaf": Fixable(float, 0, inf, 1e-3),
    "feature_fraction": Fixable(float, 0, 1, 1, open=True),
    "feature_fraction_bynode": Fixable(float, 0, 1, 1, open=True),
    "bagging_fraction": Fixable(float, 0, 1, 1, open=True),
    "bagging_freq": Fixable(int, 0, 1_000, 0),
    "lambda_l1": Fixable(float, 0, inf, 0),
    "lambda_l2": Fixable(float, 0, inf, 0),
    "min_gain_to_split": Fixable(float, 0, inf, 0),
    "path_smooth": Fixable(float, 0, inf, 0),
    "extra_trees": Fixable(bool, 0, 1, 0),
    "max_bin": Fixable(int, 2, 65_535, 255),
    "cat_smooth": Fixable(float, 0, inf, 10),
    "cat_l2": Fixable(float, 0, inf, 10),
    "max_cat_threshold": Fixable(int, 1, 2**31 - 1, 32),
    "max_cat_to_onehot": Fixable(int, 1, 2**31 - 1, 4),
    "min_data_per_group": Fixable(int, 1, 2**31 - 1, 100),
}

_NOT_SEARCHED = {"max_bin", "bagging_freq"}  # a search bins once, and draws bags for each tree


def check_fixed(fixed: Mapping[str, float]) -> None:
    """DefinitionError for a parameter that cannot be fixed, and for a value that it cannot have."""
    for name, value in fixed.items():
        if name not in FIXABLE:
            raise DefinitionError(f"training.fixed takes {', '.join(FIXABLE)}; got {name!r}")
        if not FIXABLE[name].allows(value):
            raise DefinitionError(f"training.fixed: {name} must be {FIXABLE[name].words}, got {value!r}")


def check_space(space: Mapping[str, tuple[float, float]]) -> None:
    """DefinitionError for a parameter that no search tries, and for a range that is none or that it cannot have."""
    known = [name for name in FIXABLE if name not in _NOT_SEARCHED]
    for name, ends in space.items():
        if name not in known:
            raise DefinitionError(f"search.space takes {', '.join(known)}; got {name!r}")
        if not (isinstance(ends, tuple | list) and len(ends) == 2 and all(map(FIXABLE[name].allows, ends))):
            raise DefinitionError(f"search.space: {name} must be two of {FIXABLE[name].words}, got {ends!r}")
        if not ends[0] < ends[1]:
            raise DefinitionError(
                f"search.space: {name} must be (lowest, highest), the lowest below the highest, got {ends!r}; "
                "one value alone stands in training.fixed"
            )
