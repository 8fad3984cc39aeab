"""Has the data moved further than it moves anyway? Compares a monitoring window with the champion's profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np
import polars as pl

from validation.errors import DefinitionError
from validation.fields import check_types
from validation.verdict import Verdict
from validation.watch.findings import PROBABLE_BAD_DATA, FeatureDrift, read, tell
from validation.watch.profile import Profile, build_profile
from validation.watch.surprise import Measure, p_value, pooled

__all__ = [
    "PREDICTION",
    "PROBABLE_BAD_DATA",
    "Drift",
    "DriftVerdict",
    "FeatureDrift",
    "Profile",
    "build_profile",
    "judge",
]

PREDICTION = "prediction"  # the model's score is judged as a column of this name
AT_ONCE = 100  # one window with p < alpha / 100 raises the alarm without a second
LOOK_BACK = 3  # windows among which `raise_on` must be suspect
MAX_FEATURES_TOLD = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """When a window counts as drifted.

    `alpha`: share of windows that may be suspected although nothing has changed, in (0, 0.5). `min_windows`: with
    fewer reference windows the verdict is "not enough history". An alarm is raised on `raise_on` suspect windows of
    the last three (or on one with p < alpha/100) and cleared after `clear_after` quiet ones.
    """

    alpha: float = 0.005
    min_windows: int = 20
    raise_on: int = 2
    clear_after: int = 3

    def __post_init__(self) -> None:
        check_types(self, part="drift")
        if not 0 < self.alpha < 0.5:
            raise DefinitionError(f"drift.alpha must be in (0, 0.5), got {self.alpha}")
        if self.min_windows < 3:
            raise DefinitionError(f"drift.min_windows must be at least 3, got {self.min_windows}")
        if self.raise_on not in (1, 2, 3):
            raise DefinitionError(f"drift.raise_on must be 1, 2 or 3 (of the last three windows), got {self.raise_on}")
        if self.clear_after < 1:
            raise DefinitionError(f"drift.clear_after must be at least 1, got {self.clear_after}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftVerdict(Verdict):
    """outcome: "quiet", "suspect", "drift" (suspect, and the alarm is raised) or "not enough history".

    `raised`: the alarm after this window; it may stay raised over quiet windows. `p_value`: of the window (Simes).
    `features`: all that drifted and the next nearest, worst first.
    """

    kind: ClassVar[str] = "drift"

    raised: bool
    rows: int
    p_value: float
    judged: int
    features: tuple[FeatureDrift, ...]


def judge(
    profile: Profile,
    frame: pl.DataFrame,
    *,
    pipeline: str,
    window_start: datetime,
    policy: Drift,
    previous: Sequence[str],
    as_of: datetime,
) -> DriftVerdict:
    """Judge one monitoring window, as long as the profile's windows.

    `previous`: outcomes of the windows before under the same profile, oldest first; the newest max(3,
    `policy.clear_after`) that could be judged are enough. A column that has disappeared or changed its kind is a
    finding.
    """
    judged = _features(profile, frame, policy=policy) if frame.height else ()
    p_window = simes([feature.p_value for feature in judged])
    drifted = [feature for feature in judged if feature.drifted]
    at_once = p_window < policy.alpha / AT_ONCE
    suspect = bool(drifted) if judged else None
    outcome, raised = next_state(previous, suspect=suspect, at_once=at_once, policy=policy)
    reasons = tuple(feature.sentence for feature in drifted) or (
        f"none of {len(judged)} features moved further than between reference windows (p = {p_window:.2g})",
    )
    if not judged:
        reasons = (_why_not(profile, policy) if frame.height else "the window has no rows, so nothing can be compared",)
    return DriftVerdict(
        pipeline=pipeline,
        subject=window_start.isoformat(),
        outcome=outcome,
        reasons=reasons[:MAX_FEATURES_TOLD],
        data_time=as_of,
        raised=raised,
        rows=frame.height,
        p_value=p_window,
        judged=len(judged),
        features=judged[:MAX_FEATURES_TOLD],
    )


def next_state(previous: Sequence[str], *, suspect: bool | None, at_once: bool, policy: Drift) -> tuple[str, bool]:
    """Outcome of a window and whether the alarm is raised after it. `suspect` None: the window could not be judged;
    such windows count as not there. A raised alarm needs `clear_after` quiet windows in a row to be cleared.
    """
    known = [outcome for outcome in previous if outcome in ("quiet", "suspect", "drift")]
    raised = "drift" in known[-policy.clear_after :]
    if suspect is None:
        return "not enough history", raised
    if not suspect:
        return "quiet", "drift" in [*known, "quiet"][-policy.clear_after :]
    suspects = 1 + sum(outcome != "quiet" for outcome in known[1 - LOOK_BACK :])
    raised = raised or at_once or suspects >= policy.raise_on
    return ("drift" if raised else "suspect"), raised


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


def _features(profile: Profile, frame: pl.DataFrame, *, policy: Drift) -> tuple[FeatureDrift, ...]:
    """All features with enough history, drifted or not, worst first."""
    read_all = (read(feature, frame, min_windows=policy.min_windows) for feature in profile.features)
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
