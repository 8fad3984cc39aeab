"""What the gate is shown, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

import numpy.typing as npt

from validation.behaviour import BehaviourResult
from validation.intervals import Floats
from validation.slices import SliceGain
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Losses of both models, one per labelled row of the holdout; `blocks`: the row's day as an integer.

    `slices`: column -> its value in each row. `champion_is` "base rate": there is no champion yet, and
    `champion_loss` is the loss of always predicting the training rows' mean; "unable": there is one that cannot score
    these rows, for the reason `unable_why`, and the base rate stands in. `baseline_loss`: of the best constant, on the
    same rows. `evidence` names the rows. `look`: the how manieth at this challenger; `earlier_blocks`: how many blocks
    each look before it had (ValueError unless they are look - 1).

    For Gate(by="auc") all losses are `influence.pseudo_losses`, whose mean is 1 - AUC.
    """

    champion_loss: Floats
    challenger_loss: Floats
    blocks: npt.NDArray[Any]
    slices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    champion_version: str = ""
    challenger_version: str = ""
    champion_is: Literal["champion", "base rate", "unable"] = "champion"
    bundle_sha256: str = ""
    evidence: str = "holdout"
    unable_why: str = ""
    baseline_loss: Floats | None = None
    look: int = 1
    earlier_blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.look != len(self.earlier_blocks) + 1:
            raise ValueError(
                f"look {self.look} must have the blocks of {self.look - 1} earlier looks, got {self.earlier_blocks}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict(Verdict):
    """outcome: "promote", "reject", "need evidence" (undecided) or "expired" (so at the last of several looks).

    `gain` = champion's loss - challenger's, mean per row; `gain_share` of the champion's loss; `lower` and `upper`
    are one-sided bounds of the gain at `nominal_alpha`, this look's level, so that all looks together err by `alpha`
    (None: infinite). `slices`: worst first. `intent` to `trained_until` say what was judged, so that an interrupted
    promotion can be finished from the ledger alone. `more_blocks`: how many would probably decide, None if it cannot
    be told. `asks`: why a person is asked, "" if none is. `churn`: share of decisions that change. `champion_bias`,
    `challenger_bias`: mean label - prediction. `holdout_start`: first moment of the rows.
    """

    kind: ClassVar[str] = "gate"

    champion_is: str
    champion_version: str
    challenger_version: str
    bundle_sha256: str
    evidence: str
    rows: int
    blocks: int
    coverage: float
    champion_loss: float | None
    challenger_loss: float | None
    gain: float | None
    gain_share: float | None
    standard_error: float | None
    lower: float | None
    upper: float | None
    alpha: float
    min_gain: float
    calibration_bias: float | None
    latency_ms: float
    size_mb: float
    slices: tuple[SliceGain, ...]
    intent: str = ""
    snapshot: str = ""
    mature_rows: int = 0
    trained_until: datetime | None = None
    look: int = 1
    max_looks: int = 1
    nominal_alpha: float | None = None
    more_blocks: int | None = None
    earlier_blocks: tuple[int, ...] = ()
    mode: str = "live"
    asks: str = ""
    churn: float | None = None
    baseline_loss: float | None = None
    by: str = "loss"
    unable_why: str = ""
    champion_bias: float | None = None
    challenger_bias: float | None = None
    behaviour: tuple[BehaviourResult, ...] = ()
    holdout_start: datetime | None = None
