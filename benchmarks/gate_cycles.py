"""Fifty cycles of challengers: how many regressions are shipped, and how much is gained, over the gate's alpha.

The assumption, as in research/tuning.md: of all challengers 60 % differ from the champion of their time by
N(0, 0.05 %), 20 % are 0.6 % better, 20 % 0.6 % worse. Each is judged once, on 14 fresh days whose effects are of AR 0.4
and leave the gain a standard error of 0.15 % or 0.4 % of the loss. The gate's other settings are the delivered ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.gate_simulation import FINE, NOON
from benchmarks.gate_world import Floats, autoregressive
from validation.gate import Evidence, Gate, judge

ALPHAS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4)
ERRORS = (0.0015, 0.004)
CYCLES, DAYS, AR = 50, 14, 0.4
_NOISE, _STEP = 0.0005, 0.006
_KINDS = (0.6, 0.2, 0.2)  # near 0, better, worse


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Sums over `runs` of 50 cycles; `alpha` None: newer is better. `gain`: of the champion's loss, as a share."""

    error: float
    alpha: float | None
    runs: int
    promotions: int
    regressions: int
    gain: float


def runs(error: float, seed: Sequence[int], count: int) -> list[Outcome]:
    """The same challengers and evidence for every alpha, and for nobody's gate."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, size=(count, CYCLES), p=_KINDS)
    true = np.select([kind == 1, kind == 2], [_STEP, -_STEP], _NOISE * rng.standard_normal(kind.shape))
    seen = true[:, :, None] + _deviation(error) * autoregressive((count, CYCLES, DAYS), AR, rng)
    promoted = {None: seen.mean(axis=2) > 0} | {alpha: _gated(seen, alpha) for alpha in ALPHAS}
    return [
        Outcome(
            error=error,
            alpha=alpha,
            runs=count,
            promotions=int(yes.sum()),
            regressions=int((yes & (true < 0)).sum()),
            gain=float((1 - np.where(yes, 1 - true, 1.0).prod(axis=1)).sum()),
        )
        for alpha, yes in promoted.items()
    ]


def together(outcomes: Sequence[Outcome]) -> list[dict[str, float | None]]:
    """Per run: regressions shipped, promotions, and the final gain; ungated first, then by alpha."""
    keys = dict.fromkeys((item.error, item.alpha) for item in outcomes)
    table = []
    for error, alpha in keys:
        same = [item for item in outcomes if (item.error, item.alpha) == (error, alpha)]
        total = sum(item.runs for item in same)
        row = {
            name: round(sum(getattr(item, name) for item in same) / total, 5)
            for name in ("regressions", "promotions", "gain")
        }
        table.append({"standard_error": error, "alpha": alpha, **row})
    return table


def _deviation(error: float) -> float:
    """Of a day's effect, so that the mean of all days has this standard error."""
    lags = np.arange(1, DAYS)
    return float(error * np.sqrt(DAYS / (1 + 2 * ((1 - lags / DAYS) * AR**lags).sum())))


def _gated(seen: Floats, alpha: float) -> Floats:
    policy = Gate(alpha=alpha, max_looks=1)
    days, champion = np.arange(DAYS), np.ones(DAYS)

    def promotes(gains: Floats) -> bool:
        evidence = Evidence(champion_loss=champion, challenger_loss=1 - gains, blocks=days)
        verdict = judge(evidence, FINE, policy=policy, pipeline="simulated", subject="challenger", as_of=NOON)
        return verdict.outcome == "promote"

    flat = [promotes(gains) for gains in seen.reshape(-1, DAYS)]
    return np.array(flat).reshape(seen.shape[:2])
