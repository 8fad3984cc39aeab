"""How surely one column tells the target: statistics of the leak checks, on plain arrays. Decides nothing.

A score is in [0, 1]: 1 tells the target exactly, 0 (0.5 for `separation`) nothing. What a column's bins say of the
target is learned on one half of the rows and asked of the other: levels with few rows, which always "know" their own
label, get no credit. The halves are made of stretches of time, so that neighbours (one session, one machine) are
rarely in both.

NOTE: sums of products by einsum, not by BLAS: on a busy machine its threads wait for each other, 50 ms a call.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Marks = NDArray[np.bool_]

BINS = 128
STRETCHES = 40
_DRAW = 8  # of which stretches teach, and of pairs
PAIRS, MIN_LINE_ROWS = 2_000, 100
SLOPES_APART = 0.02  # of the median slope: a copy's pairs are mostly nearer
LINE_WIDTH = 1e-3  # of the target's spread: what rounding may leave of a copy
MODE_SHARE = 0.3  # of one value of the target: many columns are 0 where it is
_QUIET = np.errstate(over="ignore", invalid="ignore")  # sums of huge numbers are infinite, and their share is nan
MIN_CLASS_ROWS = 5  # of a class, in each half: five rows of chance are above 99 % of the others once in 10^10


def sample_rows(rows: int, *, wanted: int) -> tuple[Codes, Codes]:
    """Positions of about `wanted` of so many rows, and the number of the stretch that each belongs to.

    STRETCHES equally long pieces, evenly over the rows; within a piece all rows are taken, so that it can be asked what
    comes next. All rows when they are fewer than `wanted`.
    """
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    length = max(1, min(rows, wanted) // STRETCHES)
    if rows <= wanted:
        positions = np.arange(rows)
        return positions, np.minimum(positions // length, STRETCHES - 1)
    starts = np.linspace(0, rows - length, STRETCHES).astype(np.int64)
    return (starts[:, None] + np.arange(length)).ravel(), np.repeat(np.arange(STRETCHES), length)


def learners(stretch: Codes) -> Marks:
    """Which rows teach: those of one half of the stretches, drawn once for all, in step with no period of the rows."""
    half = np.zeros(STRETCHES, np.bool_)
    half[np.random.default_rng(_DRAW).permutation(STRETCHES)[: STRETCHES // 2]] = True
    return half[stretch]


def binned(column: pl.Series) -> Codes:
    """The number of each value's bin: 0 for null; levels of a category each their own, numbers by their quantiles.

    A number's bins hold 50 rows or more where it has many values; few values are a bin each.
    """
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        ranks: Codes = column.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
        return ranks
    values = numbers(column)
    known = np.sort(values[~np.isnan(values)])
    distinct = known[np.append(True, known[1:] != known[:-1])] if known.size else known
    most = min(BINS, max(8, known.size // 50))
    if distinct.size > most:
        distinct = np.unique(known[np.linspace(0, known.size - 1, most).astype(np.int64)])
    found: Codes = np.searchsorted(distinct, values, side="right").astype(np.int64)
    found[np.isnan(values)] = 0
    return found


def numbers(column: pl.Series) -> Floats:
    """The values as float64, nan for null."""
    values: Floats = column.cast(pl.Float64).to_numpy()
    return values


def separation(bins: Codes, labels: Codes, classes: int, learns: Marks) -> float:
    """AUC of the best score that can be made of the bins: of each class against the rest, weighted by their rows.

    0.5: the column says nothing; 1: it separates the classes. nan when no class has enough rows in both halves.
    """
    size = int(bins.max(initial=0)) + 1
    asked, known = (_table(bins[part], labels[part], size, classes) for part in (~learns, learns))
    both = np.minimum(np.minimum(known.sum(axis=0), known.sum() - known.sum(axis=0)), asked.sum(axis=0))
    able = np.flatnonzero((both >= MIN_CLASS_ROWS) & (asked.sum() - asked.sum(axis=0) >= MIN_CLASS_ROWS))
    if not able.size:
        return float("nan")
    share = known.sum(axis=0) / known.sum()
    rate = (known + share) / (known.sum(axis=1, keepdims=True) + 1)
    found = [_auc(rate[:, which], asked[:, which], asked.sum(axis=1) - asked[:, which]) for which in able]
    return float(np.average(found, weights=asked[:, able].sum(axis=0)))


def purity(bins: Codes, labels: Codes, classes: int) -> float:
    """How far each bin holds one class alone: 1 when the column is the target under other names; 0 when knowing the bin
    helps no more than always naming the most frequent class. nan for one class alone.

    Meant for columns with hardly more values than there are classes.
    """
    table = _table(bins, labels, int(bins.max(initial=0)) + 1, classes)
    most = table.sum(axis=0).max(initial=0) / max(table.sum(), 1)
    return float((table.max(axis=1).sum() / table.sum() - most) / (1 - most)) if 0 < most < 1 else float("nan")


@_QUIET
def explained(bins: Codes, target: Floats, learns: Marks) -> float:
    """Share of the target's variance that the bins' means explain (R^2, at least 0); nan for a constant target."""
    if min(int(learns.sum()), int((~learns).sum())) < MIN_CLASS_ROWS:
        return float("nan")
    size = int(bins.max(initial=0)) + 1
    counts = np.bincount(bins[learns], minlength=size)
    means = (np.bincount(bins[learns], target[learns], size) + target[learns].mean()) / (counts + 1)
    asked = target[~learns]
    spread = float(np.square(asked - asked.mean()).sum())
    left = float(np.square(asked - means[bins[~learns]]).sum())
    return max(0.0, 1 - left / spread) if 0 < spread < np.inf else float("nan")


def ranked(values: Floats) -> Floats:
    """The rank of each value, equal ones share theirs; nan stays."""
    ranks: Floats = pl.Series(values, nan_to_null=True).rank().cast(pl.Float64).to_numpy()
    return ranks


def differing(one: pl.Series, other: pl.Series) -> float:
    """The share of rows in which the values differ, by more than rounding."""
    if one.dtype.is_float() and other.dtype.is_float():
        return float((~np.isclose(numbers(one), numbers(other), rtol=1e-6, atol=1e-12, equal_nan=True)).mean())
    told: pl.Series = one.cast(pl.String).ne_missing(other.cast(pl.String))
    return float(told.to_numpy().mean())


@_QUIET
def likeness(column: Floats, target: Floats) -> float:
    """The squared correlation (Pearson) over the rows in which both are known: 1 for a copy, whatever scale and shift.

    nan with too few rows, or when one of them is constant.
    """
    known = np.isfinite(column) & np.isfinite(target)
    if known.sum() < 2 * MIN_CLASS_ROWS:
        return float("nan")
    x, y = column[known] - column[known].mean(), target[known] - target[known].mean()
    scale = _product(x, x) * _product(y, y)
    return _product(x, y) ** 2 / scale if scale > 0 else float("nan")


@_QUIET
def on_one_line(column: Floats, target: Floats) -> float:
    """The share of rows in which the target is the column, scaled and shifted: 1 for a copy, near 0 for a good input.

    Of the rows in which both are known; without those of the target's most frequent value where it is that of many. The
    line is the median of pairs' slopes (Theil and Sen), so that some rows of another kind do not bend it. nan with too
    few rows, or without a slope.
    """
    if column.size < MIN_LINE_ROWS:
        return float("nan")
    mode = _mode(target[np.random.default_rng(_DRAW).integers(0, target.size, PAIRS)])
    kept = np.flatnonzero(np.isfinite(column) & (target != mode))
    if kept.size < MIN_LINE_ROWS:
        return float("nan")
    one, other = kept[np.random.default_rng(_DRAW).integers(0, kept.size, (2, PAIRS))]
    run, rise = column[one] - column[other], target[one] - target[other]
    slopes = rise[run != 0] / run[run != 0]
    slope = float(np.median(slopes)) if slopes.size >= MIN_LINE_ROWS else 0.0
    if slope == 0 or (np.abs(slopes / slope - 1) < SLOPES_APART).mean() < 0.5:  # quick: most columns end here
        return float("nan") if slope == 0 else 0.0
    left = target[kept] - slope * column[kept]
    low, high = np.quantile(target[kept], (0.05, 0.95))
    return float((np.abs(left - np.median(left)) <= LINE_WIDTH * (high - low)).mean())


def _mode(values: Floats) -> float:
    """The most frequent value, if it is that of many; else nan."""
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()]) if counts.max() > MODE_SHARE * counts.sum() else float("nan")


@_QUIET
def made_of(columns: Floats, target: Floats, *, enough: float, most: int) -> tuple[list[int], float]:
    """Which few columns (n, k) the target is a weighted sum of: positions, and the R^2 of the sum.

    At most `most`, chosen one after the other by what they add; none when they explain less than `enough` together.
    """
    x = columns - columns.mean(axis=0)
    y = target - target.mean()
    spread = np.sqrt((x * x).sum(axis=0))
    x, total = x / np.where(spread > 0, spread, 1.0), _product(y, y)
    inner, outer = np.einsum("ij,ik->jk", x, x), np.einsum("ij,i->j", x, y)
    chosen: list[int] = []
    share = 0.0
    while len(chosen) < min(most, x.shape[1]) and share < enough and total > 0:
        found = [(_share(inner, outer, [*chosen, new], total), new) for new in range(x.shape[1]) if new not in chosen]
        share, new = max(found, key=lambda item: item[0])
        chosen.append(new)
    return (chosen, share) if share >= enough else ([], share)


def _product(one: Floats, other: Floats) -> float:
    return float(np.einsum("i,i->", one, other))


def _share(inner: Floats, outer: Floats, chosen: list[int], total: float) -> float:
    weights = np.linalg.lstsq(inner[np.ix_(chosen, chosen)], outer[chosen], rcond=1e-10)[0]
    return float(weights @ outer[chosen]) / total


def _table(bins: Codes, labels: Codes, size: int, classes: int) -> Floats:
    counts = np.bincount(bins * classes + labels, minlength=size * classes)
    return counts.reshape(size, classes).astype(np.float64)


def _auc(score: Floats, positive: Floats, negative: Floats) -> float:
    """The AUC of counts by score; equal scores are ties."""
    _, group = np.unique(score, return_inverse=True)
    above, below = np.bincount(group, positive), np.bincount(group, negative)
    won = np.cumsum(below) - below / 2
    return float((above * won).sum() / (above.sum() * below.sum()))
