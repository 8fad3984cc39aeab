"""Worlds to be watched: counts of 20 numbers, 10 categories and a prediction, window by window, without any row.

Numbers are N(0, 1) counted on 400 cells of 0.025; categories have 2 to 1,000 levels of Zipf shares; every fourth
column has 5 % nulls; the prediction is a logistic score. Columns are drawn independently of each other. `null` says
how windows differ although nothing has changed: "iid" (not at all), "day" (means by N(0, 0.05 sd), unequal across
columns; logits of null shares and of levels by 0.1), "week" (+0.2 sd on weekends), "ar" (as "day", and 0.7 of a
window's effect stays for the next). Source of the settings: research on drift, sections 3 and 3c.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Null = Literal["iid", "day", "week", "ar"]
NULLS: tuple[Null, ...] = ("iid", "day", "week", "ar")

EDGES = np.linspace(-5, 5, 401)  # between cells; one cell more lies beyond each end
CENTRES = np.concatenate([[EDGES[0] - 0.0125], (EDGES[:-1] + EDGES[1:]) / 2, [EDGES[-1] + 0.0125]])
NUMBERS = 20
LEVELS = (2, 3, 5, 8, 12, 20, 50, 100, 300, 1000)
PREDICTION = NUMBERS + len(LEVELS)  # index of the column
COLUMNS = PREDICTION + 1
NUMBER, CATEGORY = 0, NUMBERS + 3  # the columns that drift; the category has 8 levels
NULL_SHARE, NULL_EVERY = 0.05, 4
DAY, UNEQUAL, LOGIT, STAYS, WEEKEND = 0.05, 0.6, 0.1, 0.7, 0.2
INTERCEPT, SLOPE = -0.5, 1.8  # of the logistic score, as in the research (3c)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`rows` a window, and how windows differ when nothing has changed."""

    rows: int
    null: Null

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.null}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a column becomes: `shift` in sd, `scale` of the sd, share of `nulls`, `mix`: share that moves from the
    most frequent level to the second, `new`: share of a level that was never seen, `labels`: growth of the positives.
    """

    shift: float = 0.0
    scale: float = 1.0
    nulls: float | None = None
    mix: float = 0.0
    new: float = 0.0
    labels: float = 0.0

    @property
    def columns(self) -> tuple[int, ...]:
        """Which columns it changes."""
        if self.labels:
            return (*range(NUMBERS), PREDICTION)
        return (CATEGORY,) if self.mix or self.new else (NUMBER,)

    @property
    def named(self) -> int:
        """The column that an alarm must name."""
        return PREDICTION if self.labels else self.columns[0]


CHANGES: Mapping[str, Change] = {
    "mean +0.1 sd": Change(shift=0.1),
    "mean +0.25 sd": Change(shift=0.25),
    "mean +0.5 sd": Change(shift=0.5),
    "spread x1.1": Change(scale=1.1),
    "spread x1.25": Change(scale=1.25),
    "nulls 5 to 8 %": Change(nulls=0.08),
    "nulls 5 to 15 %": Change(nulls=0.15),
    "mix 5 points": Change(mix=0.05),
    "mix 10 points": Change(mix=0.10),
    "new level 0.2 %": Change(new=0.002),
    "new level 1 %": Change(new=0.01),
    "label shift 5 points": Change(labels=0.05),
    "label shift 10 points": Change(labels=0.10),
}
SAME = Change()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column's counts: `cells` (windows, cells) of what is not null, `nulls` (windows,)."""

    cells: Ints
    nulls: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """What the windows do to the columns: `moved` in sd and `nulls` in logits, both (windows, columns), and
    `levels`: of each category, logits of its levels, (windows, levels).
    """

    moved: Floats
    nulls: Floats
    levels: tuple[Floats, ...]


def days(world: World, rng: np.random.Generator, windows: int) -> Days:
    """Effects of `windows` successive windows; the first is a Monday."""
    none = np.zeros((windows, COLUMNS))
    if world.null in ("iid", "week"):
        weekend = WEEKEND * (np.arange(windows) % 7 >= 5)[:, None] if world.null == "week" else 0.0
        return Days(moved=none + weekend, nulls=none, levels=tuple(np.zeros((windows, size)) for size in LEVELS))
    stays = STAYS if world.null == "ar" else 0.0
    sd = DAY * np.exp(UNEQUAL * rng.standard_normal(COLUMNS))
    return Days(
        moved=sd * walk(rng, windows, COLUMNS, stays=stays),
        nulls=LOGIT * walk(rng, windows, COLUMNS, stays=stays),
        levels=tuple(LOGIT * walk(rng, windows, size, stays=stays) for size in LEVELS),
    )


