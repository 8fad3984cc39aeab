"""How a proven challenger takes over: whether it answers silently first, and how long it is watched afterwards."""

from dataclasses import dataclass
from datetime import timedelta

from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """`shadow`: a challenger that the gate has passed answers live requests in the shadow for so long (data time)
    before it may be promoted; None promotes at once.

    `watch`: after a promotion the previous champion stays in the shadow for so long (data time), and the new one is
    rolled back automatically when, after at least `min_requests` answers, more than `max_error_share` of them failed,
    when its p95 latency is above `max_latency_ms` (None: not judged), or when with mature labels its loss is provably
    higher than the previous champion's (one-sided `alpha`). None watches nothing.
    """

    shadow: str | timedelta | None = None
    watch: str | timedelta | None = "7d"
    max_error_share: float = 0.01
    max_latency_ms: float | None = None
    min_requests: int = 200
    alpha: float = 0.01

    def __post_init__(self) -> None:
        check_types(self, part="rollout")
        for name in ("shadow", "watch"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, duration(getattr(self, name), field=f"rollout.{name}"))
        if not 0 < self.max_error_share <= 1:
            raise DefinitionError(f"rollout.max_error_share must be a share in (0, 1], got {self.max_error_share}")
        if self.max_latency_ms is not None and self.max_latency_ms <= 0:
            raise DefinitionError(f"rollout.max_latency_ms must be above 0, got {self.max_latency_ms}")
        if self.min_requests < 1:
            raise DefinitionError(f"rollout.min_requests must be at least 1, got {self.min_requests}")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"rollout.alpha must be in (0, 0.5), got {self.alpha}")
