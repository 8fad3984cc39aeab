"""One trial: a recipe that grows tree by tree, and what it would come to. Costs are those of the formula."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelling.boosting.live import Live
from modelling.recipes import Recipe

_TRAIN_LOSSES_EVERY = 10  # rounds: counting them costs about a tenth of a tree
# A curve's tail is taken for a geometric one: each doubling of cost gains this share of what the one before gained, or
# more where it did. It is a hope, not a forecast: who cannot win with it is given up.
_LEAST_HOPE, _MOST_HOPE, _HOPE_FACTOR = 0.5, 0.85, 1.2


@dataclass(slots=True, eq=False)
class Arm:
    """A trial's booster (None: its curve is known from an earlier process) and its loss after each round so far.

    `round_cost`: of one round, by the formula; `known`: the rounds' losses of an earlier process; `bests`: the smallest
    loss up to each round; `train`: round -> the loss on the rows it was grown on. `on_all`: grown on all rows that
    train, so that it may be the result. `at_end`: it ended of itself.
    """

    number: int
    recipe: Recipe
    round_cost: float
    live: Live | None
    known: Sequence[float] = ()
    on_all: bool = True
    losses: list[float] = field(default_factory=list)
    bests: list[float] = field(default_factory=list)
    train: dict[int, float] = field(default_factory=dict)
    best_round: int = 0
    ended: bool = False
    at_end: bool = False

    @property
    def rate(self) -> float:
        """Its learning rate."""
        return float(self.recipe.params["learning_rate"])

    @property
    def best(self) -> float:
        """The smallest loss so far."""
        return self.bests[-1] if self.bests else float("inf")

    @property
    def cost(self) -> float:
        """Of all its rounds so far."""
        return len(self.losses) * self.round_cost

    def best_at(self, cost: float) -> float:
        """The smallest loss for this cost; infinite before its first round."""
        rounds = min(int(cost / self.round_cost + 1e-9), len(self.bests))
        return self.bests[rounds - 1] if rounds else float("inf")

    def hope(self) -> float:
        """The smallest loss that it may come to by the course of its curve so far."""
        done = len(self.bests)
        if done < 8:
            return 0.0
        late, early = self.bests[done // 2 - 1] - self.best, self.bests[done // 4 - 1] - self.bests[done // 2 - 1]
        ratio = min(max(_HOPE_FACTOR * late / early if early > 0 else 1.0, _LEAST_HOPE), _MOST_HOPE)
        return self.best - late * ratio / (1 - ratio)

    def grow(self, *, patience: int, least_gain: float) -> bool:
        """One round more; whether its loss is the best so far. It ends at its recipe's rounds, after `patience` rounds
        without a better loss, or where its newest quarter of rounds (or `patience`) gained less than that share of it.
        """
        at = len(self.losses)
        if at < len(self.known):
            loss, split_ended = self.known[at], False
        elif self.live is None:
            self.ended = True
            return False
        else:
            loss, split_ended = self.live.grow(), self.live.ended
        better = loss < self.best
        self.losses.append(loss)
        self.bests.append(min(loss, self.best))
        if better:
            self.best_round = at + 1
        if self.live is not None and (at + 1) % _TRAIN_LOSSES_EVERY == 0:
            self.train[at + 1] = self.live.train_loss()
        self.ended = split_ended or at + 1 >= self.recipe.rounds or self._is_stale(patience, least_gain)
        return better

    def _is_stale(self, patience: int, least_gain: float) -> bool:
        done = len(self.losses)
        if done - self.best_round >= patience:
            return True
        back = max(patience, done // 4)
        return done > back and self.bests[done - back - 1] - self.best < least_gain * abs(self.best)

    def text(self) -> str:
        """LightGBM's text up to its best round; nothing of a trial of an earlier process."""
        return self.live.text(rounds=self.best_round) if self.live is not None else ""
