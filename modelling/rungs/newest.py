"""The newest window of a ladder: what was chosen in haste, or found by a search, is judged as it is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelling.recipes import Recipe
from modelling.rungs.climbing import Climber
from modelling.rungs.rungs import Rung
from modelling.splits import Fold


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """See `found.Newest`. `climber`: not hastened."""

    climber: Climber
    fold: Fold
    _known: dict[Rung, float] = field(default_factory=dict)

    def loss(self, rung: Rung) -> float | None:
        """See `found.Newest`."""
        if rung not in self._known and (found := self.losses([(rung, self.climber.known)])):
            self._known[rung] = found[0]
        return self._known.get(rung)

    def losses(self, ways: Sequence[tuple[Rung, Recipe]]) -> list[float]:
        """See `found.Newest`."""
        return self.climber.losses(self.fold, ways)

    @property
    def champion_loss(self) -> float | None:
        """See `found.Newest`."""
        return self.climber.champion_loss(self.fold)
