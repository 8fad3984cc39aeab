"""All trials of a search: makes them, lets them grow while there is time, and knows the best. Chooses none."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelling.recipes import Number, Recipe
from modelling.spec import Search
from modelling.tuning.arms import Arm
from modelling.tuning.bench import Bench
from modelling.tuning.costs import round_cost
from modelling.tuning.results import Clock, Incumbent, Progress
from modelling.tuning.study import Book

_TOLD_EVERY = 0.01  # of the cost so far
_LEAST_FOR_SEARCH = 0.5  # of the budget, however long the last fit takes
_PATIENCE_RATE, _LEAST_PATIENCE, _MOST_PATIENCE = 4.0, 40, 200
_MOST_LOWERED = 2.0
_FIT_MARGIN = 1.05  # the last fit may take so much longer than reckoned


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """When the search began, by which clock, how long preparing the rows took, and whom it tells."""

    clock: Clock
    began: float
    prepared: float
    progress: Progress | None
    incumbent: Incumbent | None


@dataclass(slots=True, eq=False)
class Field:
    """The trials in order of their numbers. `doing`: what is told of them; `ended`: why the search is over, or "".
    `twins`: how many were proposed. `short`: more would have been tried, had there been time.

    What is decided by the clock: when it is over, and how far the learning rate can still be lowered. All else goes by
    losses and by the formula's cost.
    """

    bench: Bench
    book: Book
    watch: Watch
    arms: list[Arm] = field(default_factory=list)
    best: Arm | None = None
    doing: str = ""
    ended: str = ""
    short: bool = False
    twins: int = 0
    cost: float = 0.0
    _growing: float = 0.0
    _grown_cost: float = 0.0
    _told: float = 0.0
    reserve: float = 0.0

    @property
    def policy(self) -> Search:
        """How long may be searched."""
        return self.bench.policy

    @property
    def settled(self) -> bool:
        """Whether the best has learned as much as the start would, or half of it; otherwise the start is better."""
        if self.best is None:
            return False
        start = self.bench.start
        usual = start.rounds * float(start.params["learning_rate"])
        return self.best.at_end or self.best.best_round * self.best.rate >= usual / 2

    def left(self) -> float:
        """Seconds until the search must be over, so that the fit of the best recipe on all rows ends in time."""
        budget, used = self.policy.budget_seconds, self.watch.clock() - self.watch.began
        return budget - min(self.reserve, budget * (1 - _LEAST_FOR_SEARCH)) - used

    def has_trials(self) -> bool:
        """Whether another trial may begin; else says why the search is over."""
        if len(self.arms) >= self.policy.budget_trials:
            self.ended = self.ended or f"all {self.policy.budget_trials} trials are done"
        return not self.ended

    def seconds(self, cost: float) -> float:
        """What such a cost takes on this machine, as far as measured; the formula's own seconds at first."""
        return cost * (self._growing / self._grown_cost if self._grown_cost > 1.0 else 1.0)

    def fit_seconds(self, recipe: Recipe) -> float:
        """What fitting this recipe on all rows will take."""
        whole = self.bench.whole
        growing = self.seconds(round_cost(recipe.params, whole) * recipe.rounds)
        return _FIT_MARGIN * (
            growing + self.watch.prepared * whole.rows / (self.bench.table.rows + self.bench.table.judged)
        )

    def lowered(self, recipe: Recipe, rate: float) -> Recipe:
        """A scaled recipe at a learning rate as low as its fit has time for, at most halved and not below `rate`, with
        as many more rounds: this is hardly ever worse. Itself where time is not what ended the search.
        """
        used, known = self.watch.clock() - self.watch.began, float(recipe.params["learning_rate"])
        time = (self.policy.budget_seconds - used) / max(self.fit_seconds(recipe), 1e-9)
        rounds = max(recipe.rounds, self.policy.rounds)
        by = min(_MOST_LOWERED, time, known / rate, rounds / recipe.rounds)
        if not self.short or by <= 1.0:
            return recipe
        params = {**recipe.params, "learning_rate": known / by}
        return replace(recipe, params=params, rounds=round(recipe.rounds * by))

    def arm(self, params: Mapping[str, Number], *, rounds: int | None = None, on_all: bool = True) -> Arm:
        """A new trial without trees, or with those that an earlier process told of."""
        number = len(self.arms)
        recipe = self.bench.recipe(params, rounds=rounds or self.policy.rounds)
        known = self.book.finished.get(number)
        live = None if known else self.bench.live(recipe, on_race=not on_all)
        made = Arm(
            number=number,
            recipe=recipe,
            round_cost=self.bench.cost(recipe.params, on_race=not on_all),
            live=live,
            known=known.losses if known else (),
            on_all=on_all,
        )
        self.arms.append(made)
        return made

    def grow(self, arm: Arm, *, cost: float, least_gain: float = 0.0, patience: int = 0) -> None:
        """Let it grow until it has cost so much, has ended, or the search is over."""
        waits = patience or int(min(max(_PATIENCE_RATE / arm.rate, _LEAST_PATIENCE), _MOST_PATIENCE))
        began, before = self.watch.clock(), arm.cost
        while not arm.ended and not self.ended and arm.cost < cost:
            if arm.grow(patience=waits, least_gain=least_gain) and arm.on_all:
                self._offer(arm)
            self.cost += arm.round_cost
            if arm.live is not None and self.left() <= 0.0:
                self.ended, self.short = f"{self.policy.budget_seconds:g} seconds are over", True
        if arm.live is not None and arm.losses:
            self._growing += self.watch.clock() - began
            self._grown_cost += arm.cost - before
        if arm is self.best:
            self._tell_incumbent(arm)
        self._tell_progress(arm)

    def close(self, arm: Arm, *, value: float) -> None:
        """It grows no more: its end is kept, comparable as `value`. Not that of one which the clock cut off."""
        arm.at_end = arm.ended
        if not self.ended or arm.ended:
            self.book.tell(arm.number, arm.recipe.params, arm.losses, value=value)
        arm.ended = True

    def _offer(self, arm: Arm) -> None:
        if self.best is not None and self.best is not arm and arm.best >= self.best.best:
            return
        self.best = arm
        self.reserve = self.fit_seconds(self.bench.scaled(replace(arm.recipe, rounds=arm.best_round)))
        if self.cost - self._told > _TOLD_EVERY * self.cost:
            self._tell_incumbent(arm)

    def _tell_incumbent(self, arm: Arm) -> None:
        if self.watch.incumbent is not None and arm.live is not None:
            self._told = self.cost
            self.watch.incumbent(replace(arm.recipe, rounds=arm.best_round), arm.best, arm.text)

    def _tell_progress(self, arm: Arm) -> None:
        if self.watch.progress is not None:
            best, budget = self.best.best if self.best else arm.best, self.policy.budget_seconds
            left = max(0.0, budget - (self.watch.clock() - self.watch.began))
            used = max(1 - left / budget, len(self.arms) / self.policy.budget_trials)
            self.watch.progress(f"trial {arm.number + 1}: {self.doing}", min(used, 1.0), best, left)
