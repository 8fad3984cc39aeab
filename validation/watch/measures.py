"""What is measured of a feature in a window, and in each reference window: a few numbers that drift would move.

Of a number: the mean, log spread, skewness and kurtosis of its normal scores (by bin; centred, so that a shift does
not look like a change of shape). Of a category: its three largest shares, the mix of all levels (mix.py), the share of
new levels. Of both: the share of nulls. Formulas: research on drift, section 3d.

A gauge holds what depends on the reference alone, of all features with enough history, and reads windows by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from validation.watch.mix import MixGauge
from validation.watch.stack import Now, Stack, usable
from validation.watch.surprise import Bools, Floats, Ints, Kind, Measures, Rhythm, Usual, usual

LUMP = 0.5  # a number with more than this mass on one bin has no shape: skewness and kurtosis are not judged
SMALL_SPREAD = 0.1  # added to variances of normal scores (1 in the reference), so that rare events are no "spread"
TOP = 3
MOMENTS: tuple[tuple[Kind, float], ...] = (("shift", 1.0), ("spread", 0.5), ("skewness", 6.0), ("kurtosis", 24.0))


class Gauge(Protocol):
    """Reads one or more kinds of measures in a window, of those features that have rows in it."""

    def read(self, now: Now) -> Iterator[Measures]:
        """The measures of a window."""


def gauges(stack: Stack, *, matched: Bools, min_windows: int, rhythm: Rhythm | None = None) -> Iterator[Gauge]:
    """For the features with at least `min_windows` windows; `matched` (windows,): those to compare with if enough.

    NOTE: the `rhythm` is not taken off the mix of levels, whose numbers are distances from all windows together.
    """
    compared = usable(stack.rows, matched=matched, min_windows=min_windows)
    rows = np.flatnonzero(compared.any(axis=1))
    if len(rows):
        yield _share(
            "nulls", stack, rows, stack.nulls[rows], np.where(compared, stack.rows, np.nan)[rows], rhythm=rhythm
        )
    compared = usable(stack.present, matched=matched, min_windows=min_windows)
    rows = np.flatnonzero(compared.any(axis=1))
    if not len(rows):
        return
    if stack.features[0].kind == "number":
        yield _numbers(stack, rows, compared[rows], rhythm)
    else:
        yield from _categories(stack, rows, compared[rows], rhythm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberGauge:
    """`rows` (K,): places in the stack. `scores` (K, bins). `usuals`: of each moment, and for which of the K it is."""

    rows: Ints
    scores: Floats
    usuals: tuple[tuple[Usual, Bools], ...]

    def read(self, now: Now) -> Iterator[Measures]:
        """Shift, spread and shape."""
        present = now.present[self.rows]
        current = _moments(now.bins[self.rows][:, None, :], self.scores)[:, 0]
        for index, ((_, noise), (known, chosen)) in enumerate(zip(MOMENTS, self.usuals, strict=True)):
            has = chosen & (present > 0)
            if has.any():
                mine = known.only(has[chosen])
                value = current[has, index]
                yield Measures(
                    usual=mine,
                    now=value,
                    noise=noise / present[has],
                    effect=value - mine.mean,
                    least_p=np.zeros(len(value)),
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareGauge:
    """`rows` (K,): places in the stack. `expected` (K,): the share if nothing has changed. `level`: of "share"."""

    rows: Ints
    usual: Usual
    expected: Floats
    level: int = 0

    def read(self, now: Now) -> Iterator[Measures]:
        """A share of the rows. An increase is also judged by the binomial's tail, P(X >= k) = I_p(k, n - k + 1), since
        few hits are far from normal.
        """
        from scipy.special import betainc

        total = (now.rows if self.usual.kind == "nulls" else now.present)[self.rows]
        has = total > 0
        if not has.any():
            return
        known, expected, total = self.usual.only(has), self.expected[has], total[has]
        hits = self._hits(now)[self.rows][has]
        share = hits / total
        tail = betainc(np.maximum(hits, 1), np.maximum(total - hits, 0) + 1, expected)
        yield Measures(
            usual=known,
            now=share,
            noise=expected * (1 - expected) / total,
            effect=share - known.mean,
            least_p=np.where((share > expected) & (hits > 0), tail, 0.0),
        )

    def _hits(self, now: Now) -> Floats:
        if self.usual.kind == "nulls":
            return now.nulls
        return now.novel if self.usual.kind == "unseen" else now.bins[:, self.level]


def normal_scores(shares: Floats) -> Floats:
    """Mean normal score of each bin, E[Phi^-1(U) | bin], for bins of these reference shares (sum 1), in order, (F, B).

    An outermost bin that the reference never filled scores like its neighbour, but at least 1 from 0: values beyond
    the reference's largest are expected now and then, and a constant column must be able to move.
    """
    from scipy.special import ndtri

    total = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(shares, axis=1)], axis=1)
    density = np.exp(-0.5 * ndtri(np.clip(total, 0, 1)) ** 2) / np.sqrt(2 * np.pi)
    scores: Floats = np.divide(density[:, :-1] - density[:, 1:], shares, out=np.zeros_like(shares), where=shares > 0)
    filled, places, row = shares > 0, np.arange(shares.shape[1]), np.arange(len(shares))
    first, last = filled.argmax(axis=1), shares.shape[1] - 1 - filled[:, ::-1].argmax(axis=1)
    lowest = np.minimum(scores[row, first], -1.0)[:, None]
    highest = np.maximum(scores[row, last], 1.0)[:, None]
    return np.where(places < first[:, None], lowest, np.where(places > last[:, None], highest, scores))


def _numbers(stack: Stack, rows: Ints, compared: Bools, rhythm: Rhythm | None) -> NumberGauge:
    counts = stack.bins[rows] * compared[:, :, None]
    whole = counts.sum(axis=1)
    shares = whole / whole.sum(axis=1, keepdims=True)
    scores = normal_scores(shares)
    then = np.where(compared[:, :, None], _moments(counts, scores), np.nan)
    inverse_rows = np.nanmean(1 / np.where(compared, stack.present[rows], np.nan), axis=1)
    every, shaped = np.ones(len(rows), dtype=np.bool_), shares.max(axis=1) <= LUMP
    usuals = []
    for index, ((kind, noise), chosen) in enumerate(zip(MOMENTS, (every, every, shaped, shaped), strict=True)):
        mine, sampling = then[chosen, :, index], noise * inverse_rows[chosen]
        usuals.append((usual(kind, stack.owners[rows][chosen], mine, noise=sampling, rhythm=rhythm), chosen))
    return NumberGauge(rows=rows, scores=scores, usuals=tuple(usuals))


def _moments(counts: Floats, scores: Floats) -> Floats:
    """(F, windows, 4): mean, log sd, skewness and kurtosis of the normal scores; windows without rows are 0."""
    rows = counts.sum(axis=2, keepdims=True)
    powers = np.stack([scores**power for power in (1, 2, 3, 4)], axis=2)
    raw = np.divide(counts @ powers, rows, out=np.zeros((*counts.shape[:2], 4)), where=rows > 0)
    mean, square, cube, fourth = (raw[:, :, power] for power in range(4))
    spread = np.maximum(square - mean**2, 0) + SMALL_SPREAD
    third = cube - 3 * mean * square + 2 * mean**3
    fourth = fourth - 4 * mean * cube + 6 * mean**2 * square - 3 * mean**4
    return np.stack([mean, 0.5 * np.log(spread), third / spread**1.5, fourth / spread**2], axis=2)


def _categories(stack: Stack, rows: Ints, compared: Bools, rhythm: Rhythm | None) -> Iterator[Gauge]:
    total = np.where(compared, stack.present[rows], np.nan)
    levels = np.array([len(stack.features[row].levels) for row in rows])
    for level in range(min(TOP, stack.bins.shape[2])):  # the last level's share follows from the others
        has = level < np.maximum(1, levels - 1)
        if has.any():
            yield _share(
                "share", stack, rows[has], stack.bins[rows[has], :, level], total[has], level=level, rhythm=rhythm
            )
    yield MixGauge(
        rows=rows, owners=stack.owners[rows], counts=stack.bins[rows] * compared[:, :, None], compared=compared
    )
    has = np.array([stack.features[row].known is not None for row in rows])
    if has.any():
        singletons = np.array([stack.features[row].singletons for row in rows[has]], dtype=np.float64)
        rate = (singletons + 3) / stack.present[rows[has]].sum(axis=1)
        yield _share("unseen", stack, rows[has], stack.novel[rows[has]], total[has], rate=rate)


def _share(  # what to count, of what, and what is known of it
    kind: Kind,
    stack: Stack,
    rows: Ints,
    hits: Floats,
    total: Floats,
    *,
    rate: Floats | None = None,
    level: int = 0,
    rhythm: Rhythm | None = None,
) -> ShareGauge:
    """`hits` of `total` (K, windows), which is nan where not compared with. `rate`: the share to expect if nothing has
    changed. For new levels it is (singletons + 3) / rows, after Good and Turing; otherwise (hits + 3) / (rows + 3):
    what was never seen may still be 3 / rows (the rule of three).
    """
    seen = np.where(np.isnan(total), 0, hits).sum(axis=1)
    expected = np.minimum((seen + 3) / (np.nansum(total, axis=1) + 3) if rate is None else rate, 1.0)
    noise = expected * (1 - expected) * np.nanmean(1 / total, axis=1)
    known = usual(kind, stack.owners[rows], hits / total, noise=noise, part=level, rhythm=rhythm)
    return ShareGauge(rows=rows, usual=known, expected=expected, level=level)
