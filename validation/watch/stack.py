"""Counts of many features as arrays, so that a thousand of them are measured at once. Arranges; measures nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from validation.watch.counting import WindowCounts
from validation.watch.profile import Counts, FeatureProfile
from validation.watch.surprise import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """F features of one kind in the reference windows, which are aligned at the newest.

    `owners` (F,): their places in the profile. `bins` (F, windows, bins): those that a feature does not have are empty,
    a category's "other" is always the last. `nulls`, `novel` (F, windows). `present`, `rows` (F, windows): without and
    with nulls.
    """

    features: tuple[FeatureProfile, ...]
    owners: Ints
    bins: Floats
    nulls: Floats
    novel: Floats
    present: Floats
    rows: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Now:
    """The same features in the window: `bins` (F, bins) as the stack's, the others (F,). Not counted: no rows."""

    bins: Floats
    nulls: Floats
    novel: Floats
    present: Floats
    rows: Floats


def stacked(features: Sequence[FeatureProfile], *, kind: Literal["number", "category"], windows: int) -> Stack:
    """All features of a kind; `windows`: of the feature that has most of them."""
    mine = [(index, item) for index, item in enumerate(features) if item.kind == kind]
    width = max((len(window.bins) for _, item in mine for window in item.windows[:1]), default=1)
    bins = np.zeros((len(mine), windows, width))
    nulls, novel = np.zeros((len(mine), windows)), np.zeros((len(mine), windows))
    for place, (_, item) in enumerate(mine):
        first = windows - len(item.windows)
        if item.windows:
            _fill(bins[place, first:], item.windows, kind)
            nulls[place, first:] = [window.nulls for window in item.windows]
            novel[place, first:] = [window.novel for window in item.windows]
    present = bins.sum(axis=2)
    return Stack(
        features=tuple(item for _, item in mine),
        owners=np.array([index for index, _ in mine], dtype=np.int64),
        bins=bins,
        nulls=nulls,
        novel=novel,
        present=present,
        rows=present + nulls,
    )


def counted(stack: Stack, counts: WindowCounts) -> Now:
    """The window's counts in the order of the stack."""
    found = [counts.features.get(item.name) for item in stack.features]
    bins = np.zeros((len(found), stack.bins.shape[2]))
    for place, (item, each) in enumerate(zip(stack.features, found, strict=True)):
        if each is not None and item.windows:
            _fill(bins[place : place + 1], [each], item.kind)
    nulls = np.array([each.nulls if each else 0 for each in found], dtype=np.float64)
    novel = np.array([each.novel if each else 0 for each in found], dtype=np.float64)
    present = bins.sum(axis=1)
    return Now(bins=bins, nulls=nulls, novel=novel, present=present, rows=present + nulls)


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


def _fill(into: Floats, windows: Sequence[Counts], kind: Literal["number", "category"]) -> None:
    values = np.array([window.bins for window in windows], dtype=np.float64)
    last = values.shape[1] - (kind == "category")
    into[:, :last] = values[:, :last]
    if kind == "category":
        into[:, -1] = values[:, -1]
