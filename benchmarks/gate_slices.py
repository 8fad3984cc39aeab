"""Slices and uneven days: the real judge on every row, on days of different length and groups of very different size.

Two columns: `segment`, 12 groups of 32 % down to 1 % of the rows, and `region`, 5 groups. A third of each day's effect
is everybody's, a third the segment's, a third the region's. Two challengers: one without any gain anywhere (the worst
case for blocking by mistake), and one that is 1 % better but for one segment of 9 % of the rows, where it is 5 % worse.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.gate_simulation import FINE, NOON
from benchmarks.gate_world import (
    CENTRE,
    LIKENESS,
    SPREAD,
    WIDTH,
    Floats,
    World,
    autoregressive,
    log_loss,
    spread_for,
)
from validation.gate import Evidence, Gate, GateVerdict, judge

WORLDS = (
    World(rows=5_000, days=14, ar=0.4),
    World(rows=5_000, days=60, ar=0.4),
    World(rows=20_000, days=14, ar=0.4),
)
GAIN, LOSS_OF_ONE = 0.01, -0.05
_SEGMENTS = np.arange(1, 13) ** -1.0
_REGIONS = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
_WORSE = 3  # the segment that becomes worse
_MIXED_EVERY = 4  # trials that the challenger with the worse slice takes part in
_UNEVEN = 0.4  # of the logarithm of a day's length


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One history: truth, errors of both models, label, the day, the day's effect on each row, and the groups."""

    truth: Floats
    errors: tuple[Floats, Floats]
    label: Floats
    day: npt.NDArray[np.intp]
    effect: Floats
    segment: npt.NDArray[np.intp]
    region: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChunk:
    """Of `trials` challengers: how many were blocked by a slice, or promoted, by what was true of them."""

    world: World
    trials: int
    counts: Counter[tuple[str, str]]
    slices: float


def chunk(world: World, seed: Sequence[int], trials: int, *, alpha: float = 0.05) -> SliceChunk:
    """`trials` histories of a world, every fourth with both challengers."""
    rng = np.random.default_rng(seed)
    counts: Counter[tuple[str, str]] = Counter()
    judged = 0
    for number in range(trials):
        rows = draw_rows(world, rng)
        null = np.full(len(rows.day), SPREAD)
        mixed = np.where(rows.segment == _WORSE, spread_for(LOSS_OF_ONE, world.breath), spread_for(GAIN, world.breath))
        for what, spread in (("no gain", null), ("one slice worse", mixed))[: 1 if number % _MIXED_EVERY else 2]:
            verdict = _judged(world, rows, spread, alpha=alpha)
            counts[what, "decisions"] += 1
            counts[what, "blocked"] += any(item.worse for item in verdict.slices)
            counts[what, "promoted"] += verdict.outcome == "promote"
            judged += len(verdict.slices) if what == "no gain" else 0
    return SliceChunk(world=world, trials=trials, counts=counts, slices=judged / trials)


def draw_rows(world: World, rng: np.random.Generator) -> Rows:
    """One history of the world with days of uneven length."""
    shares = np.exp(_UNEVEN * rng.standard_normal(world.days))
    day = np.sort(rng.choice(world.days, size=world.rows, p=shares / shares.sum()))
    segment = rng.choice(len(_SEGMENTS), size=world.rows, p=_SEGMENTS / _SEGMENTS.sum())
    region = rng.choice(len(_REGIONS), size=world.rows, p=_REGIONS)
    common, of_segment, of_region = (
        autoregressive((count, world.days), world.ar or 0.0, rng) for count in (1, len(_SEGMENTS), len(_REGIONS))
    )
    truth = CENTRE + WIDTH * rng.standard_normal(world.rows)
    error = rng.standard_normal(world.rows)
    other = LIKENESS * error + np.sqrt(1 - LIKENESS**2) * rng.standard_normal(world.rows)
    return Rows(
        truth=truth,
        errors=(error, other),
        label=(rng.random(world.rows) < 1 / (1 + np.exp(-truth))).astype(np.float64),
        day=day,
        effect=(common[0, day] + of_segment[segment, day] + of_region[region, day]) / np.sqrt(3),
        segment=segment,
        region=region,
    )


def _judged(world: World, rows: Rows, spread: Floats, *, alpha: float) -> GateVerdict:
    breath = np.exp(world.breath / 2 * rows.effect)
    evidence = Evidence(
        champion_loss=log_loss(rows.truth + SPREAD * breath * rows.errors[0], rows.label),
        challenger_loss=log_loss(rows.truth + spread / breath * rows.errors[1], rows.label),
        blocks=rows.day,
        slices={"segment": _names("s", rows.segment), "region": _names("r", rows.region)},
    )
    policy = Gate(alpha=alpha, min_gain=0.0, slices=("segment", "region"), max_looks=1)
    return judge(evidence, FINE, policy=policy, pipeline="simulated", subject="challenger", as_of=NOON)


def _names(letter: str, groups: npt.NDArray[np.intp]) -> Sequence[Any]:
    names = np.array([f"{letter}{number:02d}" for number in range(int(groups.max()) + 1)])
    return list(names[groups])


def together(chunks: Sequence[SliceChunk]) -> dict[World, SliceChunk]:
    """The chunks of each world as one."""
    found: dict[World, SliceChunk] = {}
    for item in chunks:
        before = found.get(item.world)
        found[item.world] = item if before is None else SliceChunk(
            world=item.world,
            trials=before.trials + item.trials,
            counts=before.counts + item.counts,
            slices=(before.slices * before.trials + item.slices * item.trials) / (before.trials + item.trials),
        )  # fmt: skip
    return found
