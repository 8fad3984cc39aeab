"""What is measured of a feature in a window, and in each reference window: a few numbers that drift would move.

Of a number: the mean, log spread, skewness and kurtosis of its normal scores (by bin; centred, so that a shift does
not look like a change of shape). Of a category: its three largest shares, the mix of all levels, the share of new
levels. Of both: the share of nulls. Formulas: research on drift, section 3d.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from validation.watch.profile import Counts, FeatureProfile
from validation.watch.surprise import Floats, Kind, Measure

LUMP = 0.5  # a number with more than this mass on one bin has no shape: skewness and kurtosis are not judged
SMALL_SPREAD = 0.1  # added to variances of normal scores (1 in the reference), so that rare events are no "spread"
TOP = 3


def measures(feature: FeatureProfile, now: Counts, *, min_windows: int) -> list[Measure]:
    """All measures of a feature for which the reference has at least `min_windows` windows that are not empty."""
    filled = [window for window in feature.windows if window.rows]
    present = [window for window in filled if window.present]
    found = [_nulls(filled, now)] if len(filled) >= min_windows and now.rows else []
    if len(present) >= min_windows and now.present:
        found += _of_number(present, now) if feature.kind == "number" else _of_category(feature, present, now)
    return found


def normal_scores(shares: Floats) -> Floats:
    """Mean normal score of each bin, E[Phi^-1(U) | bin], for bins of these reference shares (sum 1), in order.

    An outermost bin that the reference never filled scores like its neighbour, but at least 1 from 0: values beyond
    the reference's largest are expected now and then, and a constant column must be able to move.
    """
    from scipy.special import ndtri

    total = np.concatenate([[0.0], np.cumsum(shares)])
    density = np.exp(-0.5 * ndtri(np.clip(total, 0, 1)) ** 2) / np.sqrt(2 * np.pi)
    scores: Floats = np.divide(density[:-1] - density[1:], shares, out=np.zeros_like(shares), where=shares > 0)
    filled = np.flatnonzero(shares)
    scores[: filled[0]] = min(scores[filled[0]], -1.0)
    scores[filled[-1] + 1 :] = max(scores[filled[-1]], 1.0)
    return scores


def _of_number(windows: Sequence[Counts], now: Counts) -> Iterator[Measure]:
    counts = np.array([window.bins for window in windows], dtype=np.float64)
    shares = counts.sum(axis=0) / counts.sum()
    scores = normal_scores(shares)
    then, current = _moments(counts, scores), _moments(np.array([now.bins], dtype=np.float64), scores)[0]
    inverse_rows = float((1 / counts.sum(axis=1)).mean())
    kinds: tuple[Kind, ...] = ("shift", "spread", "skewness", "kurtosis")
    for index, (kind, noise) in enumerate(zip(kinds, (1.0, 0.5, 6.0, 24.0), strict=True)):
        if index < 2 or shares.max() <= LUMP:
            yield Measure(
                kind=kind,
                then=then[:, index],
                now=float(current[index]),
                noise_then=noise * inverse_rows,
                noise_now=noise / now.present,
                effect=float(current[index] - then[:, index].mean()),
            )


def _moments(counts: Floats, scores: Floats) -> Floats:
    """Per window: mean, log sd, skewness and kurtosis of the normal scores."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ scores
    away = scores - mean[:, None]
    second, third, fourth = ((shares * away**power).sum(axis=1) for power in (2, 3, 4))
    spread = second + SMALL_SPREAD
    return np.stack([mean, 0.5 * np.log(spread), third / spread**1.5, fourth / spread**2], axis=1)


def _nulls(windows: Sequence[Counts], now: Counts) -> Measure:
    rows = np.array([window.rows for window in windows], dtype=np.float64)
    nulls = np.array([window.nulls for window in windows], dtype=np.float64)
    return _share("nulls", nulls, rows, now=now.nulls, rows_now=now.rows)


def _of_category(feature: FeatureProfile, windows: Sequence[Counts], now: Counts) -> Iterator[Measure]:
    counts = np.array([window.bins for window in windows], dtype=np.float64)
    current = np.array(now.bins, dtype=np.float64)
    rows = counts.sum(axis=1)
    for level in range(min(TOP, max(1, len(feature.levels) - 1))):  # the last share follows from the others
        yield _share("share", counts[:, level], rows, now=int(current[level]), rows_now=int(current.sum()))
    mix = _mix(counts, current)
    if mix is not None:
        yield mix
    if feature.known is not None:
        novel = np.array([window.novel for window in windows], dtype=np.float64)
        yield _share(
            "unseen",
            novel,
            rows,
            now=now.novel,
            rows_now=int(current.sum()),
            rate=(feature.singletons + 3) / rows.sum(),
        )


def _share(kind: Kind, hits: Floats, rows: Floats, *, now: int, rows_now: int, rate: float | None = None) -> Measure:
    """A share of rows. An increase is also judged by the binomial's tail, since few hits are far from normal.

    `rate`: the share to expect when nothing has changed. For new levels it is (singletons + 3) / rows, after Good and
    Turing; otherwise (hits + 3) / (rows + 3): what was never seen may still be 3 / rows (the rule of three).
    """
    from scipy.special import bdtrc

    expected = min((hits.sum() + 3) / (rows.sum() + 3) if rate is None else rate, 1.0)
    then = hits / rows
    return Measure(
        kind=kind,
        then=then,
        now=now / rows_now,
        noise_then=expected * (1 - expected) * float((1 / rows).mean()),
        noise_now=expected * (1 - expected) / rows_now,
        effect=now / rows_now - float(then.mean()),
        least_p=float(bdtrc(now - 1, rows_now, expected)) if now / rows_now > expected and now else 0.0,
        one_sided=kind == "unseen",
    )


def _mix(counts: Floats, current: Floats) -> Measure | None:
    """Pearson's chi-square against all (for a reference window: all other) windows, as cube root (Wilson, Hilferty).

    Levels of which less than one row is expected now are one level. The reference's excess over its degrees of
    freedom is scaled to the current number of rows, as it grows with it.
    """
    rows = current.sum()
    rare = counts.sum(axis=0) / counts.sum() * rows < 1
    rare[-1] = True  # "other" takes them in
    merged = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    now = np.append(current[~rare], current[rare].sum())
    total, freedom = merged.sum(axis=0), np.count_nonzero(merged.sum(axis=0)) - 1
    if freedom < 1:
        return None
    sizes = merged.sum(axis=1)
    alone = np.array([_chi_square(row, total - row) for row in merged])
    then = np.clip(freedom + (alone - freedom) * rows / sizes, 0, None)
    shares, now_shares = total / total.sum(), now / rows
    by_chance = 0.5 * np.sqrt(2 * shares * (1 - shares) / (np.pi * rows)).sum()
    return Measure(
        kind="mix",
        then=np.cbrt(then / freedom),
        now=float(np.cbrt(_chi_square(now, total) / freedom)),
        noise_then=2 / (9 * freedom),
        noise_now=2 / (9 * freedom),
        effect=max(0.0, float(0.5 * np.abs(now_shares - shares).sum() - by_chance)),
        one_sided=True,
    )


def _chi_square(counts: Floats, reference: Floats) -> float:
    smoothed = reference + 0.5
    expected = counts.sum() * smoothed / smoothed.sum()
    return float(((counts - expected) ** 2 / expected).sum())
