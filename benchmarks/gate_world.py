"""Days of labels, and the scores of two models on them, whose true difference in log loss is known to the digit.

The truth is a logit z ~ N(-1.2, 1.5), a model's score z + spread * error, errors of both models correlated by 0.8. On
day-correlated worlds the spreads breathe with the day, one model's against the other's: exp(+-BREATH g / 2), where g is
normal, of AR(1). Some days suit the champion, others the challenger; rows of a day are alike in their *paired* loss,
and neighbouring days resemble each other. With equal spreads everything is the same if g changes its sign, so that the
expected gain is exactly 0 although the models differ. For any other gain the spread is solved for by quadrature.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

CENTRE, WIDTH = -1.2, 1.5  # of the truth's logits: one row in four is a 1
SPREAD = 0.6  # the champion's error, in logits: its log loss is 0.49 where the truth's is 0.46
LIKENESS = 0.8  # correlation of the two models' errors
BREATH = 0.125  # makes days of 333 rows 1.6 times as noisy as independent rows would be: research/tuning.md, section 5


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`rows` of one look in `days` equal days; `ar`: between the days' effects, None: all rows are independent."""

    rows: int
    days: int
    ar: float | None = None

    @property
    def per_day(self) -> int:
        """Rows of a day; what does not go into equal days is left out."""
        return self.rows // self.days

    @property
    def breath(self) -> float:
        """How much the models' spreads move from day to day."""
        return 0.0 if self.ar is None else BREATH

    def __str__(self) -> str:
        kind = "iid" if self.ar is None else f"AR {self.ar:g}"
        return f"{self.rows // 1000}k, {self.days} days, {kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Independent trials, shape (trials, days, rows of a day); `effect`: g of each day, (trials, days, 1)."""

    truth: Singles
    label: Singles
    error: Singles
    other_error: Singles
    effect: Singles
    breath: float

    def champion(self) -> Singles:
        """Its scores in logits."""
        return self._scores(SPREAD, self.error, sign=1)

    def challenger(self, gain: float) -> Singles:
        """Scores in logits of a challenger whose expected log loss is lower by the share `gain`."""
        return self._scores(spread_for(gain, self.breath), self.other_error, sign=-1)

    def _scores(self, spread: float, error: Singles, *, sign: int) -> Singles:
        own = np.float32(spread) * np.exp(np.float32(sign * self.breath / 2) * self.effect)
        return np.asarray(self.truth + own * error)


def draw(world: World, rng: np.random.Generator, *, trials: int, looks: int) -> Draw:
    """`trials` histories of `looks` x the world's days, one after the other."""
    days = world.days * looks
    shape = (trials, days, world.per_day)
    truth, error, own = (rng.standard_normal(shape, dtype=np.float32) for _ in range(3))
    truth *= np.float32(WIDTH)
    truth += np.float32(CENTRE)
    own *= np.float32(np.sqrt(1 - LIKENESS**2))
    own += np.float32(LIKENESS) * error
    chance = 1 / (1 + np.exp(-truth))
    label = (rng.random(shape, dtype=np.float32) < chance).astype(np.float32)
    effect = autoregressive((trials, days), world.ar or 0.0, rng)[:, :, None]
    return Draw(
        truth=truth, label=label, error=error, other_error=own, effect=effect.astype(np.float32), breath=world.breath
    )


def autoregressive(shape: tuple[int, ...], ar: float, rng: np.random.Generator) -> Floats:
    """Normal, mean 0 and variance 1, correlated by `ar`^k with the k-th last along the last axis."""
    values = rng.standard_normal(shape)
    for day in range(1, shape[-1]):
        values[..., day] = ar * values[..., day - 1] + np.sqrt(1 - ar**2) * values[..., day]
    return values


def log_loss(score: npt.NDArray[Any], label: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Of each row, in the precision of `score` (logits, not above 80)."""
    loss = np.exp(score)
    loss += 1
    np.log(loss, out=loss)
    loss -= score * label
    return loss


@lru_cache(maxsize=64)
def spread_for(gain: float, breath: float) -> float:
    """The spread of a challenger whose expected log loss is (1 - gain) x the champion's."""
    if gain == 0:
        return SPREAD
    wanted = (1 - gain) * expected_loss(SPREAD, breath)
    return float(brentq(lambda spread: expected_loss(spread, breath) - wanted, 0.0, 2 * SPREAD, xtol=1e-12))


def expected_loss(spread: float, breath: float) -> float:
    """Mean log loss of scores that err by `spread`: E log(1 + e^score) - E truth x label, by Gauss-Hermite.

    Given the day's effect, the score is normal: its variance is the truth's plus the error's.
    """
    effects, weights = _normal_points(40)
    points, masses = _normal_points(200)
    variance = WIDTH**2 + spread**2 * np.exp(breath * effects)
    soft = np.logaddexp(0, CENTRE + np.sqrt(variance)[:, None] * points) @ masses
    truth = CENTRE + WIDTH * points
    return float(weights @ soft - masses @ (truth / (1 + np.exp(-truth))))


def _normal_points(count: int) -> tuple[Floats, Floats]:
    """Points and weights that integrate against the standard normal density."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    return points, weights / weights.sum()
