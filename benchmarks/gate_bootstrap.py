"""What an interval costs: the plain bootstrap by row index, against sums of days times a matrix of counts.

Both are of the gain in log loss and in AUC of two models, from each row's losses and scores. The plain one draws row
numbers and computes the metric anew; ours resamples 1,000 days of equal size: a mean is (counts x sums of days) /
(counts x rows of days), and the AUC is made a mean by its influence values, from scores in 4,096 bins. The product
itself needs no resampling: its t interval of days is timed beside. On independent rows all of them estimate the same
interval; on days that are alike the plain one is wrong, which is why ends are compared on independent rows, and, day by
day, with a plain bootstrap of whole days.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from benchmarks.gate_rivals import bins_of, placements
from benchmarks.gate_world import Floats, World, draw, log_loss
from validation.influence import pseudo_losses
from validation.intervals import paired_interval

DAYS = 1_000
LEVELS = (0.05, 0.95)
Counts = npt.NDArray[np.int64]
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Two models on labelled rows: scores in logits, labels, day numbers, all (n,)."""

    champion: Floats
    challenger: Floats
    label: Floats
    day: Floats

    @property
    def loss_apart(self) -> Floats:
        """The champion's log loss less the challenger's, by row."""
        return np.asarray(log_loss(self.champion, self.label) - log_loss(self.challenger, self.label))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU and wall seconds."""

    cpu_s: float
    wall_s: float


def measured(*, rows: int, resamples: int, repeats: tuple[int, int], ends_rows: int, ends: int) -> dict[str, Any]:
    """All of it. `repeats`: plain resamples that are timed for log loss and AUC, and multiplied up to `resamples`.

    Ends are compared on `ends_rows` rows with `ends` resamples on both sides.
    """
    data = made(rows, days=DAYS, seed=1)
    rng = np.random.default_rng(2)
    apart = data.loss_apart
    ours = {
        "log loss": _cost(lambda: bootstrapped(apart, data.day, resamples, rng)),
        "AUC": _cost(lambda: bootstrapped(auc_influence(data), data.day, resamples, rng)),
    }
    product = {
        "log loss": _cost(lambda: paired_interval(apart, data.day, alpha=0.05)),
        "AUC": _cost(lambda: paired_interval(_pseudo_apart(data), data.day, alpha=0.05)),
    }
    plain = {
        "log loss": _cost(lambda: plain_log_loss(apart, repeats[0], rng), times=1, scale=resamples / repeats[0]),
        "AUC": _cost(lambda: plain_auc(data, repeats[1], rng), times=1, scale=resamples / repeats[1]),
    }
    result: dict[str, Any] = {
        "rows": rows,
        "resamples": resamples,
        "plain_timed_on_resamples": {"log loss": repeats[0], "AUC": repeats[1]},
        **{
            f"{name}_{unit}": {metric: round(getattr(cost, unit), 4) for metric, cost in costs.items()}
            for name, costs in {"plain": plain, "ours": ours, "product_t": product}.items()
            for unit in ("cpu_s", "wall_s")
        },
        "speedup_log_loss": round(plain["log loss"].cpu_s / ours["log loss"].cpu_s),
        "speedup_auc": round(plain["AUC"].cpu_s / ours["AUC"].cpu_s),
        "product_speedup_log_loss": round(plain["log loss"].cpu_s / product["log loss"].cpu_s),
        "product_speedup_auc": round(plain["AUC"].cpu_s / product["AUC"].cpu_s),
        "ends": ends_apart(rows=ends_rows, resamples=ends),
    }
    result["bootstrap_speedup"] = min(result["speedup_log_loss"], result["speedup_auc"])
    result["ends_apart"] = max(max(found.values()) for found in result["ends"].values())
    return result


def ends_apart(*, rows: int, resamples: int) -> dict[str, dict[str, float]]:
    """How far our ends are from the plain ones, as shares of half the plain interval's width; the further end counts.

    `rows`: against a bootstrap of row numbers, on independent rows in days of four. `days`: against one of whole days,
    on 60 days that are alike, with the same draws of days.
    """
    rng = np.random.default_rng(3)
    data = made(rows, days=rows // 4, seed=4)
    apart, auc = data.loss_apart, auc_influence(data)
    plain = {"log loss": plain_log_loss(apart, resamples, rng), "AUC": plain_auc(data, resamples, rng)}
    ours = {
        "log loss": bootstrapped(apart, data.day, resamples, rng),
        "AUC": bootstrapped(auc, data.day, resamples, rng),
    }
    alike = made(rows, days=60, seed=5, ar=0.4)
    counts = _drawn(60, resamples, rng)
    by_days = {"log loss": _whole_days(alike, counts, _mean_loss), "AUC": _whole_days(alike, counts, _auc_difference)}
    ours_by_days = {
        "log loss": _resampled(alike.loss_apart, alike.day, counts),
        "AUC": _resampled(auc_influence(alike), alike.day, counts),
    }
    t_interval = paired_interval(apart, data.day, alpha=LEVELS[0])
    t_auc = paired_interval(_pseudo_apart(data), data.day, alpha=LEVELS[0])
    return {
        "rows": {metric: _apart(plain[metric], np.quantile(ours[metric], LEVELS)) for metric in plain},
        "days": {metric: _apart(by_days[metric], np.quantile(ours_by_days[metric], LEVELS)) for metric in by_days},
        "product_t": {
            "log loss": _apart(plain["log loss"], np.array([t_interval.lower, t_interval.upper])),
            "AUC": _apart(plain["AUC"], np.array([t_auc.lower, t_auc.upper])),
        },
    }


def made(rows: int, *, days: int, seed: int, ar: float | None = None) -> Rows:
    """A challenger that is 0.5 % better, in double precision."""
    trial = draw(World(rows=rows, days=days, ar=ar), np.random.default_rng(seed), trials=1, looks=1)
    sides = (side.ravel().astype(np.float64) for side in (trial.champion(), trial.challenger(0.005), trial.label))
    champion, challenger, label = sides
    day = np.repeat(np.arange(days), len(label) // days)
    return Rows(champion=champion, challenger=challenger, label=label, day=day)


def bootstrapped(values: Floats, day: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of `values` when whole days are drawn with replacement, (resamples,); a thousand resamples at a time."""
    days = int(day[-1]) + 1
    steps = [min(_AT_ONCE, resamples - first) for first in range(0, resamples, _AT_ONCE)]
    return np.concatenate([_resampled(values, day, _drawn(days, step, rng)) for step in steps])


