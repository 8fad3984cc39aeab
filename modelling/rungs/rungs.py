"""The rungs: cheap ways of using the rows with the champion's parameters, as names that mean the same next time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from modelling.model import Model
from modelling.model_text import read
from modelling.recipes import Recipe

# Spans halve down to a sixteenth; together they cost two fits. Weights that fade over every other span, trees continued
# upon fresh ones and refitted leaves cost another: on days of bikes, flights and of a turning synthetic concept another
# rung was best on each, and most had their time. A thirty-second was worst on all (benchmarks/retrain_cost.py).
SPANS = (1, 2, 4, 8, 16)
FADING = (2, 8)
ADAPTED = 8
HALF_LIVES = 4  # in a span that fades: its oldest row weighs a sixteenth
MORE = 0.2  # of the recipe's rounds, as trees on top
MOST_GROWTH = 2  # a champion with so many times its recipe's rounds is not continued: a model of its own is due
FEWEST_ROWS = 500  # a shorter span is no rung
# Rows times trees whose leaves are refitted: LightGBM holds a float64 and an int32 for each, 0.8 GB at most.
MOST_REFITTED = 2**26

# A search's recipe may grow slowly, in thousands of trees; a cheap retrain with its parameters does not, and a choice
# among rungs less still: which rows are worth learning from hardly depends on the number of trees.
QUICK_ROUNDS, HASTY_ROUNDS = 200, 60
FASTEST_RATE = 0.3

Way = Literal["fresh", "continued", "refit"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """The champion, whose trees may be used where it has seen no row of a window; `sha256` of its bundle."""

    sha256: str
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way of using rows: the newest 1 / `part` of their time; `fades`: older ones of these weigh less.

    `base`: the bundle whose trees are used by another way than "fresh"; "": trees of all rows.
    """

    part: int = 1
    fades: bool = False
    way: Way = "fresh"
    base: str = ""

    @property
    def name(self) -> str:
        """Such as "1/4 fading": the same in every ladder."""
        how = {"fresh": "", "continued": " continued", "refit": " refitted"}[self.way]
        return f"1/{self.part}{' fading' if self.fades else ''}{how}{' champion' if self.base else ''}"

    def recipe(self, known: Recipe, *, days: float) -> Recipe:
        """With the parameters of `known`, for rows that reach back so many days."""
        span = days / self.part
        return replace(
            known.plain,
            span_days=None if self.part == 1 else span,
            half_life_days=span / HALF_LIVES if self.fades else None,
            way=self.way,
            base=self.base,
            more=max(1, round(MORE * known.rounds)) if self.way == "continued" else 0,
        )

    def words(self, *, days: float) -> str:
        """What is done with rows that reach back so many days, for people."""
        span = "all rows" if self.part == 1 else f"the newest {_days(days / self.part)} of {_days(days)}"
        under = "the champion's trees" if self.base else "trees of all rows"
        ways = {
            "fresh": span,
            "continued": f"{under}, continued on {span}",
            "refit": f"{under}, their leaves refitted on {span}",
        }
        return ways[self.way] + (", older rows weighing less" if self.fades else "")


PLAIN = Rung()


def all_rungs(known: Recipe, *, base: Base | None, monotone: bool) -> tuple[Rung, ...]:
    """Those that may be tried with the champion's recipe, the plain one first; neighbours share binned rows.

    Where inputs are constrained, leaves are not refitted, since LightGBM would not keep to it; nor are the champion's
    trees used, which may be older than the constraint.
    """
    ways: tuple[Way, ...] = ("continued",) if monotone else ("continued", "refit")
    return tuple(_rungs(known, base=None if monotone else base, ways=ways))


def bearable(rungs: tuple[Rung, ...], *, adapted: int, rounds: int, base: Base | None) -> tuple[Rung, ...]:
    """Those whose memory is bounded: no leaf is refitted where rows times trees are above MOST_REFITTED. `adapted`: the
    rows of the span ADAPTED, times the classes where there are many; `rounds` of fresh trees.
    """
    under = read(base.model.text).iterations if base else 0
    trees = {rung: under if rung.base else rounds for rung in rungs if rung.way == "refit"}
    return tuple(rung for rung in rungs if adapted * trees.get(rung, 0) <= MOST_REFITTED)


def quickened(recipe: Recipe, *, rounds: int, fixed: Mapping[str, float]) -> Recipe:
    """The same in no more than so many trees, as far as a faster learning rate (to FASTEST_RATE) makes up for them; as
    it is where `fixed` (of `Training`) names the rate, which nothing makes faster then.
    """
    if "learning_rate" in fixed:
        return recipe
    rate = float(recipe.params["learning_rate"])
    faster = max(rate, min(FASTEST_RATE, rate * recipe.rounds / rounds))
    return replace(
        recipe,
        params={**recipe.params, "learning_rate": faster},
        rounds=max(1, round(recipe.rounds * rate / faster)),
    )


def like(recipe: Recipe, rungs: tuple[Rung, ...], *, days: float) -> Rung:
    """The rung that is most like this recipe on rows that reach back so many days: what a champion already does."""
    alike = [rung for rung in rungs if rung.way == recipe.way and rung.fades == (recipe.half_life_days is not None)]
    part = days / (recipe.span_days or days)
    return min(alike, key=lambda rung: (abs(rung.part - part), bool(rung.base)), default=PLAIN)


def _rungs(known: Recipe, *, base: Base | None, ways: tuple[Way, ...]) -> Iterator[Rung]:
    for part in SPANS:
        yield Rung(part=part)
        if part in FADING:
            yield Rung(part=part, fades=True)
    yield from (Rung(part=ADAPTED, way=way) for way in ways)
    if base is not None and read(base.model.text).iterations <= MOST_GROWTH * known.rounds:
        able = [way for way in ways if not way == base.model.recipe.way == "refit"]  # its splits would never be new
        yield from (Rung(part=ADAPTED, way=way, base=base.sha256) for way in able)


def _days(days: float) -> str:
    return f"{days:,.0f} days" if days >= 10 else f"{days:.1f} days"
