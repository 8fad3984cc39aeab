"""The mix of a category's levels, all in one number: Pearson's chi-square against the reference, as its cube root."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from validation.watch.stack import Now
from validation.watch.surprise import Bools, Floats, Ints, Measures, usual


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixGauge:
    """`rows` (K,): places in the stack, of the features `owners`. `counts` (K, windows, levels + other), 0 in windows
    that are not `compared` with.
    """

    rows: Ints
    owners: Ints
    counts: Floats
    compared: Bools

    def read(self, now: Now) -> Iterator[Measures]:
        """Chi-square against all (for a reference window: all other) windows, as cube root (Wilson and Hilferty 1931).

        Levels of which less than one row is expected now are one level. The reference's excess over its degrees of
        freedom is scaled to the current number of rows, as it grows with it.
        """
        has = now.present[self.rows] > 0
        counts, current, rows = self.counts[has], now.bins[self.rows][has], now.present[self.rows][has]
        whole = counts.sum(axis=1)
        rare = whole / whole.sum(axis=1, keepdims=True) * rows[:, None] < 1
        rare[:, -1] = True  # "other" takes them in
        counts, current = _lumped(counts, rare), _lumped(current[:, None, :], rare)[:, 0]
        varied = (counts.sum(axis=1) > 0).sum(axis=1) > 1
        if varied.any():
            kept = np.column_stack([~rare, np.ones(len(rare), dtype=np.bool_)])[varied]
            compared = self.compared[has][varied]
            yield _measured(self.owners[has][varied], counts[varied], current[varied], kept, compared)


def _measured(owners: Ints, counts: Floats, current: Floats, kept: Bools, compared: Bools) -> Measures:
    rows, total = current.sum(axis=1), counts.sum(axis=1)
    freedom = ((total > 0).sum(axis=1) - 1).astype(np.float64)
    sizes = np.where(compared, counts.sum(axis=2), np.nan)
    alone = _chi_square(counts, (total[:, None, :] - counts + 0.5) * kept[:, None, :])
    then = np.clip(freedom[:, None] + (alone - freedom[:, None]) * rows[:, None] / sizes, 0, None)
    against = _chi_square(current[:, None, :], ((total + 0.5) * kept)[:, None, :])[:, 0]
    noise = 2 / (9 * freedom)
    return Measures(
        usual=usual("mix", owners, np.cbrt(then / freedom[:, None]), noise=noise),
        now=np.cbrt(against / freedom),
        noise=noise,
        effect=_moved(current / rows[:, None], total / total.sum(axis=1, keepdims=True), rows),
        least_p=np.zeros(len(owners)),
    )


def _moved(now: Floats, then: Floats, rows: Floats) -> Floats:
    """(K,): share of rows in other levels than before, less what sampling alone moves."""
    by_chance = 0.5 * np.sqrt(2 * then * (1 - then) / (np.pi * rows[:, None])).sum(axis=1)
    moved: Floats = np.maximum(0.0, 0.5 * np.abs(now - then).sum(axis=1) - by_chance)
    return moved


def _lumped(counts: Floats, rare: Bools) -> Floats:
    """(F, windows, levels + 1): the rare levels' rows are together in the last."""
    rest = (counts * rare[:, None, :]).sum(axis=2, keepdims=True)
    return np.concatenate([counts * ~rare[:, None, :], rest], axis=2)


def _chi_square(counts: Floats, smoothed: Floats) -> Floats:
    """(F, windows), each row of `counts` against shares in proportion to `smoothed`; levels of 0 do not count."""
    expected = counts.sum(axis=2, keepdims=True) * smoothed / smoothed.sum(axis=2, keepdims=True)
    parts = np.divide((counts - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0)
    found: Floats = parts.sum(axis=2)
    return found
