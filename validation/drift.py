"""Has the data moved further than it moves anyway? Compares a monitoring window with the champion's profile."""

from dataclasses import dataclass

from validation.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """When a window counts as drifted.

    `alpha`: share of windows that may be suspected although nothing has changed, in (0, 0.5). `min_windows`: with
    fewer reference windows the verdict is "not enough history". An alarm is raised on `raise_on` suspect windows of
    the last three (or on one with p < alpha/100) and cleared after `clear_after` quiet ones.
    """

    alpha: float = 0.005
    min_windows: int = 20
    raise_on: int = 2
    clear_after: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"drift.alpha must be in (0, 0.5), got {self.alpha}")
        if self.min_windows < 3:
            raise DefinitionError(f"drift.min_windows must be at least 3, got {self.min_windows}")
        if self.raise_on not in (1, 2, 3):
            raise DefinitionError(f"drift.raise_on must be 1, 2 or 3 (of the last three windows), got {self.raise_on}")
        if self.clear_after < 1:
            raise DefinitionError(f"drift.clear_after must be at least 1, got {self.clear_after}")
