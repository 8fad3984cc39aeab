"""Counts of many features as arrays, so that a thousand of them are measured at once. Arranges; measures nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from validation.watch.counting import WindowCounts
from validation.watch.profile import Counts, FeatureProfile
from validation.watch.surprise import Floats, Ints

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """F features of one kind. `owners` (F,): their places in the profile. Reference windows are aligned at the newest.

    `bins` (F, windows, bins), `nulls` and `novel` (F, windows): the reference; bins that a feature does not have are
    empty, a category's "other" is always the last. `bins_now` (F, bins), `nulls_now` and `novel_now` (F,): the window.
    """

    features: tuple[FeatureProfile, ...]
    owners: Ints
    bins: Floats
    nulls: Floats
    novel: Floats
    bins_now: Floats
    nulls_now: Floats
    novel_now: Floats

    @property
    def present(self) -> Floats:
        """(F, windows): rows that are not null."""
        found: Floats = self.bins.sum(axis=2)
        return found


def stacked(
    features: Sequence[FeatureProfile], counts: WindowCounts, *, kind: Literal["number", "category"], windows: int
) -> Stack:
    """All features of a kind that the window was counted for; `windows`: of the feature that has most of them."""
    mine = [(index, item) for index, item in enumerate(features) if item.kind == kind and item.name in counts.features]
    current = [counts.features[item.name] for _, item in mine]
    width = max((len(found.bins) for found in current), default=1)
    bins = np.zeros((len(mine), windows, width))
    nulls, novel = np.zeros((len(mine), windows)), np.zeros((len(mine), windows))
    bins_now = np.zeros((len(mine), width))
    for place, ((_, item), found) in enumerate(zip(mine, current, strict=True)):
        if item.windows:
            _fill(bins[place, windows - len(item.windows) :], item.windows, last_is_other=kind == "category")
            nulls[place, windows - len(item.windows) :] = [window.nulls for window in item.windows]
            novel[place, windows - len(item.windows) :] = [window.novel for window in item.windows]
        _fill(bins_now[place : place + 1], [found], last_is_other=kind == "category")
    return Stack(
        features=tuple(item for _, item in mine),
        owners=np.array([index for index, _ in mine], dtype=np.int64),
        bins=bins,
        nulls=nulls,
        novel=novel,
        bins_now=bins_now,
        nulls_now=np.array([found.nulls for found in current], dtype=np.float64),
        novel_now=np.array([found.novel for found in current], dtype=np.float64),
    )


def usable(rows: Floats, *, matched: Bools, min_windows: int) -> Bools:
    """(F, windows): which windows to compare a feature with: those with rows that match, or if they are too few all
    with rows; none if those are too few as well.
    """
    filled = rows > 0
    chosen = filled & matched
    few = chosen.sum(axis=1) < min_windows
    chosen[few] = filled[few]
    chosen[chosen.sum(axis=1) < min_windows] = False
    return chosen


def _fill(into: Floats, windows: Sequence[Counts], *, last_is_other: bool) -> None:
    values = np.array([window.bins for window in windows], dtype=np.float64)
    if last_is_other:
        into[:, : values.shape[1] - 1] = values[:, :-1]
        into[:, -1] = values[:, -1]
    else:
        into[:, : values.shape[1]] = values
