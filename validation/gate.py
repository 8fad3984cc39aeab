"""May this challenger replace the champion? Judges paired losses on rows that neither has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from validation.behaviour import BehaviourResult
from validation.gate_policy import Gate
from validation.guards import Guards, failed
from validation.intervals import Floats, Interval, paired_interval, plain
from validation.slices import SliceGain, judge_slices
from validation.verdict import Verdict

__all__ = ["Evidence", "Gate", "GateVerdict", "Guards", "judge"]

MAX_SLICE_ALPHA = 0.05  # a slice blocks a promotion only on proof, also when the gate's own alpha is generous
MAX_SLICES_TOLD = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Losses of both models, one per labelled row of the holdout; `blocks`: the row's day as an integer.

    `slices`: column -> its value in each row. `champion_is` "base rate": there is no champion yet, and
    `champion_loss` is the loss of always predicting the training rows' mean. `evidence` names the rows.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict(Verdict):
    """outcome: "promote", "reject" or "need evidence".

    `gain` = champion's loss - challenger's, mean per row; `gain_share` of the champion's loss; `lower` and `upper`
    are one-sided bounds of the gain at `alpha` (None: infinite). `slices`: worst first. The last four say what was
    judged, so that an interrupted promotion can be finished from the ledger alone.
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


def judge(
    evidence: Evidence, guards: Guards, *, policy: Gate, pipeline: str, subject: str, as_of: datetime
) -> GateVerdict:
    """Judge a challenger. Promote: gain >= min_gain and its lower bound above 0. Reject: a guard fails, a slice is
    provably worse, or even the upper bound is below min_gain. Anything else needs evidence.
    """
    gain = None if _not_finite(evidence) else _gain(evidence, policy.alpha)
    slices = () if gain is None else _slices(evidence, policy)
    outcome, reasons = _conclude(evidence, guards, policy=policy, gain=gain, slices=slices)
    loss = float(evidence.champion_loss.mean()) if gain and gain.rows else None
    return GateVerdict(
        pipeline=pipeline,
        subject=subject,
        outcome=outcome,
        reasons=reasons,
        data_time=as_of,
        champion_is=evidence.champion_is,
        champion_version=evidence.champion_version,
        challenger_version=evidence.challenger_version,
        bundle_sha256=evidence.bundle_sha256,
        evidence=evidence.evidence,
        rows=len(evidence.champion_loss),
        blocks=gain.blocks if gain else 0,
        coverage=guards.coverage,
        champion_loss=loss,
        challenger_loss=loss - gain.mean if gain and loss is not None else None,
        gain=gain.mean if gain else None,
        gain_share=_share(gain, loss) if gain and loss is not None else None,
        standard_error=plain(gain.standard_error) if gain else None,
        lower=plain(gain.lower) if gain else None,
        upper=plain(gain.upper) if gain else None,
        alpha=policy.alpha,
        min_gain=policy.min_gain,
        calibration_bias=guards.calibration_bias,
        latency_ms=guards.latency_ms,
        size_mb=guards.size_mb,
        slices=slices[:MAX_SLICES_TOLD],
    )


def _conclude(
    evidence: Evidence, guards: Guards, *, policy: Gate, gain: Interval | None, slices: tuple[SliceGain, ...]
) -> tuple[str, tuple[str, ...]]:
    """The outcome and its reasons: faults first, then lacking evidence, then the interval."""
    faults = [*failed(guards, policy), *_not_finite(evidence), *(str(item) for item in slices if item.worse)]
    if gain is None:
        return "reject", tuple(faults)
    lacking = _lacking(evidence, gain, guards, policy)
    outcome, numbers = _decide(gain, float(evidence.champion_loss.mean()) if gain.rows else 0.0, policy=policy)
    if faults:
        return "reject", (*faults, numbers)
    return ("need evidence", tuple(lacking)) if lacking else (outcome, (numbers,))


def _gain(evidence: Evidence, alpha: float) -> Interval:
    return paired_interval(evidence.champion_loss - evidence.challenger_loss, evidence.blocks, alpha=alpha)


def _slices(evidence: Evidence, policy: Gate) -> tuple[SliceGain, ...]:
    return judge_slices(
        evidence.champion_loss - evidence.challenger_loss,
        evidence.blocks,
        evidence.slices,
        alpha=min(policy.alpha, MAX_SLICE_ALPHA),
        min_rows=policy.min_slice_rows,
    )


def _share(gain: Interval, loss: float) -> float:
    """0 for a champion without any loss: there is nothing to gain."""
    return gain.mean / loss if loss > 0 else 0.0


def _not_finite(evidence: Evidence) -> list[str]:
    sides = {evidence.champion_is: evidence.champion_loss, "challenger": evidence.challenger_loss}
    counts = {side: int((~np.isfinite(losses)).sum()) for side, losses in sides.items()}
    return [f"the {side}'s loss is not a number on {rows:,} rows" for side, rows in counts.items() if rows]


def _lacking(evidence: Evidence, gain: Interval, guards: Guards, policy: Gate) -> list[str]:
    lacking = []
    if gain.blocks < policy.min_blocks:
        lacking.append(
            f"the {evidence.evidence} has {gain.rows:,} labelled rows in {gain.blocks} blocks; "
            f"at least {policy.min_blocks} blocks are needed"
        )
    if guards.coverage < guards.min_coverage:
        lacking.append(
            f"only {guards.coverage:.1%} of the {evidence.evidence}'s mature rows have a label, "
            f"{guards.min_coverage:.1%} are needed"
        )
    return lacking


def _decide(gain: Interval, loss: float, *, policy: Gate) -> tuple[str, str]:
    share = _share(gain, loss)
    numbers = (
        f"the challenger's loss is {loss - gain.mean:.5f} against {loss:.5f}, a gain of {share:+.2%} "
        f"(bounds {gain.lower:+.5f} to {gain.upper:+.5f} at alpha {policy.alpha:g}, {gain.rows:,} rows in "
        f"{gain.blocks} blocks)"
    )
    if share >= policy.min_gain and gain.lower > 0:
        return "promote", f"{numbers}: at least {policy.min_gain:.2%}, and proven above 0"
    if gain.upper < policy.min_gain * loss or loss <= 0:
        return "reject", f"{numbers}: even the upper bound is below the {policy.min_gain:.2%} that are asked for"
    return "need evidence", f"{numbers}: neither proven nor refuted that it is at least {policy.min_gain:.2%}"
