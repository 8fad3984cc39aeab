"""Models that differ by nothing but their seed: how often does the gate promote one for another?

Real flights, LightGBM with the delivered first recipe and the product's own fit: each training sees the same 26 weeks.
Seed i serves, seed i + 1 challenges, on days drawn from the 27 weeks after. Two seeds are two models, of which one may
truly be better: what each is worth is measured on all later days that the gate was not shown, and a promotion is wrong
when the promoted seed is the worse one there.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.gate_real_weeks import Floats, History, Index, flights
from benchmarks.gate_simulation import FINE, NOON
from modelling.recipes import DEFAULT_RECIPES
from modelling.training import fit
from validation.gate import Evidence, Gate, judge

TRAINING_WEEKS = 26
HOLDOUTS = (7, 14, 28)  # days
POLICIES = {"alpha 0.05": Gate(alpha=0.05, min_gain=0.0, max_looks=1), "as delivered": Gate(max_looks=1)}
RULES = (*POLICIES, "new > old")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTrial:
    """One pair on one holdout; `gain`: of the champion's loss, as seen; `true_gain`: on all other later days;
    `promoted`: by rule.
    """

    days: int
    gain: float
    true_gain: float
    promoted: dict[str, bool]


def trials(first: int, count: int, *, seed: int) -> list[SeedTrial]:
    """Seeds `first` to `first` + `count` on the same rows, each against the next, on each kind of holdout."""
    with tempfile.TemporaryDirectory() as folder:
        history = flights(Path(folder))
    cut, end = history.mondays[TRAINING_WEEKS], history.mondays[-1]
    later = history.between(cut, end)
    losses = [_losses(history, later, seed=number) for number in range(first, first + count + 1)]
    found = []
    for pair in range(count):
        rng = np.random.default_rng([seed, first + pair])
        for days in HOLDOUTS:
            start = cut + timedelta(days=int(rng.integers(0, (end - cut).days - days)))
            shown = np.isin(later, history.between(start, start + timedelta(days=days)))
            found.append(compared(losses[pair], losses[pair + 1], shown, history.days(later[shown]), days=days))
    return found


def compared(
    champion: Floats, challenger: Floats, shown: npt.NDArray[np.bool_], blocks: Index, *, days: int
) -> SeedTrial:
    """The gate is shown some of the rows; the others say what is true."""
    evidence = Evidence(champion_loss=champion[shown], challenger_loss=challenger[shown], blocks=blocks)
    promoted = {
        name: judge(evidence, FINE, policy=policy, pipeline="seeds", subject="seed", as_of=NOON).outcome == "promote"
        for name, policy in POLICIES.items()
    }
    seen, true = (float(1 - challenger[rows].mean() / champion[rows].mean()) for rows in (shown, ~shown))
    return SeedTrial(days=days, gain=seen, true_gain=true, promoted=promoted | {"new > old": seen > 0})


def shares(found: Sequence[SeedTrial]) -> dict[int, dict[str, tuple[int, int]]]:
    """Days of the holdout -> rule -> how many of the pairs it promoted, and how many of these to a worse model."""
    table = {}
    for days in HOLDOUTS:
        pairs = [item for item in found if item.days == days]
        table[days] = {
            name: (
                sum(item.promoted[name] for item in pairs),
                sum(item.promoted[name] and item.true_gain <= 0 for item in pairs),
            )
            for name in RULES
        }
    return table


def _losses(history: History, rows: Index, *, seed: int) -> Floats:
    """Of a model that was trained with this seed on the first weeks, on each of these rows."""
    spec = history.pipeline.spec
    train = history.rows[history.between(history.mondays[0], history.mondays[TRAINING_WEEKS])]
    model = fit(spec, train, DEFAULT_RECIPES[spec.task][0], seed=seed, threads=1)
    return history.losses_of(model.predict(history.rows[rows]), rows)
