"""What moved, how far and of which kind: one feature's reading, and the finding in words. Judges nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from validation.watch.counting import median
from validation.watch.profile import Counts, FeatureProfile
from validation.watch.surprise import Kind
from validation.watch.units import conversion, is_beyond, is_far, is_stuck

Cause = Literal[
    "shift",
    "spread",
    "shape",
    "nulls",
    "mix",
    "unseen",
    "unit change",
    "null flood",
    "stuck",
    "disappeared",
    "changed kind",
]
PROBABLE_BAD_DATA: tuple[Cause, ...] = ("unit change", "null flood", "stuck", "disappeared", "changed kind")
CAUSE_IN_WORDS: Mapping[Cause, str] = {
    "shift": "its values have moved",
    "spread": "its values lie further apart or closer together",
    "shape": "its values are distributed in another shape",
    "nulls": "more or fewer of its values are missing",
    "mix": "its values come in other proportions",
    "unseen": "it has values that the reference never had",
    "unit change": "another unit, or a broken source",
    "null flood": "its values are missing: a broken source or join",
    "stuck": "its source is stuck at one value",
    "disappeared": "the column is not delivered any more",
    "changed kind": "the column is delivered with another type",
}
CAUSES: Mapping[Kind, Cause] = {
    "shift": "shift",
    "spread": "spread",
    "skewness": "shape",
    "kurtosis": "shape",
    "nulls": "nulls",
    "share": "mix",
    "mix": "mix",
    "unseen": "unseen",
}
NULL_FLOOD = 0.3  # more nulls than before, as a share of rows
RAREST = 100_000  # nothing is told as rarer: so few windows say nothing about what is rarer
MOST = 1e9  # a distance is never told as larger


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How one measure of a feature moved: `effect` in the units of its gate, from `then` on average to `now`.
    `part`: which of the feature's levels, of a share.
    """

    kind: Kind
    effect: float
    then: float
    now: float
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A feature in the current window. `moves`: all that was measured of it, the most surprising first. `gone`: how the
    column is no longer what it was, in words.
    """

    feature: FeatureProfile
    now: Counts
    moves: tuple[Move, ...]
    p_value: float
    drifted: bool
    gone: str | None = None

    @property
    def worst(self) -> Move:
        """The measure that decided."""
        return self.moves[0]

    def move(self, kind: Kind) -> Move | None:
        """The measure of this kind; of several the most surprising."""
        return next((move for move in self.moves if move.kind == kind), None)

    @property
    def nulls(self) -> Move:
        """The share of nulls, which every feature has."""
        return next(move for move in self.moves if move.kind == "nulls")


def tell(reading: Reading, *, start: str, since: str, is_on_its_way: bool = False) -> FeatureDrift:
    """The finding, in the window from `start` on; `since`: the first window of its run.

    `is_on_its_way`: the window before had drifted, too, and not by bad data. Units change from one window to the next;
    what has been moving for a while, as a temperature in spring, has not changed its unit.
    """
    distance = _distance(reading) if reading.drifted else 0.0
    cause = _cause(reading, distance, is_on_its_way=is_on_its_way) if reading.drifted else None
    shift, spread = reading.move("shift") or reading.worst, reading.move("spread")
    return FeatureDrift(
        name=reading.feature.name,
        drifted=reading.drifted,
        p_value=reading.p_value,
        cause=cause,
        shift=distance if cause == "unit change" or (cause == "shift" and _is_beyond(reading)) else shift.effect,
        spread=float(np.exp(spread.effect)) if spread else 1.0,
        nulls=reading.nulls.effect,
        sentence=_sentence(reading, cause, distance, since="" if since == start else since),
        since=since if reading.drifted else "",
    )


def rarity(p_value: float) -> str:
    """How often such a window is seen when nothing has changed."""
    if p_value <= 0:
        return "no window looks like this when nothing has changed"
    if p_value > 0.5:
        return "most windows look like this when nothing has changed"
    return f"{_one_in(p_value)} looks like this when nothing has changed"


def moment(iso: str) -> str:
    """A window's start for people: the day alone when it starts with the day."""
    start = datetime.fromisoformat(iso)
    return f"{start:%Y-%m-%d}" if (start.hour, start.minute, start.second) == (0, 0, 0) else f"{start:%Y-%m-%d %H:%M}"


def _one_in(p_value: float) -> str:
    """How often in words, to two digits, and never rarer than there is evidence for."""
    if p_value < 1 / RAREST:
        return f"less than one window in {RAREST:,}"
    return f"one window in {int(float(f'{1 / p_value:.1e}')):,}"


