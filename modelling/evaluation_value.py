"""What an evaluation found, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modelling.spec import Task

MODEL, OTHER = "model", "against"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceScore:
    """The mean loss in one slice, and that of the model that it is held against, if there is one."""

    column: str
    value: str
    rows: int
    loss: float
    against_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Of `rows` judged rows, of event times `since` to `until`; `left_out`: those given that had been seen, or whose
    time is too near to what was.

    `losses`: the mean in the pipeline's `metric`, by who answered: MODEL, OTHER, and the baselines. `metrics`: all
    metrics of the task, by who answered and by name. `slices`: the gate's.
    """

    pipeline: str
    task: Task
    metric: str
    rows: int
    left_out: int
    since: datetime
    until: datetime
    losses: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]
    slices: tuple[SliceScore, ...]

    @property
    def loss(self) -> float:
        """The model's mean loss in the pipeline's metric."""
        return self.losses[MODEL]
