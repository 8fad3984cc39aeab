"""Does anybody lose? The paired gain in each slice of the rows; only a proven regression counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from validation.intervals import MIN_BLOCKS, Floats, paired_interval, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceGain:
    """A slice's gain (champion's loss - challenger's, mean per row); `worse`: even its upper bound is below 0."""

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
    gain: Floats, blocks: npt.NDArray[Any], slices: Mapping[str, Sequence[Any]], *, alpha: float, min_rows: int
) -> tuple[SliceGain, ...]:
    """All slices of at least `min_rows` rows, worst first. `alpha` is shared out evenly among them (Bonferroni), so
    that it is the chance of blocking a challenger that makes no slice worse.
    """
    judged = [item for item in _members(slices) if item[2].sum() >= min_rows]
    found = []
    for column, value, rows in judged:
        part = paired_interval(gain[rows], blocks[rows], alpha=alpha / len(judged))
        worse = part.blocks >= MIN_BLOCKS and part.upper < 0
        found.append(
            SliceGain(column=column, value=value, rows=part.rows, gain=part.mean, upper=plain(part.upper), worse=worse)
        )
    return tuple(sorted(found, key=lambda item: (not item.worse, item.gain)))


def _members(slices: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for column, values in slices.items():
        names, index = np.unique(np.asarray([str(value) for value in values]), return_inverse=True)
        for position, name in enumerate(names):
            yield column, str(name), index == position
