"""What moved, how far and of which kind: one feature's reading, and the finding in words. Judges nothing."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from validation.watch.counting import WindowCounts, median, spread
from validation.watch.measures import measures
from validation.watch.profile import Counts, FeatureProfile
from validation.watch.surprise import Kind, Measure

Cause = Literal["shift", "spread", "shape", "nulls", "mix", "unseen", "unit change", "null flood"]
PROBABLE_BAD_DATA: tuple[Cause, ...] = ("unit change", "null flood")
CAUSES: dict[Kind, Cause] = {
    "shift": "shift",
    "spread": "spread",
    "skewness": "shape",
    "kurtosis": "shape",
    "nulls": "nulls",
    "share": "mix",
    "mix": "mix",
    "unseen": "unseen",
}
UNIT_SHIFT = 10.0  # a median this many reference sd away is another unit, or a broken sensor
UNIT_RATIO = 10.0  # so is a scale this many times beyond the reference windows' smallest or largest
NULL_FLOOD = 0.3  # more nulls than before, as a share of rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """One feature: did it drift (`drifted`), how sure (`p_value`), what kind (`cause`), how much, and in a sentence.

    `shift`: of a number, the mean's move in reference sd; of a category, the move of its cause in shares of rows.
    `spread`: ratio of the sd to the reference's (1 for categories). `nulls`: growth of the share of nulls.
    `since`: start of the first window of its present run of findings.
    """

    name: str
    drifted: bool
    p_value: float
    cause: Cause | None
    shift: float
    spread: float
    nulls: float
    sentence: str
    since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A feature in the current window. `gone`: how the column is no longer what it was, as a cause and in words."""

    feature: FeatureProfile
    now: Counts
    measures: list[Measure]
    gone: tuple[Cause, str] | None = None


def read(feature: FeatureProfile, counts: WindowCounts, *, min_windows: int) -> Reading:
    """Measure one feature of the window; a column that is not there any more reads as nulls."""
    text, now = counts.gone.get(feature.name), counts.features[feature.name]
    cause: Cause = "null flood" if text and text.startswith("has disappeared") else "unit change"
    gone = (cause, f"{feature.name} {text}") if text else None
    return Reading(feature=feature, now=now, measures=measures(feature, now, min_windows=min_windows), gone=gone)


def tell(reading: Reading, worst: Measure, *, p_value: float, drifted: bool) -> FeatureDrift:
    """The finding: `worst` is the measure that decided."""
    effects = {measure.kind: measure for measure in reading.measures}
    nulls = effects["nulls"]
    cause = _cause(reading, worst, growth=nulls.effect) if drifted else None
    shift = effects["shift"].effect if "shift" in effects else worst.effect
    if cause == "unit change" and reading.gone is None:
        shift = _distance(reading)
    text = reading.gone[1] if reading.gone else f"{reading.feature.name} {_say(worst, nulls, cause, shift)}"
    doubt = ": probably bad data" if cause in PROBABLE_BAD_DATA else ""
    return FeatureDrift(
        name=reading.feature.name,
        drifted=drifted,
        p_value=p_value,
        cause=cause,
        shift=shift,
        spread=float(np.exp(effects["spread"].effect)) if "spread" in effects else 1.0,
        nulls=nulls.effect,
        sentence=f"{text} (p = {p_value:.2g}){doubt}",
    )


def _cause(reading: Reading, worst: Measure, *, growth: float) -> Cause:
    if reading.gone:
        return reading.gone[0]
    if growth >= NULL_FLOOD:
        return "null flood"
    return "unit change" if _stretched(reading) or abs(_distance(reading)) > UNIT_SHIFT else CAUSES[worst.kind]


def _stretched(reading: Reading) -> bool:
    """Is the window's scale far beyond that of any reference window, and of all of them together?"""
    now, whole = spread(reading.feature, reading.now), reading.feature.scale
    scales = [scale for window in reading.feature.windows if (scale := spread(reading.feature, window)) is not None]
    if now is None or whole is None or not scales:
        return False
    return now > UNIT_RATIO * max(whole, *scales) or now < min(scales) / UNIT_RATIO


def _distance(reading: Reading) -> float:
    """The median's move in reference sd; 0 where there is no scale to measure it by."""
    feature, now = reading.feature, median(reading.feature, reading.now)
    if now is None or feature.centre is None or not feature.scale:
        return 0.0
    return (now - feature.centre) / feature.scale


def _say(worst: Measure, nulls: Measure, cause: Cause | None, shift: float) -> str:
    if cause is None:
        return "moved no further than between reference windows"
    if cause == "unit change":
        return f"has another unit or is broken: its median moved by {shift:+.1f} reference sd"
    shown = nulls if cause == "null flood" else worst
    then, now = float(shown.then.mean()), shown.now
    sentences: dict[Kind, str] = {
        "shift": f"moved by {shown.effect:+.2f} reference sd",
        "spread": f"spreads {np.exp(shown.effect):.2f} times as wide",
        "skewness": f"has another shape: its skewness went from {then:+.2f} to {now:+.2f}",
        "kurtosis": f"has another shape: its kurtosis went from {then:+.2f} to {now:+.2f}",
        "nulls": f"is null in {now:.1%} of the rows, before in {then:.1%}",
        "share": f"has another mix: a frequent level went from {then:.1%} to {now:.1%} of the rows",
        "mix": f"has another mix: {shown.effect:.1%} of the rows moved to other levels",
        "unseen": f"has values that the reference never had in {now:.2%} of the rows",
    }
    return sentences[shown.kind]
