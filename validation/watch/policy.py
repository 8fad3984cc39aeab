"""When a window counts as drifted: what a pipeline's definition may say about it."""

from dataclasses import dataclass
from typing import Literal, get_args

from validation.errors import DefinitionError
from validation.fields import check_types

Match = Literal["auto", "none", "weekday", "hour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """When a window counts as drifted.

    `alpha`: share of windows that may be suspected although nothing has changed, in (0, 0.5). `min_windows`: with
    fewer reference windows the verdict is "not enough history". An alarm is raised on `raise_on` suspect windows of
    the last three (or on one with p < alpha/100) and cleared after `clear_after` quiet ones. `match`: compare a
    window only with reference windows of the same weekday, or of the same time of day, once there are `min_windows`
    of each; "auto" is the weekday for windows of one day and the time of day for shorter ones.
    """

    alpha: float = 0.005
    min_windows: int = 20
    raise_on: int = 2
    clear_after: int = 3
    match: Match = "auto"

    def __post_init__(self) -> None:
        check_types(self, part="drift")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"drift.alpha must be in (0, 0.5), got {self.alpha}")
        if self.min_windows < 3:
            raise DefinitionError(f"drift.min_windows must be at least 3, got {self.min_windows}")
        if self.raise_on not in (1, 2, 3):
            raise DefinitionError(f"drift.raise_on must be 1, 2 or 3 (of the last three windows), got {self.raise_on}")
        if self.clear_after < 1:
            raise DefinitionError(f"drift.clear_after must be at least 1, got {self.clear_after}")
        if self.match not in get_args(Match):
            raise DefinitionError(f"drift.match must be one of {', '.join(get_args(Match))}, got {self.match!r}")
