"""How good is a binary champion before its labels come? Expected from its scores alone; judges nothing.

Confidence-based performance estimation: a table, made of scores whose labels are known, says how often a score came
true; a window's scores then say how many labels of each kind to expect, and so what any metric would be. It holds as
long as a score goes on meaning what it meant: concept drift (other labels follow from the same inputs) it cannot see.
Source of the idea: NannyML's CBPE; of the measurements: research/drift.md, 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from validation.watch.estimates import MIN_WINDOWS, Estimate, interval, spread_of

BINS = 512
DECISION = 0.5  # a score from here on counts as a "yes", for accuracy and F1
METHOD = "expected from the scores"
LOSS = "logloss"  # the pipeline's metric among the others, also where it is another: so it is called in bundles
_SMALLEST = 1e-15  # probability whose logarithm is taken, as in modelling/metrics.py

Loss = Literal["logloss", "brier"]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreCounts:
    """A window's scores, by bin of the table: how many, and the sums of their losses if all labels were 1, or all 0 (of
    the log loss: of -log p, or of -log(1 - p)). Counts add up.
    """

    rows: Floats
    if_yes: Floats
    if_no: Floats

    def __add__(self, other: "ScoreCounts") -> "ScoreCounts":
        return ScoreCounts(
            rows=self.rows + other.rows, if_yes=self.if_yes + other.if_yes, if_no=self.if_no + other.if_no
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """How often a score came true. Bin b holds scores in [edges[b - 1], edges[b]); `chances` of a 1 never fall with b.

    `spread`: by metric, the variance between windows of estimate - realised value that labels' own chance does not
    explain, as seen in `windows` reference windows of which each was estimated by a table made of the others. `usual`:
    mean loss that was estimated for them. `loss`: the pipeline's metric.
    """

    edges: tuple[float, ...]
    chances: tuple[float, ...]
    usual: float
    spread: Mapping[str, float]
    windows: int
    loss: Loss = "logloss"

    def count(self, scores: npt.ArrayLike) -> ScoreCounts:
        """Count scores, probabilities of 1. Of files or hours of a window: add the counts up."""
        return _count(np.asarray(scores, dtype=np.float64), np.array(self.edges), loss=self.loss)

    def estimate(self, counts: ScoreCounts) -> Estimate | None:
        """What to expect of a window with these scores; None without rows."""
        rows = counts.rows.sum()
        if not rows:
            return None
        chances, decided = np.array(self.chances), _decided(np.array(self.edges))
        values = _values(counts, counts.rows * chances, decided)
        noise = _noise(counts, chances, decided)
        intervals = {
            name: interval(value, noise=noise[name], spread=self.spread.get(name, 0.0), windows=self.windows)
            for name, value in values.items()
        }
        lower, upper = intervals[LOSS]
        return Estimate(
            method=METHOD,
            rows=int(rows),
            loss=values[LOSS],
            lower=max(lower, 0.0),
            upper=upper,
            metrics={name: value for name, value in values.items() if name != LOSS},
            intervals={name: _share(*ends) for name, ends in intervals.items() if name != LOSS},
            usual=self.usual,
        )


def score_table(
    scores: npt.ArrayLike, labels: npt.ArrayLike, windows: npt.ArrayLike, *, loss: Loss = "logloss"
) -> ScoreTable | None:
    """The table of these rows: scores that the model gave to rows it had not seen, labels 0 or 1, numbers of windows.

    `loss`: the metric that is to be estimated. None when fewer than MIN_WINDOWS windows hold rows, or all labels are
    the same.
    """
    p, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    present, window = np.unique(np.asarray(windows), return_inverse=True)
    if len(present) < MIN_WINDOWS or y.min() == y.max():
        return None
    edges = _edges(p)
    own = [window == number for number in range(len(present))]
    parts = [(_count(p[rows], edges, loss=loss), _yes(p[rows], y[rows], edges)) for rows in own]
    rows, yes = np.sum([counts.rows for counts, _ in parts], axis=0), np.sum([found for _, found in parts], axis=0)
    decided = _decided(edges)
    chances = isotonic(yes, rows)
    errors = [_error(counts, found, isotonic(yes - found, rows - counts.rows), decided) for counts, found in parts]
    return ScoreTable(
        edges=tuple(edges.tolist()),
        chances=tuple(chances.tolist()),
        usual=float(np.mean([_values(counts, counts.rows * chances, decided)[LOSS] for counts, _ in parts])),
        spread=spread_of(errors),
        windows=len(present),
        loss=loss,
    )


def isotonic(yes: Floats, rows: Floats) -> Floats:
    """Share of `yes` by bin, made never to fall: the closest such steps, by least squares weighted with `rows`.

    Bins without rows lie between their neighbours. Source: Barlow et al. 1972, as in scipy.
    """
    from scipy.optimize import isotonic_regression  # 0.5 s, and `import andon` must be light

    held = np.flatnonzero(rows)
    if not len(held):
        return np.full(len(rows), 0.5)
    steps = isotonic_regression(yes[held] / rows[held], weights=rows[held]).x
    found: Floats = np.interp(np.arange(len(rows)), held, steps)
    return np.clip(found, 0.0, 1.0)


def _edges(scores: Floats) -> Floats:
    """Inner quantiles, so that bins hold about equally many rows, and the decision's score."""
    inner = np.quantile(scores, np.arange(1, BINS) / BINS, method="inverted_cdf")
    return np.unique([*inner, DECISION])


