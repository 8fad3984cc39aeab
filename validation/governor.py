"""May a retrain run now? Cooldown, budget, new rows, breaker and cord; a "not yet" is deferred, never forgotten."""

from dataclasses import dataclass
from datetime import timedelta

from validation.durations import duration
from validation.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Governor:
    """How often a pipeline may retrain (all in data time).

    `cooldown` after an attempt that reached a gate verdict; at most `max_per_month` attempts in 30 days; at least
    `min_new_rows` mature rows since the last attempt; after `breaker_after` failed or rolled-back attempts in a row
    nothing runs until a person resumes the pipeline.
    """

    cooldown: str | timedelta = "3d"
    max_per_month: int = 8
    min_new_rows: int = 1
    breaker_after: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "cooldown", duration(self.cooldown, field="governor.cooldown"))
        for name in ("max_per_month", "min_new_rows", "breaker_after"):
            if getattr(self, name) < 1:
                raise DefinitionError(f"governor.{name} must be at least 1, got {getattr(self, name)}")
