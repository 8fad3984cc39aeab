"""How often do the gate and its rivals promote, when the true gain is known? On score-level worlds, 4,000 times each.

Ours is `validation.gate.judge` itself, asked with one row per day: the mean losses of days of equal size. For these its
interval is the one of all rows, digit by digit in exact arithmetic; a sample of the decisions is asked again with every
row, and must come out the same. A re-test looks at one challenger up to three times, each time with as many new days
as at first: ours shares out its alpha, rivals are asked again at the full one, and one success is enough.

All gains of a world are tried on the same draws, so that cells of one world are not independent of each other.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from benchmarks.gate_rivals import RIVALS, Flags, bins_of, delong, newer_is_better, paired_iid, placements
from benchmarks.gate_world import Draw, Floats, Singles, World, draw, log_loss
from validation.gate import Evidence, Gate, GateVerdict, Guards, judge

ALPHA = 0.05
LOOKS = 3
GAINS = (-0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02)
METHODS = ("ours", *RIVALS)
WORLDS = tuple(
    World(rows=rows, days=days, ar=ar)
    for rows in (5_000, 20_000, 100_000)
    for days in (14, 60)
    for ar in (None, 0, 0.4)
)
_DELONG_AGAIN = 20_000
_CELLS_AT_ONCE = 90_000  # rows that are drawn together: as many as the processor's cache holds
FINE = Guards(load_ok=True, latency_ms=1.0, size_mb=1.0)
NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """`trials` decisions of each kind; `promoted`: (gain, method, "single" or "re-tested") -> how many promoted.

    `asked_twice`: decisions that were asked again with every row; `same`: of these, with the same verdict.
    """

    world: World
    trials: int
    promoted: Counter[tuple[float, str, str]]
    asked_twice: int
    same: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Mean losses of each day, (trials, days), and the mean squared difference of its rows."""

    champion: Floats
    challenger: Floats
    square: Floats


def chunk(world: World, seed: Sequence[int], trials: int, *, alpha: float = ALPHA) -> Chunk:
    """`trials` decisions for each gain, method and number of looks in one world; the same for the same seed."""
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
    promoted: Counter[tuple[float, str, str]] = Counter()
    asked = same = 0
    for first, height in _batches(world, trials):
        trial = draw(world, rng, trials=height, looks=LOOKS)
        champion = trial.champion()
        loss, placed = log_loss(champion, trial.label), _placed(world, trial, champion, looks=_delong_looks(world))
        for gain in GAINS:
            challenger = trial.challenger(gain)
            other = log_loss(challenger, trial.label)
            facts = _facts(loss, other)
            promoted += _ours(world, facts, gain, alpha=alpha)
            promoted += _rivals(world, facts, gain, alpha=alpha)
            looks = LOOKS if simulated(world, gain, RIVALS[2], "re-tested") else 1
            promoted += _delong(trial, placed, _placed(world, trial, challenger, looks=looks), gain, alpha=alpha)
            if first == 0:
                again = [_agrees(world, facts, (loss, other), look, alpha=alpha) for look in range(1, LOOKS + 1)]
                asked, same = asked + len(again), same + sum(again)
    return Chunk(world=world, trials=trials, promoted=promoted, asked_twice=asked, same=same)


