"""What else may speak against a challenger that predicts better: measured beside the losses, judged here."""

from dataclasses import dataclass
from typing import Any

from validation.behaviour import BehaviourResult
from validation.gate_policy import Gate
from validation.intervals import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What was measured beside the losses, in a fresh process where it says so.

    `load_ok`, `load_error`, `latency_ms` (one row, median), `size_mb`: the load-and-query check. `coverage`: share of
    the holdout's mature rows that have a label, at least `min_coverage`. `champion_bias`, `challenger_bias`: intervals
    of mean label - prediction on the judged rows, by blocks, in standard deviations of the label for a regression;
    `calibration_bias`: the challenger's mean alone, told and not judged. `churn`: share of the decisions that differ
    from the champion's. `behaviour`: what the declared checks found.
    """

    load_ok: bool
    latency_ms: float
    size_mb: float
    load_error: str = ""
    calibration_bias: float | None = None
    coverage: float = 1.0
    min_coverage: float = 0.0
    champion_bias: Interval | None = None
    challenger_bias: Interval | None = None
    churn: float | None = None
    behaviour: tuple[BehaviourResult, ...] = ()


def failed(guards: Guards, policy: Gate) -> tuple[str, ...]:
    """A sentence for each guard that fails; a bundle that does not load has but that one fault."""
    if not guards.load_ok:
        return (f"the bundle does not load and answer in a fresh process: {guards.load_error or 'no message'}"[:500],)
    faults = []
    if not guards.latency_ms <= policy.max_latency_ms:
        faults.append(f"one row takes {guards.latency_ms:.2f} ms, at most {policy.max_latency_ms:g} ms are allowed")
    if not guards.size_mb <= policy.max_size_mb:
        faults.append(f"the bundle has {guards.size_mb:.1f} MB, at most {policy.max_size_mb:g} MB are allowed")
    faults += _miscalibrated(guards, policy)
    if guards.churn is not None and not guards.churn <= policy.max_churn:
        faults.append(f"{guards.churn:.1%} of the decisions would change, at most {policy.max_churn:.0%} may")
    faults += [result.reason for result in guards.behaviour if not result.ok]
    return tuple(faults)


def measured(guards: Guards) -> dict[str, Any]:
    """The guards' numbers as fields of the gate's verdict."""
    old, new = guards.champion_bias, guards.challenger_bias
    alone = guards.calibration_bias
    return {
        "coverage": guards.coverage,
        "calibration_bias": new.mean if alone is None and new else alone,
        "champion_bias": old.mean if old else None,
        "challenger_bias": new.mean if new else None,
        "latency_ms": guards.latency_ms,
        "size_mb": guards.size_mb,
        "churn": guards.churn,
        "behaviour": guards.behaviour,
    }


def _miscalibrated(guards: Guards, policy: Gate) -> list[str]:
    """Blocked when all of the challenger's interval is further from 0 than the champion's mean and the allowance."""
    old, new = guards.champion_bias, guards.challenger_bias
    if old is None or new is None:
        return []
    limit = abs(old.mean) + policy.max_bias_growth
    surely = max(new.lower, -new.upper)
    if not surely > limit:
        return []
    direction = "little" if new.mean > 0 else "much"
    reason = (
        f"the challenger predicts too {direction}: its mean of label - prediction is {new.mean:+.4f} "
        f"({new.lower:+.4f} to {new.upper:+.4f}), the champion's {old.mean:+.4f}; "
        f"it may be {policy.max_bias_growth:g} further from 0"
    )
    return [reason]
