"""How a search goes: a race of first recipes, challengers of its winner, and the descent of the learning rate.

1. Where nothing is known, a portfolio races at equal cost and a high learning rate: all grow a little, the better half
   some more, and so on; no tree is grown twice. Where a recipe was found before, it runs first, to its end.
2. Challengers, first some twins of the best, then by turns neighbours of it and proposals of TPE, are grown beside it
   at the same rate. One is given up when even its hope (`Arm.hope`) is worse than what the best came to.
3. The best is grown again at lower learning rates, as low as there is time for; such recipes gain most of all.

All of it goes by losses and by the formula's cost, so that the same is found again, except where time runs short.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from modelling.recipes import DEFAULT_RECIPES, Number
from modelling.tuning.arms import Arm
from modelling.tuning.field import Field
from modelling.tuning.space import RATE, TWINS, Space, portfolio

RACE_RATE, HASTY_RATE = 0.1, 0.2  # at the higher one other recipes win than later at low rates
_USUAL_ROUNDS, _HASTY_SHARE = 300, 0.2  # that many rounds of 31 leaves would take more of the budget: hasty
_FIRST_ROUNDS, _FIRST_ROUNDS_OF_FEWER = 12, 48  # of 31 leaves: the cost of a race's first leg, on all rows or fewer
_FULL_STEP_LEAVES = 10  # smaller trees learn less at a step: they are raced at a higher rate
_LEG_GROWS = 2.5
_FEWEST_ROUNDS, _FINE_ROUNDS, _COARSEST = 60, 120, 0.2
_WINNERS_GAIN = 1e-4
_EXPLORING_GAIN = 4e-4  # of the loss: a longer tail is not worth its time while others wait
_LEAST_GAIN = 5e-5
_LOOKS = (0.1, 0.2, 0.35, 0.6, 1.0)  # shares of the best's cost at which a challenger is looked at
_HOPELESS = 1e-4  # of the loss: a challenger must hope for so much less than the best
_IN_VAIN = 6  # so many challengers without gain, and it is time to descend; twice, and nothing is to be gained
_WORTH = 1e-3  # of the loss: gains of the newest challengers below this are none
_DEPTHS = (6.0, 5.0, 4.0, 3.2, 2.5, 2.0, 1.5)  # by how much a learning rate is divided
_USUAL_DEPTH = 2.5
_DESCENT_MARGIN = 1.2


def hunted(field: Field, space: Space) -> None:
    """Search until the field says that it is over, or nothing is to be gained."""
    winner = _fine(field, space, _opening(field, space))
    while not field.ended:
        winner, gained = _challenged(field, space, winner)
        lower = _descended(field, space, winner)
        if field.has_trials() and not gained and not lower:
            field.ended = "there is no time for more" if field.short else "nothing more is to be gained"


def _opening(field: Field, space: Space) -> Arm:
    """The first arm that has come to its end on all rows: the start itself where it was found before."""
    start, field.doing = field.bench.start, "the first recipe"
    if any(start.params == known.params for known in DEFAULT_RECIPES[field.bench.spec.task]):
        return _raced(field, space)
    first = field.arm(start.params, rounds=max(start.rounds, field.policy.rounds))
    field.grow(first, cost=math.inf, least_gain=_LEAST_GAIN)
    field.close(first, value=first.best)
    rate = _race_rate(field, space)
    if first.rate >= rate / 2 or not field.has_trials():
        return first
    quick = field.arm({**space.inside(start.params), RATE: rate})
    field.grow(quick, cost=math.inf, least_gain=_EXPLORING_GAIN)
    field.close(quick, value=quick.best)
    return quick


def _race_rate(field: Field, space: Space) -> float:
    usual = _USUAL_ROUNDS * field.bench.cost({**field.bench.start.params, "num_leaves": 31})
    return space.rate(HASTY_RATE if usual > _HASTY_SHARE * field.policy.budget_seconds else RACE_RATE)


def _fine(field: Field, space: Space, winner: Arm) -> Arm:
    """The same at a rate at which it takes enough rounds that one more or less does not decide."""
    if winner.best_round >= _FEWEST_ROUNDS or not field.has_trials():
        return winner
    rate = space.rate(winner.rate * max(_COARSEST, winner.best_round / _FINE_ROUNDS))
    if rate > 0.9 * winner.rate:
        return winner
    field.doing = f"the best at learning rate {rate:.3g}"
    slower = field.arm({**winner.recipe.params, RATE: rate})
    field.grow(slower, cost=math.inf, least_gain=_WINNERS_GAIN)
    field.close(slower, value=slower.best)
    return slower if slower.best < winner.best * (1 + 5 * _WORTH) else winner


def _raced(field: Field, space: Space) -> Arm:
    """The winner of the portfolio, grown to its end."""
    field.doing = "a race of first recipes"
    on_all = field.bench.race is field.bench.train
    first = {**field.bench.start.params, RATE: _race_rate(field, space)}
    tried = portfolio(field.bench.spec, space)[: max(1, field.policy.budget_trials - (not on_all))]
    rates = [space.rate(first[RATE] * max(1.0, _FULL_STEP_LEAVES / params["num_leaves"])) for params in tried]
    racing = [
        field.arm({**first, **params, RATE: rate}, on_all=on_all) for params, rate in zip(tried, rates, strict=True)
    ]
    leg = field.bench.cost({**first, "num_leaves": 31}, on_race=not on_all)
    leg *= _FIRST_ROUNDS if on_all else _FIRST_ROUNDS_OF_FEWER
    while len(racing) > 1 and not field.ended:
        for arm in racing:
            field.grow(arm, cost=leg)
        racing.sort(key=lambda arm: arm.best)
        kept = racing[: (len(racing) + 1) // 2]
        for arm in racing[len(kept) :]:
            field.close(arm, value=arm.best)
        racing, leg = kept, leg * _LEG_GROWS
    winner = racing[0]
    if not on_all and field.has_trials():
        field.close(winner, value=winner.best)
        winner = field.arm(winner.recipe.params)
    field.grow(winner, cost=math.inf, least_gain=_WINNERS_GAIN)
    field.close(winner, value=winner.best)
    return winner


def _challenged(field: Field, space: Space, winner: Arm) -> tuple[Arm, bool]:
    """The best of winner and challengers at its learning rate, and whether a challenger was worth it."""
    first, since, vain, field.doing = winner.best, winner.best, 0, "beside the best"
    while space.axes and vain < _IN_VAIN and _may_challenge(field, space, winner) and field.has_trials():
        number = len(field.arms)
        params = _proposal(field, space, winner, number)
        arm = field.arm({**winner.recipe.params, **params, RATE: winner.rate})
        _looked_at(field, arm, winner)
        field.close(arm, value=_comparable(arm, winner))
        winner, vain = arm if arm.best < winner.best else winner, vain + 1
        if since - winner.best >= _WORTH * abs(since):
            since, vain = winner.best, 0
    return winner, first - winner.best >= _WORTH * abs(first)


def _proposal(field: Field, space: Space, winner: Arm, number: int) -> Mapping[str, Number]:
    """What is tried next: what was tried before a kill, twins of the winner first, then by turns."""
    twin, known = _twin(field, space, winner), field.book.finished.get(number)
    if known is not None:
        return {name: known.params[name] for name in known.params if name != RATE}
    if twin is not None:
        return twin
    if number % 2:
        return field.book.proposed(number)
    return space.moved(winner.recipe.params, seed=field.policy.seed * 1_000 + number)


def _twin(field: Field, space: Space, winner: Arm) -> dict[str, Number] | None:
    """The next that differs from the winner, which at an end of the space it may not."""
    while field.twins < len(TWINS):
        twin = space.twin(winner.recipe.params, TWINS[field.twins])
        field.twins += 1
        if twin != winner.recipe.params:
            return twin
    return None


def _looked_at(field: Field, arm: Arm, winner: Arm) -> None:
    """Grow a challenger while there is hope for it."""
    goal = winner.best * (1 - _HOPELESS) if winner.best > 0 else winner.best
    for share in _LOOKS:
        field.grow(arm, cost=share * winner.cost, least_gain=_EXPLORING_GAIN)
        if arm.ended or field.ended or (arm.losses and arm.hope() > goal):
            return
    while not (arm.ended or field.ended or arm.hope() > goal):
        field.grow(arm, cost=arm.cost + 0.25 * winner.cost, least_gain=_EXPLORING_GAIN)


def _comparable(arm: Arm, winner: Arm) -> float:
    """What its loss would have come to, were it to the winner in the end as it is at equal cost."""
    beside = winner.best_at(arm.cost)
    return arm.best * winner.best / beside if math.isfinite(beside) and beside > 0 else arm.best


def _descended(field: Field, space: Space, winner: Arm) -> bool:
    """Grow the winner's recipe at a lower rate, as low as there is time for; whether that gained anything."""
    before = field.best.best if field.best else math.inf
    for rate in _rates_below(field, space, winner):
        if not field.has_trials():
            return False
        field.short = _descent_seconds(field, winner, winner.rate / rate) > field.left()
        if not field.short:
            field.doing = f"the best at learning rate {rate:.3g}"
            arm = field.arm({**winner.recipe.params, RATE: rate})
            field.grow(arm, cost=math.inf, least_gain=_LEAST_GAIN)
            field.close(arm, value=_comparable(arm, winner))
            return arm.best < before * (1 - _WORTH / 2)
    return False


