"""Has the data moved further than it moves anyway? Compares a monitoring window with the champion's profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np

from validation.verdict import Verdict
from validation.watch.counting import WindowCounts
from validation.watch.findings import PROBABLE_BAD_DATA, FeatureDrift, read, tell
from validation.watch.policy import Drift
from validation.watch.profile import Profile, build_profile
from validation.watch.state import Seen, alarm_since, next_state
from validation.watch.surprise import Measure, p_value, pooled

__all__ = [
    "PREDICTION",
    "PROBABLE_BAD_DATA",
    "Drift",
    "DriftVerdict",
    "FeatureDrift",
    "Profile",
    "Seen",
    "build_profile",
    "judge",
]

PREDICTION = "prediction"  # the model's score is judged as a column of this name
AT_ONCE = 100  # one window with p < alpha / 100 raises the alarm without a second
MAX_FEATURES_TOLD = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftVerdict(Verdict):
    """outcome: "quiet", "suspect", "drift" (suspect, and the alarm is raised) or "not enough history".

    `raised`: the alarm after this window; it may stay raised over quiet windows. `p_value`: of the window (Simes).
    `features`: all that drifted and the next nearest, worst first. `since`: start of the first suspect window of the
    present alarm or suspicion, "" when quiet. `bad_data`: those that drifted by a cause in PROBABLE_BAD_DATA.
    `rarity`: how often such a window is seen when nothing has changed, in words. `prediction`: the outcome of the
    prediction alone, which has an alarm of its own; "" when it is not in the profile, or from before this was told.
    """

    kind: ClassVar[str] = "drift"

    raised: bool
    rows: int
    p_value: float
    judged: int
    features: tuple[FeatureDrift, ...]
    since: str = ""
    bad_data: tuple[str, ...] = ()
    rarity: str = ""
    prediction: str = ""

    @property
    def seen(self) -> Seen:
        """What the next window's verdict needs to know of this one."""
        found = {feature.name: feature.since for feature in self.features if feature.drifted}
        start = datetime.fromisoformat(self.subject)
        return Seen(start=start, outcome=self.outcome, since=self.since, prediction=self.prediction, features=found)


def judge(
    profile: Profile,
    counts: WindowCounts,
    *,
    pipeline: str,
    window_start: datetime,
    policy: Drift,
    previous: Sequence[Seen],
    as_of: datetime,
) -> DriftVerdict:
    """Judge one monitoring window, as long as the profile's windows.

    `previous`: verdicts on the windows before under the same profile, oldest first; the newest max(3,
    `policy.clear_after`) that could be judged are enough. A column that has disappeared or changed its kind is a
    finding.
    """
    judged = _features(profile, counts, policy=policy) if counts.rows else ()
    p_window = simes([feature.p_value for feature in judged])
    drifted = [feature for feature in judged if feature.drifted]
    at_once = p_window < policy.alpha / AT_ONCE
    suspect = bool(drifted) if judged else None
    outcome, raised = next_state([seen.outcome for seen in previous], suspect=suspect, at_once=at_once, policy=policy)
    reasons = tuple(feature.sentence for feature in drifted) or (
        f"none of {len(judged)} features moved further than between reference windows (p = {p_window:.2g})",
    )
    if not judged:
        reasons = (_why_not(profile, policy) if counts.rows else "the window has no rows, so nothing can be compared",)
    return DriftVerdict(
        pipeline=pipeline,
        subject=window_start.isoformat(),
        outcome=outcome,
        reasons=reasons[:MAX_FEATURES_TOLD],
        data_time=as_of,
        raised=raised,
        rows=counts.rows,
        p_value=p_window,
        judged=len(judged),
        features=judged[:MAX_FEATURES_TOLD],
        since=alarm_since(previous, start=window_start, raised=raised, suspect=bool(drifted), policy=policy),
        bad_data=tuple(feature.name for feature in drifted if feature.cause in PROBABLE_BAD_DATA),
    )


def simes(p_values: Sequence[float]) -> float:
    """Probability that all features are quiet: min over i of n p_(i) / i (Simes 1986). 1 without features."""
    ordered = np.sort(p_values)
    return float(min(1.0, *(len(ordered) * ordered / np.arange(1, len(ordered) + 1)))) if len(ordered) else 1.0


def discoveries(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which p-values are discoveries at false discovery rate `alpha` (Benjamini and Hochberg 1995)."""
    ordered = np.sort(p_values)
    passing = np.flatnonzero(ordered <= alpha * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    limit = ordered[passing[-1]] if len(passing) else -1.0
    return [bool(p <= limit) for p in p_values]


def _features(profile: Profile, counts: WindowCounts, *, policy: Drift) -> tuple[FeatureDrift, ...]:
    """All features with enough history, drifted or not, worst first."""
    read_all = (read(feature, counts, min_windows=policy.min_windows) for feature in profile.features)
    readings = [reading for reading in read_all if reading.measures]
    tails = pooled([measure for reading in readings for measure in reading.measures])
    judged = [[(p_value(item, tails[item.kind]), item) for item in reading.measures] for reading in readings]
    worst = [min(found, key=lambda pair: (_gated(*pair), -pair[1].strength)) for found in judged]
    p_values = [
        0.0 if reading.gone else min(1.0, len(found) * _gated(*first))
        for reading, found, first in zip(readings, judged, worst, strict=True)
    ]
    found = [
        tell(reading, first[1], p_value=p, drifted=drifted)
        for reading, first, p, drifted in zip(
            readings, worst, p_values, discoveries(p_values, policy.alpha), strict=True
        )
    ]
    return tuple(sorted(found, key=lambda feature: (not feature.drifted, feature.p_value, feature.name)))


def _gated(p: float, measure: Measure) -> float:
    """A movement that is too small to matter is no evidence, however sure it is."""
    return p if measure.strength >= 1 else 1.0


def _why_not(profile: Profile, policy: Drift) -> str:
    most = max((sum(window.rows > 0 for window in feature.windows) for feature in profile.features), default=0)
    return f"the profile has {most} windows with rows, {policy.min_windows} are needed to know how far windows differ"