def _cause(reading: Reading, distance: float, *, is_on_its_way: bool) -> Cause:
    feature, now = reading.feature, reading.now
    if reading.gone:
        return "disappeared" if "disappeared" in reading.gone else "changed kind"
    if reading.nulls.effect >= NULL_FLOOD:
        return "null flood"
    if is_stuck(feature, now):
        return "stuck"
    converted = None if feature.kind != "number" or is_on_its_way else conversion(feature, now)
    if converted or (feature.kind == "number" and is_far(feature, distance, now)):
        return "unit change"
    return "shift" if _is_beyond(reading) else CAUSES[reading.worst.kind]


def _is_beyond(reading: Reading) -> bool:
    """At the end of the reference's range all values are one: what is measured of spread and shape means nothing."""
    return (
        reading.feature.kind == "number" and reading.worst.kind != "nulls" and is_beyond(reading.feature, reading.now)
    )


def _distance(reading: Reading) -> float:
    """The median's move in reference sd; 0 where there is no scale to measure it by."""
    feature = reading.feature
    now = median(feature, reading.now) if feature.kind == "number" else None
    if now is None or feature.centre is None or not feature.scale:
        return 0.0
    with np.errstate(over="ignore"):
        return float(np.clip(np.float64(now - feature.centre) / feature.scale, -MOST, MOST))


def _sentence(reading: Reading, cause: Cause | None, distance: float, *, since: str) -> str:
    name = reading.feature.name
    if cause is None:
        return f"{name} moved no further than between reference windows"
    said = f"{name} {reading.gone}" if reading.gone else f"{name} {_say(reading, cause, distance)}"
    rare = "" if reading.p_value <= 0 else f" (by chance in {_one_in(reading.p_value)})"
    doubt = f", probably bad data: {CAUSE_IN_WORDS[cause]}" if cause in PROBABLE_BAD_DATA else ""
    return f"{said}{f', since {moment(since)}' if since else ''}{rare}{doubt}"


def _say(reading: Reading, cause: Cause, distance: float) -> str:
    feature, now = reading.feature, reading.now
    if cause == "stuck":
        value = f"{now.low:g}" if feature.kind == "number" else feature.levels[int(np.argmax(now.bins[:-1]))]
        return f"is {value} in all rows, which it never was in a reference window"
    if cause == "unit change":
        found = conversion(feature, now)
        looks = f"looks as if it had been {found.words}" if found else "has another unit or is broken"
        return f"{looks}: its median moved by {distance:+.1f} reference standard deviations"
    if cause == "shift" and feature.scale == 0:
        return f"is {median(feature, now):g} at the median, and the reference never had anything but {feature.centre:g}"
    if cause == "shift" and _is_beyond(reading) and distance:
        return (
            "moved to the end of the reference's range or beyond: "
            f"its median by {distance:+.1f} reference standard deviations"
        )
    told = _how_much(feature, reading.nulls if cause == "null flood" else reading.worst)
    shares = [move for move in reading.moves if move.kind == "share"]
    if cause != "mix" or reading.worst.kind != "mix" or not shares:
        return told
    most = max(shares, key=lambda move: abs(move.effect))
    return f"{told}, of the frequent ones {feature.levels[most.part]!r} most: {most.then:.1%} to {most.now:.1%}"


def _how_much(feature: FeatureProfile, shown: Move) -> str:
    then, now = shown.then, shown.now
    points = f"{100 * shown.effect:+.1f} points"
    level = feature.levels[shown.part] if feature.kind == "category" and feature.levels else ""
    sentences: dict[Kind, str] = {
        "shift": f"moved by {shown.effect:+.2f} reference standard deviations",
        "spread": f"spreads {np.exp(shown.effect):.2f} times as wide",
        "skewness": f"has more {'high' if now > then else 'low'} values far out (skewness {then:+.2f} to {now:+.2f})",
        "kurtosis": f"has {'more' if now > then else 'fewer'} values far out (kurtosis {then:+.2f} to {now:+.2f})",
        "nulls": f"is null in {now:.1%} of the rows, before in {then:.1%} ({points})",
        "share": f"has another mix: {level!r} went from {then:.1%} to {now:.1%} of the rows ({points})",
        "mix": f"has another mix: {100 * shown.effect:.1f} points of the rows moved to other levels",
        "unseen": f"has values that the reference never had in {now:.2%} of the rows",
    }
    return sentences[shown.kind]
