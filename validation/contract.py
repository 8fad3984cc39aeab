"""May this batch go on? Judges a batch against its Pandera contract; never reads files, never writes any."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from validation.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """How many bad rows a batch may have before all of it is refused.

    `max_bad_share`: share of rows, in [0, 1]; `per_rule`: the same for single rules, by the rule's name.
    """

    max_bad_share: float = 0.05
    per_rule: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, share in {"max_bad_share": self.max_bad_share, **self.per_rule}.items():
            if not 0 <= share <= 1:
                raise DefinitionError(f"quarantine.{name} must be a share in [0, 1], got {share}")
