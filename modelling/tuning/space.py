"""Where a search looks: ranges of LightGBM's parameters, what is fixed in them, and the first ones to try."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelling.fixable import FIXABLE
from modelling.recipes import DEFAULT_RECIPES, SPACE, Number
from modelling.spec import Search, Spec

RATE = "learning_rate"
# Beside the start: from few large leaves to many small ones. That of the default recipes was chosen on two real tables;
# these are the corners that it leaves out.
_CORNERS: tuple[tuple[Number, ...], ...] = (
    (31, 500, 0.4, 1.0, 1.0),
    (63, 100, 0.8, 1.0, 1.0),
    (15, 20, 0.8, 1.0, 0.1),
    (127, 20, 0.9, 1.0, 1.0),
    (255, 100, 0.6, 1.0, 5.0),
    (4, 100, 0.7, 1.0, 1.0),
)
# Factors by which the winner of a race differs from those that are tried first against it: a race is won by who learns
# fast, which is who is regularised least.
TWINS: tuple[Mapping[str, float], ...] = (
    {"feature_fraction": 0.5, "min_data_in_leaf": 5.0},
    {"bagging_fraction": 0.75, "lambda_l2": 5.0},
    {"num_leaves": 2.0, "min_data_in_leaf": 2.0, "lambda_l2": 5.0},
    {"num_leaves": 0.5},
)
_NAMES = tuple(name for name in SPACE if name != RATE)
_STEP = 0.2  # a local move's standard deviation, in shares of the range


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter's range, ends included, its kind and LightGBM's own value; `log`: searched on a logarithmic scale."""

    name: str
    low: Number
    high: Number
    kind: type[int] | type[float] | type[bool]
    default: Number
    log: bool

    def inside(self, value: Number) -> Number:
        """The nearest value of the range."""
        kept = min(max(value, self.low), self.high)
        return self.kind(kept if self.kind is float else round(kept))

    def moved(self, value: Number, step: float) -> Number:
        """The value that lies `step` of the range's length further."""
        if not self.log:
            return self.inside(value + step * (self.high - self.low))
        return self.inside(float(value * (self.high / self.low) ** step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The axes of a search, and the range of learning rates, which no axis is: it is raced high, then descended."""

    axes: tuple[Axis, ...]
    rates: tuple[float, float]
    fixed: frozenset[str]

    def inside(self, params: Mapping[str, Number]) -> dict[str, Number]:
        """These parameters with the searched ones brought into their ranges; those without a value near LightGBM's."""
        return {**params, **{axis.name: axis.inside(params.get(axis.name, axis.default)) for axis in self.axes}}

    def rate(self, wanted: float) -> float:
        """The nearest learning rate that is allowed."""
        return float(min(max(wanted, self.rates[0]), self.rates[1]))

    def twin(self, params: Mapping[str, Number], factors: Mapping[str, float]) -> dict[str, Number]:
        """The same parameters, but for those of the axes that are multiplied."""
        params = self.inside(params)  # a champion may have been found before the space had this axis
        axes = {axis.name: axis for axis in self.axes if axis.name in factors}
        return {**params, **{name: axis.inside(params[name] * factors[name]) for name, axis in axes.items()}}

    def moved(self, params: Mapping[str, Number], *, seed: int) -> dict[str, Number]:
        """A neighbour: some of the parameters a step away, at random by `seed`."""
        params = self.inside(params)
        random = np.random.default_rng(seed)
        chosen = random.random(len(self.axes)) < max(0.5, 1 / max(1, len(self.axes)))
        chosen[random.integers(len(self.axes))] = True
        steps = random.normal(0.0, _STEP, len(self.axes)) * chosen
        near = {axis.name: axis.moved(params[axis.name], step) for axis, step in zip(self.axes, steps, strict=True)}
        return {**params, **near}


def space_of(spec: Spec, policy: Search) -> Space:
    """The default ranges, with those that the definition declares in their place, without what it fixes."""
    fixed, ranges = frozenset(spec.training.fixed), {**SPACE, **policy.space}
    rate = spec.training.fixed.get(RATE)
    return Space(
        axes=tuple(_axis(name, *ranges[name]) for name in ranges if name != RATE and name not in fixed),
        rates=(float(ranges[RATE][0]), float(ranges[RATE][1])) if rate is None else (float(rate), float(rate)),
        fixed=fixed,
    )


def portfolio(spec: Spec, space: Space) -> list[dict[str, Number]]:
    """The first to be tried where nothing is known, within the space and each once; all but their learning rates."""
    first = {name: DEFAULT_RECIPES[spec.task][0].params[name] for name in _NAMES}
    tried = [first, *(dict(zip(_NAMES, corner, strict=True)) for corner in _CORNERS)]
    kept: list[dict[str, Number]] = []
    for params in map(space.inside, tried):
        if params not in kept:
            kept.append(params)
    return kept


def _axis(name: str, low: Number, high: Number) -> Axis:
    known, log = FIXABLE[name], low > 0 and not name.endswith("_fraction")
    return Axis(name, low, high, kind=known.kind, default=known.default, log=log)
