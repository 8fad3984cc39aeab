"""Which rung to take, by what each lost on earlier windows. Pure: windows are times here, and rungs are names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MEMORY = 0.75  # a window counts for so much less than the next newer one: which rows are best changes, too
DOUBT = 0.5  # of a window on which a rung did as well as the reference: so few windows decide little
WINDOWS = 12  # the newest, which count; MEMORY leaves 3 % to older ones
# Of the loss. What adapts to few rows ages faster than windows tell, since a champion serves until the next is proven
# better; and the greatest of many gains is partly chance. On flights, where no rung gains more for long, choices made
# for 0.1 % cost 5 % of the year's loss; on bikes and a turning concept gains are of 10 % and more.
SLIGHT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one rung lost on one window, the mean over its `rows`: a plain value, which later ladders can be given, so
    that they need not fit it again.
    """

    start: datetime
    stop: datetime
    rung: str
    loss: float
    rows: int


def choose(tried: Sequence[Tried], rungs: Sequence[str], *, reference: str) -> str:
    """The rung with the greatest `gain`; the reference where none is better. Of equals the first of `rungs`, and this
    one also where it is as good but for SLIGHT: it uses all rows alike, and so ages most slowly.
    """
    gains = {name: gain(tried, name, reference=reference) for name in rungs}
    best = max(gains, key=lambda name: gains[name])
    steady = rungs[0]
    if mean_loss(tried, steady, beside=reference) is not None and gains[steady] >= gains[best] - SLIGHT:
        return steady
    return best if gains[best] > 0 else reference


def halved(tried: Sequence[Tried], rungs: Sequence[str], *, reference: str) -> tuple[str, ...]:
    """Those that are worth another window, in their order: the better half by `gain` of those that could be tried, with
    the first and the reference, with which all are compared. All, where nothing can be compared yet.
    """
    known = [name for name in rungs if mean_loss(tried, name, beside=reference) is not None]
    ranked = sorted(known, key=lambda name: -gain(tried, name, reference=reference))
    kept = (*ranked[: (len(ranked) + 1) // 2], rungs[0], reference)
    return tuple(name for name in rungs if name in kept or not known)


def gain(tried: Sequence[Tried], rung: str, *, reference: str) -> float:
    """How much less `rung` lost than `reference`, as a share of the latter's loss: 0 when equal, below 1.

    The mean over the newest WINDOWS on which both were tried, newer ones counting more (MEMORY), and drawn towards 0
    where these are few (DOUBT). 0 where there are none.
    """
    losses = {(item.start, item.rung): item.loss for item in tried}
    starts = sorted({item.start for item in tried}, reverse=True)[:WINDOWS]
    found, weight = 0.0, DOUBT
    for back, start in enumerate(starts):
        own, other = losses.get((start, rung)), losses.get((start, reference))
        if own is not None and other:
            found += MEMORY**back * (other - own) / other
            weight += MEMORY**back
    return found / weight


def mean_loss(tried: Sequence[Tried], rung: str, *, beside: str) -> float | None:
    """The mean loss per row on the windows on which both were tried; None without any."""
    shared = {item.start for item in tried if item.rung == beside}
    own = [item for item in tried if item.rung == rung and item.start in shared]
    rows = sum(item.rows for item in own)
    return sum(item.loss * item.rows for item in own) / rows if rows else None
