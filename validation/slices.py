"""Does anybody lose? The paired gain in each slice of the rows; only a proven regression counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.intervals import Floats, Interval, p_not_below, paired_interval, plain, upper_at

MIN_SLICE_BLOCKS = 5  # with fewer, one odd day looks like proof


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceGain:
    """A slice's gain (champion's loss - challenger's, mean per row); `worse`: even its upper bound is below 0.

    `upper` is None when the slice has too few blocks to be judged.
    """

    column: str
    value: str
    rows: int
    gain: float
    upper: float | None
    worse: bool

    def __str__(self) -> str:
        verb = "becomes provably worse" if self.worse else "is not provably worse"
        bound = "unknown" if self.upper is None else f"{self.upper:+.5f}"
        return f"{self.column} = {self.value} {verb}: gain {self.gain:+.5f} on {self.rows:,} rows, upper bound {bound}"


def judge_slices(
    gain: Floats,
    blocks: npt.NDArray[Any],
    slices: Mapping[str, Sequence[Any]],
    *,
    alpha: float,
    min_rows: int,
    min_blocks: int = MIN_SLICE_BLOCKS,
) -> tuple[SliceGain, ...]:
    """All slices of at least `min_rows` rows, worst first; those with fewer than `min_blocks` blocks are only told.

    `alpha` is the chance of blocking a challenger that makes no slice worse, however the slices depend on each other:
    the smallest of m p-values is held against alpha / m, the next against alpha / (m - 1), and so on until one is not
    small enough (Holm 1979). A slice's upper bound is at the level that it was held against.
    """
    found = [
        (column, value, paired_interval(gain[rows], blocks[rows], alpha=alpha))
        for column, value, rows in _members(slices)
        if len(rows) >= min_rows
    ]
    judged = [index for index, (*_, part) in enumerate(found) if part.blocks >= min_blocks]
    levels = _holm([found[index][2] for index in judged], alpha=alpha)
    level_of = dict(zip(judged, levels, strict=True))
    told = []
    for index, (column, value, part) in enumerate(found):
        upper = upper_at(part, level_of[index]) if index in level_of else None
        told.append(
            SliceGain(
                column=column,
                value=value,
                rows=part.rows,
                gain=part.mean,
                upper=None if upper is None else plain(upper),
                worse=upper is not None and upper < 0,
            )
        )
    return tuple(sorted(told, key=lambda item: (not item.worse, item.gain)))


def _holm(parts: Sequence[Interval], *, alpha: float) -> list[float]:
    """The level of each interval: alpha / m for the smallest p-value; no further steps after the first that fails."""
    chances = [p_not_below(part) for part in parts]
    levels, left, failed = [0.0] * len(parts), len(parts), False
    for index in sorted(range(len(parts)), key=chances.__getitem__):
        levels[index] = alpha / left
        failed = failed or not chances[index] < levels[index]
        left -= not failed
    return levels


def _members(slices: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, str, npt.NDArray[np.intp]]]:
    """Column, value and the numbers of its rows."""
    for column, values in slices.items():
        seen: dict[Any, int] = {}
        codes = np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.intp)
        texts = np.array([str(value) for value in seen])
        names, merged = np.unique(texts, return_inverse=True)
        index = merged[codes] if len(codes) else codes
        parts = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index, minlength=len(names)))[:-1])
        for name, rows in zip(names, parts, strict=False):
            yield column, str(name), rows
