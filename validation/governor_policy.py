"""How often a pipeline may retrain: the governor's policy, checked when it is made."""

from dataclasses import dataclass
from datetime import timedelta

from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types


@dataclass(frozen=True, slots=True, kw_only=True)
class Governor:
    """How often a pipeline may retrain (all in data time).

    `cooldown` after an attempt that reached a gate verdict, and after a rollback, whose version may not return before
    its end; at most `max_per_month` attempts in 30 days; at least
    `min_new_rows` mature rows since the last attempt; after `breaker_after` failed or rolled-back attempts in a row
    nothing runs until a person resumes the pipeline.
    """

    cooldown: str | timedelta = "3d"
    max_per_month: int = 8
    min_new_rows: int = 1
    breaker_after: int = 5

    def __post_init__(self) -> None:
        check_types(self, part="governor")
        object.__setattr__(self, "cooldown", duration(self.cooldown, field="governor.cooldown"))
        for name in ("max_per_month", "min_new_rows", "breaker_after"):
            if getattr(self, name) < 1:
                raise DefinitionError(f"governor.{name} must be at least 1, got {getattr(self, name)}")


def cooldown_of(policy: Governor) -> timedelta:
    """The cooldown as a length of time."""
    return duration(policy.cooldown, field="governor.cooldown")