def _batches(world: World, trials: int) -> Iterator[tuple[int, int]]:
    """(first trial, how many) of trials that are drawn together."""
    step = max(1, _CELLS_AT_ONCE // (world.rows * LOOKS))
    for first in range(0, trials, step):
        yield first, min(step, trials - first)


def _facts(loss: Floats, other: Floats) -> Facts:
    apart = loss - other
    return Facts(
        champion=loss.mean(axis=2, dtype=np.float64),
        challenger=other.mean(axis=2, dtype=np.float64),
        square=(apart * apart).mean(axis=2, dtype=np.float64),
    )


def _ours(world: World, facts: Facts, gain: float, *, alpha: float) -> Counter[tuple[float, str, str]]:
    found: Counter[tuple[float, str, str]] = Counter()
    for champion, challenger in zip(facts.champion, facts.challenger, strict=True):
        once = asked(champion, challenger, world=world, look=1, looks=1, alpha=alpha)
        found[gain, "ours", "single"] += once.outcome == "promote"
        for look in range(1, LOOKS + 1):
            verdict = asked(champion, challenger, world=world, look=look, looks=LOOKS, alpha=alpha)
            found[gain, "ours", "re-tested"] += verdict.outcome == "promote"
            if verdict.outcome != "need evidence":
                break
    return found


def asked(champion: Floats, challenger: Floats, *, world: World, look: int, looks: int, alpha: float) -> GateVerdict:
    """The gate's verdict on the first `look` x days; losses of days, or of rows in order of the days."""
    share = len(champion) // (world.days * LOOKS)  # of a day: 1, or its rows
    rows = world.days * look * share
    evidence = Evidence(
        champion_loss=champion[:rows],
        challenger_loss=challenger[:rows],
        blocks=np.repeat(np.arange(world.days * look), share),
        look=look,
        earlier_blocks=tuple(world.days * (earlier + 1) for earlier in range(look - 1)),
    )
    return judge(evidence, FINE, policy=_policy(alpha, looks), pipeline="simulated", subject="challenger", as_of=NOON)


@lru_cache
def _policy(alpha: float, looks: int) -> Gate:
    """Made once: its checks cost more than a verdict on 14 days."""
    return Gate(alpha=alpha, min_gain=0.0, max_looks=looks)


def _agrees(world: World, facts: Facts, losses: tuple[Floats, Floats], look: int, *, alpha: float) -> bool:
    """Is the first trial's verdict the same with every row as with one row per day?"""
    of_days = asked(facts.champion[0], facts.challenger[0], world=world, look=look, looks=LOOKS, alpha=alpha)
    champion, challenger = (side[0].ravel().astype(np.float64) for side in losses)
    of_rows = asked(champion, challenger, world=world, look=look, looks=LOOKS, alpha=alpha)
    bounds = [(of_days.lower, of_rows.lower), (of_days.upper, of_rows.upper), (of_days.gain, of_rows.gain)]
    error = of_rows.standard_error or 0.0
    close = all(one is not None and two is not None and abs(one - two) < 1e-6 + 1e-3 * error for one, two in bounds)
    return close and of_days.outcome == of_rows.outcome


def _rivals(world: World, facts: Facts, gain: float, *, alpha: float) -> Counter[tuple[float, str, str]]:
    """Newer-is-better and the test for independent rows, each on the days of the first look, of two, of three."""
    ends = world.days * np.arange(1, LOOKS + 1)
    mean = np.cumsum(facts.champion - facts.challenger, axis=1)[:, ends - 1] / ends
    square = np.cumsum(facts.square, axis=1)[:, ends - 1] / ends
    tested = paired_iid(mean, square, ends * world.per_day, alpha=alpha)
    return _counted(gain, RIVALS[0], newer_is_better(mean)) + _counted(gain, RIVALS[1], tested)


def _placed(world: World, trial: Draw, scores: Singles, *, looks: int) -> list[list[Floats]]:
    """The placements of a model's scores in each trial, of all days up to each look."""
    days = [world.days * (look + 1) for look in range(looks)]
    binned = bins_of(scores[:, : days[-1]])
    return [
        [placements(label[:end].ravel(), bins[:end].ravel()) for end in days]
        for label, bins in zip(trial.label, binned, strict=True)
    ]


def _delong(
    trial: Draw, champion: list[list[Floats]], challenger: list[list[Floats]], gain: float, *, alpha: float
) -> Counter[tuple[float, str, str]]:
    """For as many looks as the challenger was placed at."""
    promotes = [
        [
            delong(label.ravel()[: len(theirs)], ours, theirs).promotes(alpha=alpha)
            for ours, theirs in zip(of_champion, of_challenger, strict=False)
        ]
        for label, of_champion, of_challenger in zip(trial.label, champion, challenger, strict=True)
    ]
    return _counted(gain, RIVALS[2], np.array(promotes))


def _counted(gain: float, method: str, promotes: Flags) -> Counter[tuple[float, str, str]]:
    """`promotes`: (trials, looks); with one look alone there is nothing to say of re-tests."""
    found = Counter({(gain, method, "single"): int(promotes[:, 0].sum())})
    if promotes.shape[1] > 1:
        found[gain, method, "re-tested"] = int(promotes.any(axis=1).sum())
    return found


def false_promotions(chunks: Mapping[World, Chunk], looks: str, method: str) -> dict[World, tuple[int, int]]:
    """Of each world: how many of how many challengers without any gain were promoted."""
    return {world: (found.promoted[0.0, method, looks], found.trials) for world, found in chunks.items()}


def simulated(world: World, gain: float, method: str, looks: str) -> bool:
    """DeLong's re-tests are of no gain and at most 20,000 rows a look alone: they need all earlier rows again."""
    return looks == "single" or method != RIVALS[2] or (gain == 0 and world.rows <= _DELONG_AGAIN)


def _delong_looks(world: World) -> int:
    return LOOKS if simulated(world, 0.0, RIVALS[2], "re-tested") else 1


def together(chunks: Sequence[Chunk]) -> dict[World, Chunk]:
    """The chunks of each world as one."""
    found: dict[World, Chunk] = {}
    for item in chunks:
        before = found.get(item.world)
        found[item.world] = item if before is None else Chunk(
            world=item.world,
            trials=before.trials + item.trials,
            promoted=before.promoted + item.promoted,
            asked_twice=before.asked_twice + item.asked_twice,
            same=before.same + item.same,
        )  # fmt: skip
    return found
