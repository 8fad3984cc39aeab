"""Has the data moved further than it moves anyway? Compares a monitoring window with the champion's profile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from validation.verdict import Verdict
from validation.watch.counting import WindowCounts
from validation.watch.evidence import PREDICTION, Evidence, Prepared, evidence, prepared
from validation.watch.findings import PROBABLE_BAD_DATA, FeatureDrift, moment, rarity, tell
from validation.watch.policy import Drift
from validation.watch.profile import Profile, build_profile
from validation.watch.seasons import Matched, matched
from validation.watch.state import JUDGED, Seen, alarm_since, next_state

__all__ = [
    "PREDICTION",
    "PROBABLE_BAD_DATA",
    "Drift",
    "DriftVerdict",
    "FeatureDrift",
    "Prepared",
    "Profile",
    "Seen",
    "build_profile",
    "judge",
    "prepared",
]

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
    `epoch`: of the champion by whose reference it was judged; 0: not known.
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
    epoch: int = 0

    @property
    def seen(self) -> Seen:
        """What the next window's verdict needs to know of this one."""
        found = {feature.name: feature.since for feature in self.features if feature.drifted}
        start = datetime.fromisoformat(self.subject)
        return Seen(
            start=start,
            outcome=self.outcome,
            since=self.since,
            prediction=self.prediction,
            features=found,
            bad_data=self.bad_data,
        )


def judge(
    reference: Profile | Prepared,
    counts: WindowCounts,
    *,
    pipeline: str,
    window_start: datetime,
    policy: Drift,
    previous: Sequence[Seen],
    as_of: datetime,
) -> DriftVerdict:
    """Judge one monitoring window, as long as the profile's windows. `reference`: `prepared` where many are judged.

    `previous`: verdicts on the windows before under the same profile, oldest first; the newest max(3,
    `policy.clear_after`) that could be judged are enough. A column that has disappeared or changed its kind is a
    finding.
    """
    known = reference if isinstance(reference, Prepared) else prepared(reference)
    compared = _compared(known, window_start, policy)
    found = evidence(known, counts, compared=compared, policy=policy, most=MAX_FEATURES_TOLD)
    features = _told(found, window_start, previous)
    drifted = tuple(feature for feature in features if feature.drifted)
    outcome, raised = _alarm(found, previous, policy, suspect=bool(drifted))
    since = alarm_since(previous, start=window_start, raised=raised, suspect=bool(drifted), policy=policy)
    told = _findings(found, drifted, raised=raised, since=since, policy=policy)
    return DriftVerdict(
        pipeline=pipeline,
        subject=window_start.isoformat(),
        outcome=outcome,
        reasons=(*told, compared.words) if found.judged else (_why_not(known.profile, counts, policy),),
        data_time=as_of,
        raised=raised,
        rows=counts.rows,
        p_value=found.p_window,
        judged=found.judged,
        features=features[:MAX_FEATURES_TOLD],
        since=since,
        bad_data=tuple(feature.name for feature in drifted if feature.cause in PROBABLE_BAD_DATA),
        rarity=rarity(found.p_window) if found.judged else "",
        prediction=_prediction(known.profile, found, previous, policy),
    )


def _compared(known: Prepared, start: datetime, policy: Drift) -> Matched:
    profile = known.profile
    return matched(profile.starts, known.filled, start=start, every_seconds=profile.every_seconds, policy=policy)


def _alarm(found: Evidence, previous: Sequence[Seen], policy: Drift, *, suspect: bool) -> tuple[str, bool]:
    return next_state(
        [seen.outcome for seen in previous],
        suspect=suspect if found.judged else None,
        at_once=found.p_window < policy.alpha / AT_ONCE,
        policy=policy,
    )


def _told(found: Evidence, start: datetime, previous: Sequence[Seen]) -> tuple[FeatureDrift, ...]:
    """Each feature in words; a run of findings began where the last window that could be judged says so."""
    known = [seen for seen in previous if seen.outcome in JUDGED]
    before, bad = (known[-1].features, known[-1].bad_data) if known else ({}, ())
    now = start.isoformat()
    return tuple(
        tell(
            item,
            start=now,
            since=before.get(item.feature.name) or now,
            is_on_its_way=item.feature.name in before and item.feature.name not in bad,
        )
        for item in found.readings
    )


def _findings(
    found: Evidence, drifted: Sequence[FeatureDrift], *, raised: bool, since: str, policy: Drift
) -> Iterator[str]:
    """What is said of a window that could be judged: what drifted, the alarm, and how rare such a window is."""
    yield from (feature.sentence for feature in drifted[:MAX_FEATURES_TOLD])
    if not drifted:
        yield f"none of {found.judged} features moved further than between reference windows"
    if raised:
        yield f"the alarm is raised for drift since {moment(since)}; {policy.clear_after} quiet windows clear it"
    yield rarity(found.p_window)


def _prediction(profile: Profile, found: Evidence, previous: Sequence[Seen], policy: Drift) -> str:
    """The outcome of the prediction's own alarm."""
    if all(feature.name != PREDICTION for feature in profile.features):
        return ""
    p_value = found.p_prediction
    return next_state(
        [seen.prediction for seen in previous],
        suspect=None if p_value is None else p_value <= policy.alpha,
        at_once=p_value is not None and p_value < policy.alpha / AT_ONCE,
        policy=policy,
    )[0]


def _why_not(profile: Profile, counts: WindowCounts, policy: Drift) -> str:
    if not counts.rows:
        return "the window has no rows, so nothing can be compared"
    most = max((sum(window.rows > 0 for window in feature.windows) for feature in profile.features), default=0)
    return f"the profile has {most} windows with rows, {policy.min_windows} are needed to know how far windows differ"