def draw(
    world: World, rng: np.random.Generator, effects: Days, column: int, *, change: Change = SAME, windows: slice
) -> Column:
    """One column's counts in some of the windows."""
    share = null_share(column, effects.nulls[windows, column], change)
    nulls = rng.binomial(world.rows, share)
    if NUMBERS <= column < PREDICTION:
        chances = level_shares(column - NUMBERS, effects.levels[column - NUMBERS][windows], change)
    else:
        chances = cell_shares(column, effects.moved[windows, column], change)
    return Column(cells=rng.multinomial(world.rows - nulls, chances), nulls=nulls)


def everything(world: World, rng: np.random.Generator, effects: Days) -> list[Column]:
    """All columns in all windows, with nothing changed."""
    return [draw(world, rng, effects, column, windows=slice(None)) for column in range(COLUMNS)]


def level_shares(category: int, logits: Floats, change: Change = SAME) -> Floats:
    """(windows, levels + 1): the shares of a category's levels; the last is the level that was never seen."""
    plain = np.arange(1, LEVELS[category] + 1) ** -0.8
    shares = plain * np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    moving = np.minimum(change.mix, 0.9 * shares[:, 0])
    shares[:, 0] -= moving
    shares[:, 1] += moving
    return np.column_stack([shares * (1 - change.new), np.full(len(shares), change.new)])


def cell_shares(column: int, moved: Floats, change: Change = SAME) -> Floats:
    """(windows, cells) of a number. A label shift mixes the score's two classes anew; each number follows the score."""
    if change.labels:
        return _label_shifted(column, moved, change.labels)
    return _normal_cells(moved + change.shift, change.scale)


def weights() -> Floats:
    """How the numbers make up the score's direction (sum of squares 1): the first count most."""
    raw: Floats = 1 / np.sqrt(np.arange(1, NUMBERS + 1))
    return raw / np.sqrt((raw**2).sum())


def walk(rng: np.random.Generator, windows: int, columns: int, *, stays: float) -> Floats:
    """(windows, columns) of N(0, 1), of which the share `stays` is handed on from window to window."""
    noise = rng.standard_normal((windows, columns))
    if stays:
        for window in range(1, windows):
            noise[window] = stays * noise[window - 1] + np.sqrt(1 - stays**2) * noise[window]
    return noise


def null_share(column: int, logits: Floats, change: Change = SAME) -> Floats:
    """(windows,) of a column's share of nulls."""
    usual = NULL_SHARE if column % NULL_EVERY == 0 and column != PREDICTION else 0.0
    share = usual if change.nulls is None else change.nulls
    return share / (share + (1 - share) * np.exp(-logits)) if share else np.zeros(len(logits))


def name_of(column: int) -> str:
    """A column's name."""
    if column == PREDICTION:
        return "prediction"
    return f"number {column}" if column < NUMBERS else f"category {LEVELS[column - NUMBERS]}"


def _normal_cells(means: Floats, sd: float) -> Floats:
    from scipy.special import ndtr

    below = ndtr((EDGES - means[:, None]) / sd)
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _label_shifted(column: int, moved: Floats, growth: float) -> Floats:
    """The score's direction u has a class mix with more positives; a number given u is N(w u, 1 - w^2)."""
    if column == PREDICTION:
        mixed = np.stack([cells * _mixed(CENTRES - move, cells, growth)
                          for cells, move in zip(_normal_cells(moved, 1.0), moved, strict=True)])  # fmt: skip
        return mixed / mixed.sum(axis=1, keepdims=True)
    u = np.linspace(-5, 5, 21)
    density = np.exp(-(u**2) / 2)
    density *= _mixed(u, density / density.sum(), growth)
    weight = float(weights()[column])
    sd = float(np.sqrt(1 - weight**2))
    return np.stack([density @ _normal_cells(weight * u + move, sd) for move in moved]) / density.sum()


def _mixed(u: Floats, shares: Floats, growth: float) -> Floats:
    """By how much u becomes more frequent, when the share of positives grows."""
    chance = 1 / (1 + np.exp(-(INTERCEPT + SLOPE * u)))
    before = float(shares @ chance)
    mixed: Floats = chance * (before + growth) / before + (1 - chance) * (1 - before - growth) / (1 - before)
    return mixed
