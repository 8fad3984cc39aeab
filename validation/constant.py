"""Is a challenger of any use? What it loses beside the best constant of its training rows; to reject takes proof."""

from collections.abc import Sequence

import numpy as np

from validation.gate_verdict import Evidence
from validation.intervals import Interval, paired_interval, plain


def above_constant(evidence: Evidence, *, alpha: float) -> Interval | None:
    """What the challenger loses less than the constant; None where that is unknown."""
    if evidence.baseline_loss is None or not len(evidence.baseline_loss):
        return None
    difference = evidence.baseline_loss - evidence.challenger_loss
    return paired_interval(difference, evidence.blocks, alpha=alpha) if np.isfinite(difference).all() else None


def worse_than_a_constant(evidence: Evidence, above: Interval | None) -> Sequence[str]:
    """A fault when it is proven: in a week that is unlike all before, any model may lose more than a constant, and the
    champion, which knows less of such weeks, most.
    """
    proven = above is not None and above.upper < 0
    return [f"{_beside(evidence)}: it must be below, and is proven above"] if proven else []


def told_of_a_constant(evidence: Evidence, above: Interval | None) -> Sequence[str]:
    """What is said of it where it is no fault."""
    unproven = above is not None and above.mean < 0 <= above.upper
    return [f"{_beside(evidence)}: more, but not proven"] if unproven else []


def baseline(evidence: Evidence) -> float | None:
    """The constant's mean loss; None where it is unknown, or no number."""
    losses = evidence.baseline_loss
    return plain(float(losses.mean())) if losses is not None and len(losses) else None


def _beside(evidence: Evidence) -> str:
    own, constant = float(evidence.challenger_loss.mean()), baseline(evidence)
    return f"the challenger's loss is {own:.5f}, that of always predicting the same {constant or 0.0:.5f}"