def _rates_below(field: Field, space: Space, winner: Arm) -> list[float]:
    """Those at which the winner's recipe was not grown yet, the lowest first: of the space, and with rounds enough."""
    lowest = min((arm.rate for arm in field.arms if _same(arm, winner)), default=winner.rate)
    deepest = max(field.policy.rounds, winner.recipe.rounds) / max(1, winner.best_round)
    rates = [space.rate(winner.rate / depth) for depth in _DEPTHS if depth <= deepest]
    return [rate for rate in rates if rate < lowest * 0.99]


def _same(arm: Arm, other: Arm) -> bool:
    return {**arm.recipe.params, RATE: 0} == {**other.recipe.params, RATE: 0}


def _may_challenge(field: Field, space: Space, winner: Arm) -> bool:
    """Whether there is time for more than the descent; where that can be, a last trial is kept for it."""
    kept = 1 if _rates_below(field, space, winner) else 0
    if field.ended or len(field.arms) >= field.policy.budget_trials - kept:
        return False
    field.short = field.left() <= _descent_seconds(field, winner, _USUAL_DEPTH)
    return not field.short


def _descent_seconds(field: Field, winner: Arm, depth: float) -> float:
    """Growing the winner anew at its rate divided by `depth`, beside what fitting it takes longer then."""
    recipe = replace(winner.recipe, rounds=max(1, round(winner.best_round * depth)))
    growing = field.seconds(winner.round_cost * recipe.rounds)
    fitting = field.fit_seconds(field.bench.scaled(recipe)) - field.reserve
    return _DESCENT_MARGIN * growing + max(0.0, fitting)
