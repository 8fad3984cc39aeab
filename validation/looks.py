"""Which look at a challenger this is, what level it has, and how many more blocks would probably decide."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from validation.gate_policy import Gate
from validation.intervals import Interval
from validation.sequential import nominal_alpha

MAX_TIMES_MORE = 100  # a decision that takes this many times the blocks at hand is no plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """`planned` looks, the last of them now, after those with `earlier` blocks; `news`: blocks came since the last."""

    planned: int
    earlier: tuple[int, ...] = ()
    news: bool = True

    def level(self, alpha: float, blocks: int) -> float:
        """The one-sided level of this look at `blocks` blocks, of alpha for all looks. See `sequential`.

        The planned information is that of the first look, as often as looks are planned.
        """
        now = max(blocks, self.earlier[-1] + 1 if self.earlier else 1)
        counts = (*self.earlier, now)
        planned = self.planned * counts[0]
        return nominal_alpha(alpha, [count / planned for count in counts], looks=self.planned)

    @property
    def last(self) -> bool:
        """Is this the last planned look?"""
        return len(self.earlier) + 1 >= self.planned


def looks_of(earlier: tuple[int, ...], blocks: int, policy: Gate) -> Looks:
    """An earlier look that could decide nothing, for too few blocks or none that was new, spent nothing of alpha: it
    counts as a look that is gone, not as one that was taken.
    """
    taken: list[int] = []
    for count in earlier:
        if count >= policy.min_blocks and count > (taken[-1] if taken else 0):
            taken.append(count)
    gone = len(earlier) - len(taken)
    news = not taken or blocks > taken[-1]
    return Looks(planned=max(policy.max_looks - gone, len(taken) + 1), earlier=tuple(taken), news=news)


def more_blocks(gain: Interval, loss: float, *, looks: Looks, policy: Gate) -> int | None:
    """How many more blocks would decide at the next look, either way, if the gain and its spread stay as they are; of
    a policy of one look: how many more it should have had.

    At least 1, and as many as `min_blocks` asks for. None when it cannot be told: this was the last of several looks,
    the gain is exactly what decides, or it is so small that more than MAX_TIMES_MORE times the blocks would be needed.
    """
    if looks.last and policy.max_looks > 1:
        return None
    lacking = max(policy.min_blocks - gain.blocks, 1)
    if not isfinite(gain.standard_error):
        return lacking
    enough = gain.mean >= policy.min_gain * loss and gain.mean > 0
    distance = gain.mean if enough else policy.min_gain * loss - gain.mean
    level = _next_level(gain.blocks, looks, policy)
    most = gain.blocks * MAX_TIMES_MORE
    if distance <= 0 or _reach(gain, most, level) >= distance:
        return None
    few, many = 0, most  # few does not decide, many does
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if _reach(gain, middle, level) < distance else (middle, many)
    return max(many, lacking)


def _next_level(blocks: int, looks: Looks, policy: Gate) -> float:
    """Of the next look, if it brings as many blocks as the first did; it hardly depends on their number."""
    if policy.max_looks == 1:
        return policy.alpha
    if blocks < policy.min_blocks or not looks.news:
        return looks.level(policy.alpha, max(blocks, policy.min_blocks))
    taken = (*looks.earlier, blocks)
    return Looks(planned=looks.planned, earlier=taken).level(policy.alpha, blocks + taken[0])


def _reach(gain: Interval, more: int, level: float) -> float:
    """From the mean to its bound with `more` blocks like those at hand."""
    from scipy.special import stdtrit

    growth = (gain.blocks + more) / gain.blocks
    return float(stdtrit(gain.freedom * growth, 1 - level) * gain.standard_error / np.sqrt(growth))
