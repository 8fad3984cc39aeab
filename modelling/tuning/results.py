"""What a search is told and what it tells: plain values, so that nobody who passes them on imports Optuna."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelling.recipes import Recipe

Clock = Callable[[], float]
# What is being done, how much of the budget is used (0 to 1), the best loss so far, and the seconds left.
Progress = Callable[[str, float, float | None, float | None], None]
Incumbent = Callable[[Recipe, float, Callable[[], str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a study is kept, so that a killed search goes on: a folder of the caller's, or the URL of a PostgreSQL.

    `name`: of this search; the same name goes on with it. A search whose definition, rows or start has changed
    needs another name.
    """

    where: str
    name: str


@dataclass(frozen=True, slots=True)
class Curves:
    """The winner's loss on the later rows after each round (`validation`), and after some rounds that on the rows that
    it was grown on (`train`: round, from 1 on -> loss).
    """

    train: Mapping[int, float] = field(default_factory=dict)
    validation: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The best recipe, and the loss of each trial on the validation rows; trial 0 is the start.

    `recipe` is for all rows of the frame: its number of trees is scaled to them. `seconds` by the clock, `cost` by the
    model of cost (deterministic; in seconds of a usual processor). `ended`: why, as a sentence, and what went wrong
    with its study. Without trials (too few rows for an inner split) the recipe is the start.
    """

    recipe: Recipe
    trials: tuple[float, ...]
    seconds: float
    cost: float = 0.0
    ended: str = ""
    curves: Curves = field(default_factory=Curves)

    @property
    def words(self) -> str:
        """What was found, beside where it began, as a part of a sentence; "no trials" without any."""
        if not self.trials:
            return "no trials"
        count = "1 trial" if len(self.trials) == 1 else f"{len(self.trials):,} trials"
        first, best = self.trials[0], min(self.trials)
        than = "no better than" if best >= first else f"against {first:.7g}"
        return f"{count}, best loss {best:.7g} of its own validation rows, {than} where it began"
