"""What the product sees once labels are mature: calibration and regret, by its own rule, on a logistic world.

Rows have a score direction u and another one v, both N(0, 1) and counted on a grid; the champion knows the chances of
the reference exactly. "concept, rate": the odds of every row rise; "concept, relation": the chances follow v as well
as u, equally often positive. Each day's logit differs by N(0, 0.1) where days have effects. The probe is the same
recipe, a logistic fit, on all days before the evidence. The verdict is asked with one row per day, the mean of rows:
for days of equal size its interval is the one of all rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.alarms_world import INTERCEPT, LOGIT, SLOPE, STAYS, Floats, Ints, World, walk
from validation.durations import span
from validation.watch.performance import Monitor, PerformanceVerdict, judge
from validation.watch.trigger import reason_to_retrain

POLICY = Monitor()
EVIDENCE = span(POLICY.evidence) // timedelta(days=1)
AFTER = 30  # windows of a change: a probe needs days to learn it
WINDOWS = 30
NEVER = 99
NODES = np.linspace(-3, 3, 13)
NOON = datetime(2013, 4, 29, tzinfo=UTC)
_STEPS = 4  # of Newton's method; from the champion's coefficients it needs no more

RATE = "concept, rate +0.25 logit"
RELATION = "concept, relation turns by 30 degrees"
LABEL_CHANGES = (RATE, RELATION, "label shift 5 points", "label shift 10 points")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """`asked`, `biased`: (windows,) was a retrain newly asked for, a bias newly proven, while nothing changed?
    `asked_after`, `biased_after`: change -> after how many of its windows, NEVER if not.
    """

    asked: npt.NDArray[np.bool_]
    biased: npt.NDArray[np.bool_]
    asked_after: Mapping[str, int]
    biased_after: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows and positives of each day by cell of the grid, (days, cells)."""

    rows: Ints
    positives: Ints


def labelled(world: World, rng: np.random.Generator, *, start: int) -> Labelled:
    """Thirty days after a reference without any change, and each change from day `start` on."""
    reference = POLICY.reference_windows
    effects = _effects(world, rng, reference + max(WINDOWS, start + AFTER))
    before = _drawn(world, rng, effects, change=None)
    quiet = [_seen(before, reference + day) for day in range(WINDOWS)]
    first = reference + start
    asked, biased = {}, {}
    for change in LABEL_CHANGES:
        moved = _joined(before, _drawn(world, rng, effects[first:], change=change), first)
        seen = [_seen(moved, first + day) for day in range(AFTER)]
        asked[change], biased[change] = (_first([pair[index] for pair in seen]) for index in (0, 1))
    new = [_new([pair[index] for pair in quiet]) for index in (0, 1)]
    return Labelled(asked=new[0], biased=new[1], asked_after=asked, biased_after=biased)


def _first(flags: Sequence[bool]) -> int:
    return flags.index(True) + 1 if any(flags) else NEVER


def _new(flags: Sequence[bool]) -> npt.NDArray[np.bool_]:
    return np.array(flags) & ~np.array([False, *flags[:-1]])


def _effects(world: World, rng: np.random.Generator, count: int) -> Floats:
    noise = walk(rng, count, 1, stays=STAYS if world.null == "ar" else 0.0)[:, 0]
    return noise * (LOGIT if world.null in ("day", "ar") else 0.0)


def _drawn(world: World, rng: np.random.Generator, effects: Floats, *, change: str | None) -> Rows:
    density, chance = _density(), _logistic(_champion())
    logits = np.tile(_champion(), (len(effects), 1))
    if change == RATE:
        logits += 0.25
    elif change == RELATION:
        u, v = _grid()
        logits += SLOPE * (np.cos(np.pi / 6) * u + np.sin(np.pi / 6) * v - u)
    elif change is not None:
        was = float(density @ chance)
        now = was + float(change.split()[2]) / 100
        density = density * (chance * now / was + (1 - chance) * (1 - now) / (1 - was))
        density /= density.sum()
        logits += np.log(now / (1 - now)) - np.log(was / (1 - was))
    rows = rng.multinomial(world.rows, density, size=len(effects))
    return Rows(rows=rows, positives=rng.binomial(rows, _logistic(logits + effects[:, None])))


def _joined(before: Rows, moved: Rows, first: int) -> Rows:
    return Rows(
        rows=np.concatenate([before.rows[:first], moved.rows]),
        positives=np.concatenate([before.positives[:first], moved.positives]),
    )


def _seen(known: Rows, day: int) -> tuple[bool, bool]:
    """After this day and by labels alone: does the product ask for a retrain; has it proven a bias?"""
    first = max(day + 1 - EVIDENCE, POLICY.reference_windows)
    rows, hits = known.rows[first : day + 1], known.positives[first : day + 1]
    champion, probe = _champion(), _fitted(known.rows[:first].sum(axis=0), known.positives[:first].sum(axis=0))
    per_day: Callable[[Floats], Floats] = lambda sums: sums.sum(axis=1) / rows.sum(axis=1)  # noqa: E731
    verdict = judge(
        pipeline="simulated",
        task="binary",
        window_start=NOON,
        champion_loss=per_day(_loss(champion, rows, hits)),
        probe_loss=per_day(_loss(probe, rows, hits)),
        blocks=np.arange(len(rows)),
        label=per_day(hits.astype(np.float64)),
        prediction=per_day(rows * _logistic(champion)),
        coverage=1.0,
        policy=POLICY,
        min_coverage=0.0,
        as_of=NOON + timedelta(days=day),
    )
    return reason_to_retrain(verdict, ()) is not None, _is_biased(verdict)


def _is_biased(verdict: PerformanceVerdict) -> bool:
    """The rule of a proven bias, as the verdict tells it in words."""
    bias, lower, upper = verdict.calibration_bias, verdict.bias_lower, verdict.bias_upper
    if bias is None or lower is None or upper is None:
        return False
    return abs(bias) >= POLICY.max_bias and not lower <= 0 <= upper


def _loss(logits: Floats, rows: Ints, hits: Ints) -> Floats:
    loss: Floats = hits * np.log1p(np.exp(-logits)) + (rows - hits) * np.log1p(np.exp(logits))
    return loss


def _fitted(rows: Ints, hits: Ints) -> Floats:
    """The logits of a logistic regression on (1, u, v), by Newton's method."""
    design = np.column_stack([np.ones(len(rows)), *_grid()])
    found = np.array([INTERCEPT, SLOPE, 0.0])
    for _ in range(_STEPS):
        chance = _logistic(design @ found)
        weight = rows * chance * (1 - chance)
        found = found + np.linalg.solve(design.T @ (weight[:, None] * design), design.T @ (hits - rows * chance))
    logits: Floats = design @ found
    return logits


def _grid() -> tuple[Floats, Floats]:
    u, v = np.meshgrid(NODES, NODES, indexing="ij")
    return u.ravel(), v.ravel()


def _champion() -> Floats:
    return INTERCEPT + SLOPE * _grid()[0]


def _density() -> Floats:
    u, v = _grid()
    density = np.exp(-(u**2 + v**2) / 2)
    return density / density.sum()


def _logistic(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))
