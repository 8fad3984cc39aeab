"""What a pipeline asks of a challenger: the gate's policy, checked when it is made."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from validation.behaviour import Check, Invariant, Monotone
from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types

By = Literal["loss", "auc"]
Rows = Literal["holdout", "prequential"]
Mode = Literal["live", "dry_run"]
Approval = Literal["never", "when_need_evidence", "always"]
MAX_LOOKS = 20  # more are no plan: the level of each would be next to nothing
_CHOICES = {"by": get_args(By), "evidence": get_args(Rows), "mode": get_args(Mode), "approval": get_args(Approval)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a challenger must prove.

    `min_gain`: smallest gain worth a promotion, as a share of the champion's loss. `alpha`: one-sided error of a
    promotion over all looks at a challenger, in (0, 0.5); smaller is safer and slower. `slices`: columns in whose
    values nobody may become provably worse. `min_slice_rows`: smaller slices are not judged. `max_latency_ms` (one
    row, median) and `max_size_mb` of the bundle. `by`: what is compared, the metric's loss or, in a binary task,
    1 - AUC. `evidence`: on which rows. `max_looks`: how often one challenger may be looked at: with several it
    waits for evidence while no new one is trained, and expires at the last.
    `max_churn`: share of the decisions that may change; all may unless you say so, as in a changed world they must.
    `max_bias_growth`: how much further from 0 the mean of label - prediction may come, in probability or standard
    deviations of the label. `checks`: behaviour that it must keep. `mode` "dry_run" decides and promotes nothing.
    `approval`: when a person is asked, who has `approval_timeout` to answer.
    """

    min_gain: float = 0.001
    alpha: float = 0.2
    slices: tuple[str, ...] = ()
    min_slice_rows: int = 200
    min_blocks: int = 5
    max_latency_ms: float = 50.0
    max_size_mb: float = 100.0
    by: By = "loss"
    evidence: Rows = "holdout"
    max_looks: int = 1
    max_churn: float = 1.0
    max_bias_growth: float = 0.02
    checks: tuple[Check, ...] = ()
    mode: Mode = "live"
    approval: Approval = "never"
    approval_timeout: str | timedelta = "3d"

    def __post_init__(self) -> None:
        check_types(self, part="gate")
        timeout = duration(self.approval_timeout, field="gate.approval_timeout")
        object.__setattr__(self, "approval_timeout", timeout)
        self._check_numbers()
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = " or ".join(f'"{choice}"' for choice in allowed)
                raise DefinitionError(f"gate.{name} must be {choices}, got {getattr(self, name)!r}")
        if isinstance(self.slices, str):
            raise DefinitionError(f"gate.slices must be a tuple of column names, got the string {self.slices!r}")
        if not isinstance(self.checks, tuple) or not all(
            isinstance(item, Monotone | Invariant) for item in self.checks
        ):
            raise DefinitionError(f"gate.checks must be a tuple of Monotone and Invariant, got {self.checks!r}")
        if len(set(self.checks)) != len(self.checks):
            raise DefinitionError("gate.checks must not name the same check twice")

    def _check_numbers(self) -> None:
        if not 0 <= self.min_gain < 1:
            raise DefinitionError(f"gate.min_gain must be a share in [0, 1), got {self.min_gain}")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"gate.alpha must be in (0, 0.5), got {self.alpha}")
        if self.min_blocks < 2:
            raise DefinitionError(f"gate.min_blocks must be at least 2, got {self.min_blocks}")
        if not 1 <= self.max_looks <= MAX_LOOKS:
            raise DefinitionError(f"gate.max_looks must be in 1 to {MAX_LOOKS}, got {self.max_looks}")
        if not 0 < self.max_churn <= 1:
            raise DefinitionError(f"gate.max_churn must be a share in (0, 1], got {self.max_churn}")
        if not self.max_bias_growth >= 0:
            raise DefinitionError(f"gate.max_bias_growth must be 0 or more, got {self.max_bias_growth}")
        for name in ("min_slice_rows", "max_latency_ms", "max_size_mb"):
            if not getattr(self, name) > 0:
                raise DefinitionError(f"gate.{name} must be above 0, got {getattr(self, name)}")
