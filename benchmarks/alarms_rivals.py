"""The peers' rules on the same counts: how far each column is, as a multiple of the peer's default threshold.

- Evidently 0.7: Wasserstein distance over the reference's sd (numbers), Jensen-Shannon distance to base e
  (categories), each from 0.1; its dataset rule: half of the columns. Rows without a value are left out.
- NannyML 0.13: Jensen-Shannon distance to base 2 on Doane's bins or all levels, outside mean +- 3 sd of the reference's
  chunks. "NannyML, 10": ten chunks, its default number, each as long as a window, the newest of the reference;
  "NannyML, all": each window of the reference is a chunk.
- Kolmogorov-Smirnov and chi-square against all reference rows, Bonferroni at 5 %; population stability index from 0.1
  (ten quantile bins, or all levels, of at least 0.0001).
"""

from collections.abc import Mapping

import numpy as np

from benchmarks.alarms_world import CENTRES, COLUMNS, EDGES, NUMBERS, PREDICTION, Column, Floats, Ints

RULES = ("Evidently", "NannyML, 10", "NannyML, all", "KS, chi2", "PSI")
DATASET = "Evidently, dataset"
DATASET_SHARE = 0.5
EVIDENTLY, SIGMAS, BONFERRONI, PSI, LEAST = 0.1, 3.0, 0.05, 0.1, 1e-4
CHUNKS = 10  # NannyML's default
_WIDTH = EDGES[1] - EDGES[0]
_FAR = 1e-280


def ratios(index: int, reference: Ints, current: Column) -> Mapping[str, Floats]:
    """Rule -> (windows,): the column's statistic over the rule's default threshold; above 1 it is flagged.

    `reference`: (windows, cells) of the same column.
    """
    number, now, whole = _is_number(index), current.cells, reference.sum(axis=0)
    far = _wasserstein(whole, now) if number else _jensen_shannon(whole, now, base=np.e)
    return {
        "Evidently": far / EVIDENTLY,
        "NannyML, 10": nannyml(reference[-CHUNKS:], now, number=number) / SIGMAS,
        "NannyML, all": nannyml(reference, now, number=number) / SIGMAS,
        "KS, chi2": (_kolmogorov(whole, now) if number else _chi_square(whole, now)) / -np.log10(BONFERRONI / COLUMNS),
        "PSI": _psi(_deciles(whole, whole, now) if number else (whole, now)) / PSI,
    }


def nannyml(reference: Ints, now: Ints, *, number: bool) -> Floats:
    """Distance from the mean of the reference's chunks in their sd; below the mean only where 3 sd leave room to 0."""
    whole = reference.sum(axis=0)
    if number:
        bins = _doane(whole)
        reference, now = _grouped(reference, bins), _grouped(now, bins)
        whole = reference.sum(axis=0)
    usual = _jensen_shannon(whole, reference, base=2)
    away = (_jensen_shannon(whole, now, base=2) - usual.mean()) / usual.std()
    return np.abs(away) if usual.mean() > SIGMAS * usual.std() else away


def _is_number(index: int) -> bool:
    return index < NUMBERS or index == PREDICTION


def _shares(counts: Ints) -> Floats:
    shares: Floats = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _jensen_shannon(whole: Ints, now: Ints, *, base: float) -> Floats:
    """The distance (root of the divergence), 0 when equal, at most sqrt(log 2 / log base)."""
    from scipy.special import rel_entr

    reference, current = _shares(whole), _shares(now)
    middle = (reference + current) / 2
    divergence = (rel_entr(reference, middle) + rel_entr(current, middle)).sum(axis=-1) / 2
    distance: Floats = np.sqrt(np.maximum(divergence, 0) / np.log(base))
    return distance


def _wasserstein(whole: Ints, now: Ints) -> Floats:
    """In sd of the reference."""
    reference = _shares(whole)
    mean = reference @ CENTRES
    sd = np.sqrt(reference @ (CENTRES - mean) ** 2)
    apart: Floats = np.abs(np.cumsum(_shares(now) - reference, axis=-1)[:, :-1]).sum(axis=-1) * _WIDTH / sd
    return apart


def _kolmogorov(whole: Ints, now: Ints) -> Floats:
    """-log10 of the asymptotic p-value."""
    from scipy.stats import kstwobign

    apart = np.abs(np.cumsum(_shares(now) - _shares(whole), axis=-1)).max(axis=-1)
    statistic = apart * np.sqrt(1 / (1 / whole.sum() + 1 / now.sum(axis=-1)))
    p = kstwobign.sf(statistic)
    far: Floats = np.where(p > _FAR, -np.log10(np.maximum(p, _FAR)), (2 * statistic**2 - np.log(2)) / np.log(10))
    return far


def _chi_square(whole: Ints, now: Ints) -> Floats:
    """-log10 of the p-value; beyond what floats hold, by Wilson and Hilferty's normal."""
    from scipy.special import log_ndtr
    from scipy.stats import chi2

    both = whole + now
    share = (now.sum(axis=-1) / both.sum(axis=-1))[:, None]
    expected, rest = both * share, both * (1 - share)
    filled = both > 0
    apart = np.divide((now - expected) ** 2, expected, out=np.zeros(both.shape), where=filled)
    apart += np.divide((whole - rest) ** 2, rest, out=np.zeros(both.shape), where=filled)
    statistic, freedom = apart.sum(axis=-1), filled.sum(axis=-1) - 1
    p = chi2.sf(statistic, freedom)
    spread = 2 / (9 * freedom)
    normal = (np.cbrt(statistic / freedom) - (1 - spread)) / np.sqrt(spread)
    far: Floats = np.where(p > _FAR, -np.log10(np.maximum(p, _FAR)), -log_ndtr(-normal) / np.log(10))
    return far


def _psi(counts: tuple[Ints, Ints]) -> Floats:
    reference, current = (np.maximum(_shares(part), LEAST) for part in counts)
    index: Floats = ((current - reference) * np.log(current / reference)).sum(axis=-1)
    return index


def _deciles(whole: Ints, *parts: Ints) -> tuple[Ints, Ints]:
    shares = _shares(whole)
    bins = np.clip(((np.cumsum(shares) - shares / 2) * 10).astype(int), 0, 9)
    first, second = (_grouped(part, bins) for part in parts)
    return first, second


def _doane(whole: Ints) -> Ints:
    """Bin of each cell: equal widths between least and largest value, as many as Doane (1976) says; numpy's "doane"."""
    shares, filled = _shares(whole), np.flatnonzero(whole)
    mean = shares @ CENTRES
    sd = np.sqrt(shares @ (CENTRES - mean) ** 2)
    skewness = abs(shares @ ((CENTRES - mean) / sd) ** 3)
    rows = float(whole.sum())
    noise = np.sqrt(6 * (rows - 2) / ((rows + 1) * (rows + 3)))
    count = int(np.ceil(1 + np.log2(rows) + np.log2(1 + skewness / noise)))
    first, last = filled[0], filled[-1] + 1
    bins = ((np.arange(len(whole)) + 0.5 - first) / (last - first) * count).astype(int)
    return np.where(np.arange(len(whole)) < first, count, np.minimum(bins, count))  # all that lies outside: one more


def _grouped(counts: Ints, bins: Ints) -> Ints:
    size = int(bins.max()) + 1
    chosen = np.zeros((len(bins), size))
    chosen[np.arange(len(bins)), bins] = 1
    grouped: Ints = np.rint(counts @ chosen).astype(np.int64)
    return grouped
