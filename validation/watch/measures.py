"""What is measured of a feature in a window, and in each reference window: a few numbers that drift would move.

Of a number: the mean, log spread, skewness and kurtosis of its normal scores (by bin; centred, so that a shift does
not look like a change of shape). Of a category: its three largest shares, the mix of all levels, the share of new
levels. Of both: the share of nulls. Formulas: research on drift, section 3d.
"""

from collections.abc import Iterator

import numpy as np

from validation.watch.stack import Bools, Stack, usable
from validation.watch.surprise import Floats, Ints, Kind, Measures

LUMP = 0.5  # a number with more than this mass on one bin has no shape: skewness and kurtosis are not judged
SMALL_SPREAD = 0.1  # added to variances of normal scores (1 in the reference), so that rare events are no "spread"
TOP = 3
MOMENTS: tuple[tuple[Kind, float], ...] = (("shift", 1.0), ("spread", 0.5), ("skewness", 6.0), ("kurtosis", 24.0))


def measured(stack: Stack, *, matched: Bools, min_windows: int) -> Iterator[Measures]:
    """All measures of the features of a stack for which at least `min_windows` windows can be compared with.

    `matched` (windows,): those to compare with where they are enough.
    """
    rows = stack.present + stack.nulls
    compared = usable(rows, matched=matched, min_windows=min_windows)
    found = compared.any(axis=1) & (stack.bins_now.sum(axis=1) + stack.nulls_now > 0)
    if found.any():
        yield _nulls(stack, found, rows, compared)
    compared = usable(stack.present, matched=matched, min_windows=min_windows)
    found = compared.any(axis=1) & (stack.bins_now.sum(axis=1) > 0)
    if not found.any():
        return
    if stack.features[0].kind == "number":
        yield from _of_numbers(stack, found, compared)
    else:
        yield from _of_categories(stack, found, compared)


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


def _of_numbers(stack: Stack, found: Bools, compared: Bools) -> Iterator[Measures]:
    compared, now = compared[found], stack.bins_now[found]
    counts = stack.bins[found] * compared[:, :, None]
    present = counts.sum(axis=2)
    whole = counts.sum(axis=1)
    shares = whole / whole.sum(axis=1, keepdims=True)
    scores = normal_scores(shares)
    then, current = _moments(counts, scores), _moments(now[:, None, :], scores)[:, 0]
    inverse_rows = _mean(np.divide(1.0, present, out=np.zeros_like(present), where=compared), compared)
    shaped = shares.max(axis=1) <= LUMP
    for index, (kind, noise) in enumerate(MOMENTS):
        rows = np.ones(len(shares), dtype=np.bool_) if index < 2 else shaped
        if rows.any():
            values = np.where(compared, then[:, :, index], np.nan)[rows]
            yield Measures(
                kind=kind,
                owners=stack.owners[found][rows],
                then=values,
                now=current[rows, index],
                noise_then=noise * inverse_rows[rows],
                noise_now=noise / now.sum(axis=1)[rows],
                effect=current[rows, index] - np.nanmean(values, axis=1),
                least_p=np.zeros(len(values)),
                parts=np.zeros(len(values), dtype=np.int64),
            )


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


def _nulls(stack: Stack, found: Bools, rows: Floats, compared: Bools) -> Measures:
    return _share(
        "nulls",
        stack.owners[found],
        stack.nulls[found],
        np.where(compared, rows, np.nan)[found],
        now=stack.nulls_now[found],
        rows_now=(stack.bins_now.sum(axis=1) + stack.nulls_now)[found],
    )


def _of_categories(stack: Stack, found: Bools, compared: Bools) -> Iterator[Measures]:
    owners, now = stack.owners[found], stack.bins_now[found]
    rows, rows_now = np.where(compared, stack.present, np.nan)[found], now.sum(axis=1)
    levels = np.array([len(feature.levels) for feature in stack.features])[found]
    for level in range(TOP):  # the last level's share follows from the others
        has = level < np.maximum(1, levels - 1)
        if level < now.shape[1] and has.any():
            hits = stack.bins[found][has, :, level]
            part = _share(
                "share", owners[has], hits, rows[has], now=now[has, level], rows_now=rows_now[has], part=level
            )
            yield part
    yield from _mix(owners, stack.bins[found] * compared[found][:, :, None], now, compared[found])
    judged = np.array([feature.known is not None for feature in stack.features])[found]
    if judged.any():
        singletons = np.array([feature.singletons for feature in stack.features], dtype=np.float64)[found]
        yield _share(
            "unseen",
            owners[judged],
            stack.novel[found][judged],
            rows[judged],
            now=stack.novel_now[found][judged],
            rows_now=rows_now[judged],
            rate=((singletons + 3) / stack.present[found].sum(axis=1))[judged],
        )


