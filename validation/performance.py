"""How good is the champion on rows whose labels have come, and what would a retrain gain? (paired regret)"""

from dataclasses import dataclass
from datetime import timedelta

from validation.durations import duration
from validation.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """What is watched, and when it asks for a retrain.

    `every`: length of a monitoring window. `reference_windows`: how many windows before the champion's cut-off make
    its profile. `evidence`: span of mature rows on which champion and probe are compared. A retrain is asked for when
    the probe is better by at least `min_regret` (share of the champion's loss) and its one-sided bound at `alpha` is
    above zero.
    """

    every: str | timedelta = "1d"
    reference_windows: int = 60
    evidence: str | timedelta = "7d"
    min_regret: float = 0.005
    alpha: float = 0.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", duration(self.every, field="monitor.every"))
        object.__setattr__(self, "evidence", duration(self.evidence, field="monitor.evidence"))
        if self.reference_windows < 1:
            raise DefinitionError(f"monitor.reference_windows must be at least 1, got {self.reference_windows}")
        if not 0 <= self.min_regret < 1:
            raise DefinitionError(f"monitor.min_regret must be a share in [0, 1), got {self.min_regret}")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"monitor.alpha must be in (0, 0.5), got {self.alpha}")
