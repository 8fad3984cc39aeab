"""Which inputs move a model's predictions, how much and in which direction, and what its rounds of boosting brought:
LightGBM's own numbers. Decides nothing.

Gain says what the trees were built from, on the rows they were grown on; the contributions (Shapley values, Lundberg
2020) say what moves the predictions of the rows that are asked about. Both describe the model, not the world: of two
inputs that say the same, one may get all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import Column
from modelling.metrics import row_losses
from modelling.model import Model

Array = NDArray[np.float64]
Direction = Literal["rises", "falls", ""]

MOST_ROWS, FEWEST_ROWS = 500, 60
SECONDS = 0.8  # of CPU, so long as more than the fewest rows are asked
MOST_SECONDS = 15.0  # a model of which even the fewest rows cost more has no contributions told
EFFECTS, GROUPS = 6, 8
CURVE_ROWS, CURVE_POINTS = 4_000, 50
CLEAR = 0.7  # rank correlation of value and contribution from which on there is one direction

# CPU for a leaf and the square of a balanced tree's levels, measured with 31 and 255 leaves, 25 inputs.
_SECONDS_EACH = 9e-9
_LEAVES = re.compile(r"^num_leaves=(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an input adds to the prediction, on average, where it has these values: a `level`, or `low` to `high`.

    `level` None and no bounds: where it is missing (null, a rare or an unknown level). `rows`: of the sample.
    """

    adds: float
    rows: int
    level: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputImportance:
    """An input. `gain`: its share of the gain of all splits, in [0, 1]; `moves`: mean absolute contribution to a row's
    prediction (None: not computed), of several classes their mean; `direction`: whether the prediction rises or falls
    with its value, "" where neither, or it has no order. `effects`: by value, of the inputs that move the most.
    """

    name: str
    gain: float
    moves: float | None = None
    direction: Direction = ""
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """All inputs, those that move most first. `rows`: how many were asked, 0 where none could be. Contributions are
    counted before the objective makes a probability of them: in log-odds, or in the label's unit.
    """

    inputs: tuple[InputImportance, ...]
    rows: int


def importance(model: Model, raw: pl.DataFrame) -> Importance:
    """Importance of the inputs of `model`, its contributions on an even sample of `raw` (the contract's columns).

    A calibration, if the model has one, keeps the order of predictions, and is not part of it.
    """
    gains, columns = np.array(model.engine.gains), model.encoding.columns
    shares = (gains / (gains.sum() or 1.0)).tolist()
    count = min(sample_size(model.text), raw.height)
    if not count:
        told = [InputImportance(name=column.name, gain=gain) for column, gain in zip(columns, shares, strict=True)]
        return Importance(inputs=tuple(sorted(told, key=lambda item: -item.gain)), rows=0)
    matrix = model.matrix(_sample(raw, count))
    found = model.engine.contributions(matrix)[:, :, :-1]
    moves = np.abs(found).mean(axis=(0, 1)).tolist()
    inputs = []
    for place, number in enumerate(sorted(range(len(columns)), key=lambda number: (-moves[number], -shares[number]))):
        column, gain, moved = columns[number], shares[number], moves[number]
        if found.shape[1] > 1:  # of several classes, what speaks for one speaks against others
            inputs.append(InputImportance(name=column.name, gain=gain, moves=moved))
        else:
            inputs.append(_moving(column, matrix[:, number], found[:, 0, number], gain=gain, deep=place < EFFECTS))
    return Importance(inputs=tuple(inputs), rows=len(matrix))


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """Mean loss per row after so many `rounds` of boosting: of rows that were learned from, and of later ones."""

    rounds: tuple[int, ...] = ()
    train: tuple[float, ...] = ()
    later: tuple[float, ...] = ()


def learning_curves(model: Model, train: pl.DataFrame, later: pl.DataFrame) -> LearningCurves:
    """Of even samples of both frames (raw columns and the target); none where one is empty.

    Trees that were grown stay what they were: so the first rounds of a model are a model of fewer rounds, and nothing
    has to be trained for it. Probabilities are taken as the trees say them, before any calibration.
    """
    found = [dict(_losses(model, _sample(rows, CURVE_ROWS))) for rows in (train, later)]
    if not all(found):
        return LearningCurves()
    told, unseen = found
    return LearningCurves(rounds=tuple(told), train=tuple(told.values()), later=tuple(unseen.values()))


def sample_size(text: str) -> int:
    """How many rows may be asked of the model with this text within the seconds above; 0 where it is too large."""
    seconds = sum(_SECONDS_EACH * leaves * log2(leaves) ** 2 for leaves in map(int, _LEAVES.findall(text)))
    if not seconds:
        return MOST_ROWS
    if FEWEST_ROWS * seconds > MOST_SECONDS:
        return 0
    return max(FEWEST_ROWS, min(MOST_ROWS, int(SECONDS / seconds)))


def _sample(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """So many rows, evenly over all; all of fewer."""
    return rows[np.unique(np.linspace(0, rows.height - 1, min(count, rows.height)).astype(np.int64))]


def _losses(model: Model, rows: pl.DataFrame) -> Iterator[tuple[int, float]]:
    if rows.is_empty():
        return
    spec, labels = model.spec, model.labels(rows)
    for number, prediction in model.engine.stages(model.matrix(rows), points=CURVE_POINTS):
        yield number, float(row_losses(spec.task, spec.metric, labels, prediction).mean())


def _moving(column: Column, values: Array, adds: Array, *, gain: float, deep: bool) -> InputImportance:
    return InputImportance(
        name=column.name,
        gain=gain,
        moves=float(np.abs(adds).mean()),
        direction=_direction(column, values, adds),
        effects=tuple(_effects(column, values, adds)) if deep else (),
    )


def _direction(column: Column, values: Array, adds: Array) -> Direction:
    """Spearman's rank correlation of value and contribution, of numbers that are there."""
    known = np.isfinite(values)
    if column.levels is not None or not known.any() or not np.ptp(values[known]) or not np.ptp(adds[known]):
        return ""
    first, second = (_standard(pl.Series(part[known]).rank().to_numpy()) for part in (values, adds))
    clear = float((first * second).mean())
    return "rises" if clear >= CLEAR else "falls" if clear <= -CLEAR else ""


def _standard(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float64)


def _effects(column: Column, values: Array, adds: Array) -> Iterator[Effect]:
    """By ranges of about as many rows each, or by level, most frequent first; and where the value is missing."""
    known = ~np.isnan(values)
    yield from (
        _by_range(values[known], adds[known])
        if column.levels is None
        else _by_level(column.levels, values[known].astype(np.int64), adds[known])
    )
    if not known.all():
        yield Effect(adds=float(adds[~known].mean()), rows=int((~known).sum()))


def _by_range(values: Array, adds: Array) -> Iterator[Effect]:
    if not values.size:
        return
    edges = np.unique(np.quantile(values, np.arange(1, GROUPS) / GROUPS, method="inverted_cdf"))
    group = np.searchsorted(edges, values, side="left")
    for number in np.unique(group):
        own = group == number
        part = values[own]
        yield Effect(adds=float(adds[own].mean()), rows=int(own.sum()), low=float(part.min()), high=float(part.max()))


def _by_level(levels: tuple[str, ...], codes: NDArray[np.int64], adds: Array) -> Iterator[Effect]:
    rows, sums = (np.bincount(codes, weights, minlength=len(levels)) for weights in (None, adds))
    for code in np.argsort(-rows, kind="stable")[:GROUPS].tolist():
        if rows[code]:
            yield Effect(adds=float(sums[code] / rows[code]), rows=int(rows[code]), level=levels[code])