def _decided(edges: Floats) -> npt.NDArray[np.bool_]:
    """Which bins are a "yes"."""
    return np.arange(len(edges) + 1) > np.searchsorted(edges, DECISION)


def _bins(scores: Floats, edges: Floats) -> Integers:
    found: Integers = np.searchsorted(edges, scores, side="right")
    return found


def _count(scores: Floats, edges: Floats, *, loss: Loss) -> ScoreCounts:
    bins, size = _bins(scores, edges), len(edges) + 1
    losses = [_loss_of(given, loss=loss) for given in (scores, 1 - scores)]
    rows = np.bincount(bins, minlength=size).astype(np.float64)
    if_yes, if_no = (np.bincount(bins, values, minlength=size).astype(np.float64) for values in losses)
    return ScoreCounts(rows=rows, if_yes=if_yes, if_no=if_no)


def _loss_of(given: Floats, *, loss: Loss) -> Floats:
    """Row by row, of the probability given to what happened: as in modelling/metrics.py."""
    return np.square(1 - given) if loss == "brier" else -np.log(np.clip(given, _SMALLEST, 1.0))


def _yes(scores: Floats, labels: Floats, edges: Floats) -> Floats:
    return np.bincount(_bins(scores, edges), labels, minlength=len(edges) + 1).astype(np.float64)


def _values(counts: ScoreCounts, yes: Floats, decided: npt.NDArray[np.bool_]) -> dict[str, float]:
    """All metrics of a window, of which so many rows of each bin are a 1: counted, or expected.

    A pair within a bin counts half for the AUC. Not defined are the AUC of one class, and F1 without any "yes".
    """
    no, rows = counts.rows - yes, counts.rows.sum()
    positives, negatives = yes.sum(), no.sum()
    share = _per_row(yes, counts.rows)
    found = {
        LOSS: (share * counts.if_yes + (1 - share) * counts.if_no).sum() / rows,
        "accuracy": (yes[decided].sum() + no[~decided].sum()) / rows,
        "positive rate": positives / rows,
    }
    if positives > 0 and negatives > 0:
        found["auc"] = (yes * (np.cumsum(no) - no / 2)).sum() / (positives * negatives)
    if positives + counts.rows[decided].sum() > 0:
        found["f1"] = 2 * yes[decided].sum() / (positives + counts.rows[decided].sum())
    return {name: float(value) for name, value in found.items()}


def _noise(counts: ScoreCounts, chances: Floats, decided: npt.NDArray[np.bool_]) -> dict[str, float]:
    """By metric, its variance by the chance of each label: sum of q (1 - q) (what this label moves the metric by)^2."""
    variance = counts.rows * chances * (1 - chances)
    return {
        name: float((variance * np.square(moves)).sum()) for name, moves in _moves(counts, chances, decided).items()
    }


def _moves(counts: ScoreCounts, chances: Floats, decided: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """By metric: what one label more in a bin moves it by (the derivative of `_values`)."""
    yes, rows = counts.rows * chances, counts.rows.sum()
    no = counts.rows - yes
    positives, negatives = yes.sum(), no.sum()
    values = _values(counts, yes, decided)
    found = {
        LOSS: _per_row(counts.if_yes - counts.if_no, counts.rows) / rows,
        "accuracy": np.where(decided, 1.0, -1.0) / rows,
        "positive rate": np.full(len(yes), 1 / rows),
    }
    if "auc" in values:
        below, above = np.cumsum(no) - no / 2, positives - np.cumsum(yes) + yes / 2
        found["auc"] = (below - above - values["auc"] * (negatives - positives)) / (positives * negatives)
    if "f1" in values:
        found["f1"] = (2.0 * decided - values["f1"]) / (positives + counts.rows[decided].sum())
    return found


def _per_row(total: Floats, rows: Floats) -> Floats:
    return np.divide(total, rows, out=np.zeros(len(rows)), where=rows > 0)


def _error(
    counts: ScoreCounts, yes: Floats, chances: Floats, decided: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, float]]:
    """Of a window whose labels are known: by metric, estimate - realised value, and the variance by labels' chance."""
    expected, came = _values(counts, counts.rows * chances, decided), _values(counts, yes, decided)
    noise = _noise(counts, chances, decided)
    return {name: (expected[name] - came[name], noise[name]) for name in expected if name in came}


def _share(lower: float, upper: float) -> tuple[float, float]:
    return max(lower, 0.0), min(upper, 1.0)
