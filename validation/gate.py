"""May this challenger replace the champion? Judges paired losses on rows that neither has seen."""

from dataclasses import dataclass

from validation.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a challenger must prove.

    `min_gain`: smallest gain worth a promotion, as a share of the champion's loss. `alpha`: one-sided error of the
    lower bound, in (0, 0.5); smaller is safer and slower. `slices`: columns in whose values nobody may become provably
    worse. `min_slice_rows`: smaller slices are not judged. `max_latency_ms` (one row, median) and `max_size_mb` of the
    bundle.
    """

    min_gain: float = 0.001
    alpha: float = 0.2
    slices: tuple[str, ...] = ()
    min_slice_rows: int = 200
    min_blocks: int = 5
    max_latency_ms: float = 50.0
    max_size_mb: float = 100.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_gain < 1:
            raise DefinitionError(f"gate.min_gain must be a share in [0, 1), got {self.min_gain}")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"gate.alpha must be in (0, 0.5), got {self.alpha}")
        if isinstance(self.slices, str):
            raise DefinitionError(f"gate.slices must be a tuple of column names, got the string {self.slices!r}")
        if self.min_blocks < 2:
            raise DefinitionError(f"gate.min_blocks must be at least 2, got {self.min_blocks}")
        for name in ("min_slice_rows", "max_latency_ms", "max_size_mb"):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"gate.{name} must be above 0, got {getattr(self, name)}")
