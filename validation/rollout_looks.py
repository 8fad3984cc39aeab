"""When the labels of a watched champion are looked at, in blocks of time, and at which level. Pure.

Days are the gate's blocks: shorter ones are too much alike (simulated with 6 hours: seven times as many false findings
as alpha says), so a week's watch proves large harm only.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from validation.rollout import Rollout
from validation.sequential import bounds

DAY = timedelta(days=1)  # a short span is cut into as many blocks as the gate asks for at least
GROWTH = 1.5  # of the blocks from one look at the labels to the next; looking more often costs power and errs as much
SPENDING = 2.0  # of alpha the share t ** SPENDING is spent at a share t of the blocks: few blocks prove little
CAUTION = 0.75  # of alpha, as days that are alike (AR 0.4) exceed small levels by up to a quarter (28 days, simulated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Looks at a champion's labels, which err by `alpha` together: at `least` blocks of time, at half as many again,
    and so on, and at all that are `planned`.

    The level depends on the number of blocks alone, so nothing need be remembered: who looks twice at the same blocks,
    or misses a look, finds no more by chance than who does not.
    """

    alpha: float
    least: int
    planned: int

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of blocks at which there is a look, rising."""
        counts = [self.least]
        while counts[-1] * GROWTH < self.planned:
            counts.append(ceil(counts[-1] * GROWTH))
        return tuple(counts) if counts[-1] == self.planned else (*counts, self.planned)

    def at(self, over: int) -> int:
        """The newest look that is due when so many blocks are over; 0: none yet."""
        return max((count for count in self.counts if count <= over), default=0)

    def level(self, count: int) -> float:
        """The one-sided level of the look at so many blocks."""
        from scipy.special import ndtr  # 0.25 s, and `import andon` must be light

        shares = [known / self.planned for known in self.counts if known <= count]
        return float(ndtr(-bounds([CAUTION * self.alpha * share**SPENDING for share in shares], shares)[-1]))


def block_of(span: timedelta, *, least: int) -> timedelta:
    """How long a block of time is: a day, or of a short span such a part that it has `least` of them."""
    return min(DAY, -(-span // max(least, 1)))


def looks_of(policy: Rollout, span: timedelta, *, least: int) -> Looks:
    """The looks at a champion that is watched for so long."""
    planned = max(-(-span // block_of(span, least=least)), 1)
    return Looks(alpha=policy.alpha, least=min(max(least, 2), planned), planned=planned)
