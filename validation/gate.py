"""May this challenger replace the champion? Judges paired losses on rows that neither has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from validation.constant import above_constant, baseline, told_of_a_constant, worse_than_a_constant
from validation.gate_policy import Gate
from validation.gate_verdict import Evidence, GateVerdict
from validation.guards import Guards, failed, measured
from validation.intervals import Interval, paired_interval, plain
from validation.looks import Looks, looks_of, more_blocks
from validation.slices import SliceGain, judge_slices

__all__ = ["Evidence", "Gate", "GateVerdict", "Guards", "judge"]

# What a slice or a constant says blocks a promotion only on proof, also when the gate's own alpha is generous.
MAX_BLOCKING_ALPHA = 0.05
MAX_SLICES_TOLD = 50


def judge(
    evidence: Evidence, guards: Guards, *, policy: Gate, pipeline: str, subject: str, as_of: datetime
) -> GateVerdict:
    """Judge a challenger. Promote: gain >= min_gain and its lower bound above 0. Reject: a guard fails, a slice is
    provably worse, a constant provably better, or even the upper bound is below min_gain. Anything else needs evidence,
    and expires with the last look. A champion that cannot score is never replaced by this verdict alone: it asks a
    person.
    """
    weighed = _weigh(evidence, guards, policy)
    outcome, reasons = _conclude(evidence, guards, weighed, policy)
    return GateVerdict(
        pipeline=pipeline,
        subject=subject,
        outcome=outcome,
        reasons=(*reasons, *_told(outcome, evidence, guards, weighed, policy)),
        data_time=as_of,
        champion_is=evidence.champion_is,
        champion_version=evidence.champion_version,
        challenger_version=evidence.challenger_version,
        bundle_sha256=evidence.bundle_sha256,
        evidence=evidence.evidence,
        rows=len(evidence.champion_loss),
        alpha=policy.alpha,
        min_gain=policy.min_gain,
        look=evidence.look,
        max_looks=policy.max_looks,
        more_blocks=weighed.more if outcome == "need evidence" else None,
        earlier_blocks=evidence.earlier_blocks,
        mode=policy.mode,
        asks=_asks(outcome, evidence, policy),
        baseline_loss=baseline(evidence),
        by=policy.by,
        unable_why=evidence.unable_why,
        **_compared(weighed),
        **measured(guards),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weighed:
    """The numbers of the comparison; `gain` None: some losses are not numbers. `more` blocks would probably decide.
    `above_constant`: what the challenger loses less than the best constant; None where that is unknown.
    """

    looks: Looks
    level: float
    gain: Interval | None = None
    above_constant: Interval | None = None
    loss: float = 0.0
    slices: tuple[SliceGain, ...] = ()
    more: int | None = None

    @property
    def share(self) -> float:
        """The gain as a share of the champion's loss; 0 for a champion without any: there is nothing to gain."""
        return self.gain.mean / self.loss if self.gain and self.loss > 0 else 0.0


def _compared(weighed: _Weighed) -> dict[str, Any]:
    """The comparison's numbers as fields of the verdict."""
    gain, known = weighed.gain, bool(weighed.gain and weighed.gain.rows)
    return {
        "blocks": gain.blocks if gain else 0,
        "champion_loss": weighed.loss if known else None,
        "challenger_loss": weighed.loss - gain.mean if gain and known else None,
        "gain": gain.mean if gain else None,
        "gain_share": weighed.share if known else None,
        "standard_error": plain(gain.standard_error) if gain else None,
        "lower": plain(gain.lower) if gain else None,
        "upper": plain(gain.upper) if gain else None,
        "nominal_alpha": weighed.level,
        "slices": weighed.slices[:MAX_SLICES_TOLD],
    }


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is told as a fault, or proves nothing
def _weigh(evidence: Evidence, guards: Guards, policy: Gate) -> _Weighed:
    difference = evidence.champion_loss - evidence.challenger_loss
    blocks = len(np.unique(evidence.blocks))
    looks = looks_of(evidence.earlier_blocks, blocks, policy)
    level = looks.level(policy.alpha, blocks)
    if not np.isfinite(difference).all():
        return _Weighed(looks=looks, level=level)
    gain = paired_interval(difference, evidence.blocks, alpha=level)
    loss = float(evidence.champion_loss.mean()) if gain.rows else 0.0
    blocking = looks.level(min(policy.alpha, MAX_BLOCKING_ALPHA), blocks)
    slices = judge_slices(
        difference,
        evidence.blocks,
        evidence.slices,
        alpha=blocking,
        min_rows=policy.min_slice_rows,
        min_blocks=policy.min_blocks,
    )
    other = guards.coverage < guards.min_coverage or evidence.champion_is == "unable"  # no number of blocks mends it
    more = None if other else more_blocks(gain, loss, looks=looks, policy=policy)
    constant = above_constant(evidence, alpha=blocking)
    return _Weighed(looks=looks, level=level, gain=gain, above_constant=constant, loss=loss, slices=slices, more=more)