def _drawn(days: int, resamples: int, rng: np.random.Generator) -> Counts:
    """How often each day is drawn in each resample, (resamples, days)."""
    numbers = rng.integers(0, days, (resamples, days)) + days * np.arange(resamples)[:, None]
    return np.bincount(numbers.ravel(), minlength=days * resamples).reshape(resamples, days)


def _resampled(values: Floats, day: Floats, counts: Any) -> Floats:
    sums, sizes = np.bincount(day, weights=values), np.bincount(day).astype(np.float64)
    drawn = counts.astype(np.float64)
    return np.asarray((drawn @ sums) / (drawn @ sizes))


def auc_influence(data: Rows) -> Floats:
    """By row; the mean is the challenger's AUC less the champion's, the spread that of its estimate."""
    apart = placements(data.label, bins_of(data.challenger)) - placements(data.label, bins_of(data.champion))
    share = data.label.mean()
    difference = (apart @ data.label) / data.label.sum()
    weight = np.where(data.label == 1, 1 / share, 1 / (1 - share))
    return np.asarray(difference + (apart - difference) * weight)


def plain_log_loss(apart: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """By row index; the leanest way, with losses computed once."""
    height = len(apart)
    return np.array([apart[rng.integers(0, height, height)].mean() for _ in range(resamples)])


def plain_auc(data: Rows, resamples: int, rng: np.random.Generator) -> Floats:
    """By row index, ranking both models' scores each time."""
    height = len(data.label)
    return np.array([_auc_difference(data, rng.integers(0, height, height)) for _ in range(resamples)])


def _auc_difference(data: Rows, index: Any) -> float:
    label = data.label[index]
    return _auc(data.challenger[index], label) - _auc(data.champion[index], label)


def _auc(score: Floats, label: Floats) -> float:
    ones = label.sum()
    return float((rankdata(score) @ label - ones * (ones + 1) / 2) / (ones * (len(label) - ones)))


def _mean_loss(data: Rows, index: Any) -> float:
    return float(data.loss_apart[index].mean())


def _whole_days(data: Rows, counts: Any, metric: Callable[[Rows, Any], float]) -> Floats:
    """The metric, computed anew on the rows of the drawn days, each day as often as it was drawn."""
    height = np.arange(len(data.day))
    return np.array([metric(data, np.repeat(height, drawn[data.day])) for drawn in counts])


def _pseudo_apart(data: Rows) -> Floats:
    return np.asarray(pseudo_losses(data.label, data.champion) - pseudo_losses(data.label, data.challenger))


def _apart(plain: Floats, ends: Floats) -> float:
    lower, upper = np.quantile(plain, LEVELS)
    return round(float(np.abs(ends - (lower, upper)).max() / ((upper - lower) / 2)), 4)


def _cost(work: Callable[[], object], *, times: int = 3, scale: float = 1.0) -> Cost:
    """The median of `times` runs, `scale` times."""
    found = []
    for _ in range(times):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = np.median(found, axis=0) * scale
    return Cost(cpu_s=float(cpu), wall_s=float(wall))
