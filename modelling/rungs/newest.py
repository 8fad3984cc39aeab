"""The newest window of a ladder: what was chosen in haste, or found by a search, is judged as it is fitted."""

from dataclasses import dataclass, field

from modelling.recipes import Recipe
from modelling.rungs.climbing import Array, Climber
from modelling.rungs.rungs import Rung
from modelling.splits import Fold, days
from validation.intervals import Interval, paired_interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """See `found.Newest`. `climber`: not hastened."""

    climber: Climber
    fold: Fold
    _known: dict[Rung, Array | None] = field(default_factory=dict)

    def loss(self, rung: Rung) -> float | None:
        """See `found.Newest`."""
        own = self._losses(rung)
        return None if own is None else float(own.mean())

    def gain(self, rung: Rung, other: Rung, recipe: Recipe, *, alpha: float) -> Interval | None:
        """See `found.Newest`."""
        own, found = self._losses(rung), self.climber.losses(self.fold, other, recipe)
        if own is None or found is None:
            return None
        moments = self.fold.validation_rows(self.climber.rows.select(self.climber.spec.time)).to_series()
        return paired_interval(own - found, days(moments), alpha=alpha)

    @property
    def champion_loss(self) -> float | None:
        """See `found.Newest`."""
        return self.climber.champion_loss(self.fold)

    def _losses(self, rung: Rung) -> Array | None:
        if rung not in self._known:
            self._known[rung] = self.climber.losses(self.fold, rung, self.climber.known)
        return self._known[rung]