def _share(
    kind: Kind,
    owners: Ints,
    hits: Floats,
    rows: Floats,
    *,
    now: Floats,
    rows_now: Floats,
    rate: Floats | None = None,
    part: int = 0,
) -> Measures:
    """Shares of rows. An increase is also judged by the binomial's tail, since few hits are far from normal:
    P(X >= k) = I_p(k, n - k + 1).

    `rows` (F, windows) is nan for windows that are not compared with. `rate`: the share to expect when nothing has
    changed. For new levels it is (singletons + 3) / rows, after Good and Turing; otherwise (hits + 3) / (rows + 3):
    what was never seen may still be 3 / rows (the rule of three).
    """
    from scipy.special import betainc

    compared = ~np.isnan(rows)
    seen = np.where(compared, hits, 0).sum(axis=1)
    expected = np.minimum((seen + 3) / (np.nansum(rows, axis=1) + 3) if rate is None else rate, 1.0)
    then, current = hits / rows, now / rows_now
    grown = (current > expected) & (now > 0)
    return Measures(
        kind=kind,
        owners=owners,
        then=then,
        now=current,
        noise_then=expected * (1 - expected) * np.nanmean(1 / rows, axis=1),
        noise_now=expected * (1 - expected) / rows_now,
        effect=current - np.nanmean(then, axis=1),
        least_p=np.where(grown, betainc(np.maximum(now, 1), np.maximum(rows_now - now, 0) + 1, expected), 0.0),
        parts=np.full(len(owners), part, dtype=np.int64),
    )


def _mix(owners: Ints, counts: Floats, current: Floats, compared: Bools) -> Iterator[Measures]:
    """Pearson's chi-square against all (for a reference window: all other) windows, as cube root (Wilson, Hilferty).

    Levels of which less than one row is expected now are one level. The reference's excess over its degrees of
    freedom is scaled to the current number of rows, as it grows with it.
    """
    rows = current.sum(axis=1)
    whole = counts.sum(axis=1)
    rare = whole / whole.sum(axis=1, keepdims=True) * rows[:, None] < 1
    rare[:, -1] = True  # "other" takes them in
    counts, current = _lumped(counts, rare), _lumped(current[:, None, :], rare)[:, 0]
    total = counts.sum(axis=1)
    freedom = (total > 0).sum(axis=1) - 1
    kept = np.column_stack([~rare, np.ones(len(rare), dtype=np.bool_)])
    sizes = np.where(compared, counts.sum(axis=2), np.nan)
    alone = _chi_square(counts, (total[:, None, :] - counts + 0.5) * kept[:, None, :])
    degrees = np.maximum(freedom, 1)[:, None]
    then = np.clip(degrees + (alone - degrees) * rows[:, None] / sizes, 0, None)
    shares, now = total / total.sum(axis=1, keepdims=True), current / rows[:, None]
    by_chance = 0.5 * np.sqrt(2 * shares * (1 - shares) / (np.pi * rows[:, None])).sum(axis=1)
    against = _chi_square(current[:, None, :], ((total + 0.5) * kept)[:, None, :])[:, 0]
    varied = freedom >= 1
    noise = (2 / (9 * degrees[:, 0]))[varied]
    if varied.any():
        yield Measures(
            kind="mix",
            owners=owners[varied],
            then=np.cbrt(then / degrees)[varied],
            now=np.cbrt(against / degrees[:, 0])[varied],
            noise_then=noise,
            noise_now=noise,
            effect=np.maximum(0.0, 0.5 * np.abs(now - shares).sum(axis=1) - by_chance)[varied],
            least_p=np.zeros(len(noise)),
            parts=np.zeros(len(noise), dtype=np.int64),
        )


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


def _mean(values: Floats, of: Bools) -> Floats:
    """(F,): mean over the windows that count."""
    found: Floats = (values * of).sum(axis=1) / of.sum(axis=1)
    return found
