"""What a ladder found: the choice, what it rests on, and whether it is good enough. Knows no LightGBM."""

from dataclasses import dataclass
from typing import Protocol

from modelling.recipes import Recipe
from modelling.rungs.choosing import SLIGHT, Tried, gain, mean_loss
from modelling.rungs.evidence import Scored
from modelling.rungs.rungs import PLAIN, Rung
from validation.intervals import Interval

CHAMPION = "champion"  # in `Tried`: the champion as it is, on windows of which it has seen no row


class Newest(Protocol):
    """The newest window of a ladder, of all rows, by which recipes are compared as they would be fitted."""

    def loss(self, rung: Rung) -> float | None:
        """The rung's with the ladder's parameters: one fit, when first asked. None where none can be made."""

    def gain(self, rung: Rung, other: Rung, recipe: Recipe, *, alpha: float) -> Interval | None:
        """What `other`, with the parameters of `recipe`, loses less than `rung` with the ladder's: the mean per row,
        with bounds by days. None where one of them cannot be made.
        """

    @property
    def champion_loss(self) -> float | None:
        """The champion's as it is; None where it has seen of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """What was found. `tried`: by all windows, those of earlier ladders too. `cost`: of all its fits, where 1 is one
    fit of the recipe on all rows of the frame; counted, not timed. `evidence`: the fitted windows' rows, each asked of
    the rung that the windows before it had chosen. `chosen`: by all windows; `recipe` is its, for a fit on rows up to
    the end of the frame, which reach back `days`. `reference`: what the champion's recipe does already. `newest`: None
    without windows; `is_hasty`: what was `tried` are models of fewer trees or rows than the champion's.
    """

    tried: tuple[Tried, ...]
    cost: float
    evidence: Scored
    chosen: Rung
    recipe: Recipe
    reference: Rung
    days: float
    newest: Newest | None = None
    is_hasty: bool = False

    @property
    def why(self) -> str:
        """The choice with what it rests on, as a part of a sentence: the gain as `choose` sees it, since means over all
        windows may say the contrary.
        """
        words, other = self.chosen.words(days=self.days), self.reference.words(days=self.days)
        own = mean_loss(self.tried, self.chosen.name, beside=self.reference.name)
        if own is None:
            return f"{words}, as before: there is no earlier window to choose by"
        where = "on earlier windows, of which the newest count most"
        if self.chosen == self.reference:
            much = f" by {100 * SLIGHT:.3g} %" if self.chosen == PLAIN else ""
            return f"{words}, as before: nothing was better{much} {where}"
        share = gain(self.tried, self.chosen.name, reference=self.reference.name)
        if share <= 0:
            return f"{words}: no more than {100 * SLIGHT:.3g} % worse than {other} {where}, and ages more slowly"
        return f"{words}: a gain of {100 * share:.3g} % against {other} {where}"

    def is_good_enough(self, *, min_gain: float) -> bool:
        """Whether the choice is better than the champion as it is by that share of its loss, on windows that the
        champion has not seen; True where there are none, since nothing then speaks for a search.

        Of hasty rungs one fit decides: of the choice as it would be fitted, on the newest window.
        """
        own = mean_loss(self.tried, self.chosen.name, beside=CHAMPION)
        champion = mean_loss(self.tried, CHAMPION, beside=self.chosen.name)
        if self.is_hasty and self.newest and own is not None and champion is not None:
            champion = self.newest.champion_loss
            own = self.newest.loss(self.chosen) if champion is not None else None
        return own is None or champion is None or champion - own >= min_gain * champion
