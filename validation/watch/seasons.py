"""Which reference windows a window is compared with: those of the same weekday or time of day, with history enough.

With less history all of them are, and what a weekday, or a time of day, has of its own is taken off (surprise.usual).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from validation.watch.policy import Drift
from validation.watch.surprise import Bools, Rhythm

DAY_SECONDS = 24 * 60 * 60
Season = Literal["none", "weekday", "hour"]
FEW = 4  # windows of a weekday, or time of day, that are needed to know its own mean
NAMES: dict[Season, str] = {"weekday": "weekday", "hour": "time of day"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """`windows`: which reference windows to compare with. `words`: which they are, for people. `rhythm`: what is to be
    taken off where windows of all seasons are compared with; None: nothing.
    """

    windows: Bools
    words: str
    rhythm: Rhythm | None = None


def matched(
    starts: Sequence[datetime], filled: Bools, *, start: datetime, every_seconds: float, policy: Drift
) -> Matched:
    """The reference windows of the window's season, if there are `policy.min_windows` with rows of each; else all.

    `filled`: which reference windows have rows. NOTE: weekdays and hours are those of the data's clock (UTC).
    """
    season = season_of(policy, every_seconds)
    everything = f"compared with all {filled.sum()} windows of the reference"
    if season == "none":
        return Matched(windows=filled, words=everything)
    slots = np.array([_slot(moment, season, every_seconds) for moment in starts], dtype=np.int64)
    each = np.bincount(slots[filled]) if filled.any() else np.zeros(1, dtype=np.int64)
    slot, fewest = _slot(start, season, every_seconds), each[each > 0].min(initial=len(starts))
    same = filled & (slots == slot)
    if same.any() and fewest >= policy.min_windows:
        name = f"{start:%A}" if season == "weekday" else f"{start:%H:%M}"
        told = f"compared with the {same.sum()} windows of the same {NAMES[season]} ({name})"
        return Matched(windows=same, words=told)
    few = f"fewer than {policy.min_windows} of them are of each {NAMES[season]}"
    if same.any() and fewest >= FEW and (each > 0).sum() > 1:
        told = f"{everything}, less what each {NAMES[season]} has of its own: {few}"
        return Matched(windows=filled, words=told, rhythm=Rhythm(slots=slots, slot=slot))
    return Matched(windows=filled, words=f"{everything}: {few}")


def season_of(policy: Drift, every_seconds: float) -> Season:
    """By what windows of this length are matched."""
    if policy.match != "auto":
        return policy.match
    if every_seconds == DAY_SECONDS:
        return "weekday"
    return "hour" if 0 < every_seconds < DAY_SECONDS and DAY_SECONDS % every_seconds == 0 else "none"


def _slot(moment: datetime, season: Season, every_seconds: float) -> int:
    if season == "weekday":
        return moment.weekday()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return int(seconds // max(every_seconds, 1))
