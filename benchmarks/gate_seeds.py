"""Models that differ by nothing but their seed: how often does the gate promote one for another?

Real LightGBM with the delivered first recipe and the product's own fit: each training sees the same rows. Seed i
serves, seed i + 1 challenges, on a holdout of their own (fresh days, whose rows share a shift that no feature shows).
Two seeds are truly different models, so that a tiny gain may be real; a promotion is still change for its own sake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.gate_simulation import FINE, NOON
from benchmarks.gate_world import autoregressive
from modelling.metrics import row_losses
from modelling.recipes import DEFAULT_RECIPES
from modelling.spec import Spec
from modelling.training import Model, fit
from validation.gate import Evidence, Gate, judge

FEATURES = tuple(f"x{number}" for number in range(12))
START = datetime(2024, 1, 1, tzinfo=UTC)
TRAINING_DAYS, PER_DAY = 60, 333
HOLDOUTS = (7, 14, 60)
POLICIES = {"alpha 0.05": Gate(alpha=0.05, min_gain=0.0, max_looks=1), "as delivered": Gate(max_looks=1)}
_SHIFT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTrial:
    """One pair on one holdout; `gain`: seen, of the champion's loss; `promoted`: by policy, and newer-is-better."""

    days: int
    gain: float
    promoted: dict[str, bool]


def trials(first: int, count: int, *, seed: int) -> list[SeedTrial]:
    """Seeds `first` to `first` + `count` on the same rows, each against the next, on each kind of holdout."""
    train = rows(TRAINING_DAYS, np.random.default_rng([seed, 0]))
    spec = _spec()
    models = [
        fit(spec, train, DEFAULT_RECIPES["binary"][0], seed=number, threads=1)
        for number in range(first, first + count + 1)
    ]
    return [
        _trial(models[pair], models[pair + 1], days, rows(days, np.random.default_rng([seed, 1, days, first + pair])))
        for pair in range(count)
        for days in HOLDOUTS
    ]


def rows(days: int, rng: np.random.Generator) -> pl.DataFrame:
    """Days of rows: 12 features, five of which matter, and a shift of the day."""
    height = days * PER_DAY
    x = rng.standard_normal((height, len(FEATURES)))
    shift = _SHIFT * np.repeat(autoregressive((days,), 0.4, rng), PER_DAY)
    score = -1.2 + x[:, 0] + 0.7 * x[:, 1] * x[:, 2] + 0.8 * np.sin(2 * x[:, 3]) + 0.5 * (x[:, 4] > 0.5) + shift
    label = rng.random(height) < 1 / (1 + np.exp(-score))
    at = [START + timedelta(days=day) for day in range(days) for _ in range(PER_DAY)]
    frame = pl.DataFrame({"key": np.arange(height), "at": at}, schema_overrides={"at": pl.Datetime("us", "UTC")})
    return frame.with_columns(
        *(pl.Series(name, x[:, column]) for column, name in enumerate(FEATURES)),
        label=pl.Series(label.astype(np.int64)),
    )


def _spec() -> Spec:
    schema = {"key": pl.Int64(), "at": pl.Datetime("us", "UTC"), **{name: pl.Float64() for name in FEATURES}}
    return Spec(
        features=_features, raw_schema=schema, key=("key",), time="at", target="label", task="binary", metric="logloss"
    )


def _features(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


def _trial(champion: Model, challenger: Model, days: int, holdout: pl.DataFrame) -> SeedTrial:
    label = champion.labels(holdout)
    losses = [row_losses("binary", "logloss", label, model.predict(holdout)) for model in (champion, challenger)]
    evidence = Evidence(champion_loss=losses[0], challenger_loss=losses[1], blocks=np.repeat(np.arange(days), PER_DAY))
    promoted = {
        name: judge(evidence, FINE, policy=policy, pipeline="seeds", subject="seed", as_of=NOON).outcome == "promote"
        for name, policy in POLICIES.items()
    }
    gain = float(1 - losses[1].mean() / losses[0].mean())
    return SeedTrial(days=days, gain=gain, promoted=promoted | {"new > old": gain > 0})


def shares(found: Sequence[SeedTrial]) -> dict[int, dict[str, int]]:
    """Days of the holdout -> rule -> how many of the pairs it promoted."""
    return {
        days: {
            name: sum(item.promoted[name] for item in found if item.days == days) for name in (*POLICIES, "new > old")
        }
        for days in HOLDOUTS
    }