def _conclude(evidence: Evidence, guards: Guards, weighed: _Weighed, policy: Gate) -> tuple[str, tuple[str, ...]]:
    """The outcome and its reasons: faults first, then lacking evidence, then the interval."""
    faults = [*failed(guards, policy), *_not_finite(evidence, policy)]
    faults += worse_than_a_constant(evidence, weighed.above_constant)
    faults += [str(item) for item in weighed.slices if item.worse]
    lacking = _lacking(evidence, guards, weighed, policy)
    outcome, numbers = _decide(evidence, weighed, policy)
    if faults:
        return "reject", (*faults, *numbers)
    if lacking:
        outcome, numbers = "need evidence", lacking
    if evidence.champion_is == "unable" and outcome != "reject":
        return "need evidence", (_unable(evidence), *numbers)
    if outcome == "need evidence":
        ended = evidence.look >= policy.max_looks > 1
        return ("expired" if ended else outcome), (*numbers, _ahead(evidence, weighed, policy))
    return outcome, tuple(numbers)


def _decide(evidence: Evidence, weighed: _Weighed, policy: Gate) -> tuple[str, Sequence[str]]:
    """What the interval says, and its numbers in words; nothing without one."""
    gain, loss, share = weighed.gain, weighed.loss, weighed.share
    if gain is None:
        return "need evidence", ()
    what = "loss" if policy.by == "loss" else "1 - AUC"
    whose = "" if evidence.champion_is == "champion" else "the base rate's "
    look = f", look {evidence.look} of {policy.max_looks}" if policy.max_looks > 1 else ""
    numbers = (
        f"the challenger's {what} is {loss - gain.mean:.5f} against {whose}{loss:.5f}, a gain of {share:+.2%} "
        f"(bounds {gain.lower:+.5f} to {gain.upper:+.5f} at alpha {weighed.level:.3g}{look}, {gain.rows:,} rows in "
        f"{gain.blocks} blocks)"
    )
    if share >= policy.min_gain and gain.lower > 0:
        return "promote", (f"{numbers}: at least {policy.min_gain:.2%}, and proven above 0",)
    if gain.upper < policy.min_gain * loss or loss <= 0:
        return "reject", (f"{numbers}: even the upper bound is below the {policy.min_gain:.2%} that are asked for",)
    return "need evidence", (f"{numbers}: neither proven nor refuted that it is at least {policy.min_gain:.2%}",)


def _lacking(evidence: Evidence, guards: Guards, weighed: _Weighed, policy: Gate) -> list[str]:
    rows, blocks = len(evidence.champion_loss), len(np.unique(evidence.blocks))
    lacking = []
    if blocks < policy.min_blocks:
        lacking.append(
            f"the {evidence.evidence} has {rows:,} labelled rows in {blocks} blocks; "
            f"at least {policy.min_blocks} blocks are needed"
        )
    if not weighed.looks.news:
        lacking.append(f"no block has come since the last look, which had {weighed.looks.earlier[-1]}")
    if guards.coverage < guards.min_coverage:
        lacking.append(
            f"only {guards.coverage:.1%} of the {evidence.evidence}'s mature rows have a label, "
            f"{guards.min_coverage:.1%} are needed"
        )
    if _has_no_auc(evidence, policy):
        lacking.append(f"all {rows:,} labels of the {evidence.evidence} are the same, so there is no AUC")
    return lacking


def _ahead(evidence: Evidence, weighed: _Weighed, policy: Gate) -> str:
    if evidence.look >= policy.max_looks > 1:
        return f"this was look {evidence.look} of {policy.max_looks}: the challenger expires, undecided"
    if weighed.more is None:
        return "how many more blocks would decide cannot be told"
    end = "promotion" if weighed.share >= policy.min_gain else "rejection"
    blocks = "1 more block" if weighed.more == 1 else f"{weighed.more:,} more blocks"
    waits = (
        "" if policy.max_looks > 1 else "; the next challenger starts anew (a longer holdout or Gate.max_looks waits)"
    )
    return f"about {blocks} would probably decide, as it looks now for a {end}{waits}"


def _unable(evidence: Evidence) -> str:
    why = evidence.unable_why or f"version {evidence.champion_version} cannot score these rows"
    return f"the champion could not be asked ({why}): nothing was compared with it, and a person must decide"


def _not_finite(evidence: Evidence, policy: Gate) -> list[str]:
    if _has_no_auc(evidence, policy):
        return []
    champion = "base rate" if evidence.champion_is == "unable" else evidence.champion_is
    sides = {champion: evidence.champion_loss, "challenger": evidence.challenger_loss}
    counts = {side: int((~np.isfinite(losses)).sum()) for side, losses in sides.items()}
    return [f"the {side}'s loss is not a number on {rows:,} rows" for side, rows in counts.items() if rows]


def _has_no_auc(evidence: Evidence, policy: Gate) -> bool:
    losses = (evidence.champion_loss, evidence.challenger_loss)
    return policy.by == "auc" and len(losses[0]) > 0 and all(bool(np.isnan(side).all()) for side in losses)


def _told(outcome: str, evidence: Evidence, guards: Guards, weighed: _Weighed, policy: Gate) -> list[str]:
    """What is said beside the reasons, whatever they are."""
    told = [] if guards.churn is None else [f"{guards.churn:.1%} of the decisions change"]
    told += told_of_a_constant(evidence, weighed.above_constant)
    if policy.mode == "dry_run" and outcome == "promote":
        told.append("this is a dry run: nothing is promoted")
    return told


def _asks(outcome: str, evidence: Evidence, policy: Gate) -> str:
    if policy.mode == "dry_run":
        return ""
    if evidence.champion_is == "unable" and outcome != "reject":
        return _unable(evidence)
    if policy.approval == "always" and outcome == "promote":
        return "the pipeline asks a person before every promotion"
    if policy.approval == "when_need_evidence" and outcome in ("need evidence", "expired"):
        return "the evidence does not decide, and the pipeline asks a person then"
    return ""
