"""Which features of a window moved further than they move anyway: all measures together, and false discovery rate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from validation.watch.counting import WindowCounts
from validation.watch.findings import Move, Reading
from validation.watch.measures import Gauge, gauges
from validation.watch.policy import Drift
from validation.watch.profile import Profile
from validation.watch.seasons import Matched
from validation.watch.stack import Now, Stack, counted, stacked
from validation.watch.surprise import Bools, Floats, Ints, Measures, p_values

PREDICTION = "prediction"  # the model's score is judged as a column of this name
KINDS: tuple[Literal["number", "category"], ...] = ("number", "category")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A profile as arrays, to judge many windows by. `filled` (windows,): which reference windows have rows. `kept`:
    gauges by the windows that match, made when they are first asked for.
    """

    profile: Profile
    stacks: tuple[Stack, ...]
    filled: Bools
    kept: dict[tuple[bytes, int, int | None], tuple[tuple[Gauge, ...], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What was found. `judged`: how many features have enough history. `readings`: those that drifted and the next
    nearest, worst first. `p_window`: that nothing has moved. `p_prediction`: that the prediction has not; None where it
    was not judged.

    NOTE: where there are both, the prediction is compared with half of alpha, and the inputs share the other half. Both
    p-values are doubled for it, and can be compared with alpha.
    """

    judged: int
    p_window: float
    p_prediction: float | None
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """All measures of all features, those of a feature together and the most surprising first.

    `family`, `row`: which of the measures it is. `judged` (J,): the features' places in the profile; `first`, `sizes`
    (J,): where their measures are in the table. `p_values` (J,): the least of a feature times the number of them.
    """

    measures: Sequence[Measures]
    family: Ints
    row: Ints
    judged: Ints
    first: Ints
    sizes: Ints
    p_values: Floats


def prepared(profile: Profile) -> Prepared:
    """What depends on the profile alone; worth it where many windows are judged."""
    windows = max((len(feature.windows) for feature in profile.features), default=0)
    stacks = tuple(stacked(profile.features, kind=kind, windows=windows) for kind in KINDS)
    filled = np.concatenate([stack.rows for stack in stacks]).sum(axis=0)
    return Prepared(profile=profile, stacks=stacks, filled=filled > 0)


def evidence(reference: Prepared, counts: WindowCounts, *, compared: Matched, policy: Drift, most: int) -> Evidence:
    """Measure and judge all features; read all that drifted, and up to `most`. A column that is gone has drifted."""
    known = _gauges(reference, compared, policy.min_windows)
    table = _table(known, [counted(stack, counts) for stack in reference.stacks])
    if table is None:
        return Evidence(judged=0, p_window=1.0, p_prediction=None, readings=())
    mine = [reference.profile.features[index] for index in table.judged]
    p_features = np.where([item.name in counts.gone for item in mine], 0.0, table.p_values)
    predicts = np.array([item.name == PREDICTION for item in mine])
    drifted, p_window, p_prediction = _decided(p_features, predicts, policy.alpha)
    order = sorted(range(len(mine)), key=lambda place: (not drifted[place], p_features[place], mine[place].name))
    readings = [
        Reading(
            feature=mine[place],
            now=counts.features[mine[place].name],
            moves=_moves(table, place),
            p_value=float(p_features[place]),
            drifted=bool(drifted[place]),
            gone=counts.gone.get(mine[place].name),
        )
        for place in order[: max(most, int(drifted.sum()))]
    ]
    return Evidence(judged=len(mine), p_window=p_window, p_prediction=p_prediction, readings=tuple(readings))


def simes(p_values: Sequence[float] | Floats) -> float:
    """Probability that all features are quiet: min over i of n p_(i) / i (Simes 1986). 1 without features."""
    ordered = np.sort(p_values)
    return float(min(1.0, *(len(ordered) * ordered / np.arange(1, len(ordered) + 1)))) if len(ordered) else 1.0


def discoveries(p_values: Sequence[float] | Floats, alpha: float) -> list[bool]:
    """Which p-values are discoveries at false discovery rate `alpha` (Benjamini and Hochberg 1995)."""
    ordered = np.sort(p_values)
    passing = np.flatnonzero(ordered <= alpha * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    limit = ordered[passing[-1]] if len(passing) else -1.0
    return [bool(p <= limit) for p in p_values]


def _decided(p_features: Floats, predicts: Bools, alpha: float) -> tuple[Bools, float, float | None]:
    """Which features drifted, and the p-values of the window and of the prediction in it."""
    share = 0.5 if predicts.any() and not predicts.all() else 1.0
    drifted = np.zeros(len(p_features), dtype=np.bool_)
    for group in (predicts, ~predicts):
        drifted[group] = discoveries(p_features[group], alpha * share)
    p_window = min(simes(p_features[predicts]), simes(p_features[~predicts])) / share
    p_prediction = min(1.0, float(p_features[predicts][0]) / share) if predicts.any() else None
    return drifted, min(1.0, p_window), p_prediction


def _gauges(reference: Prepared, compared: Matched, least: int) -> tuple[tuple[Gauge, ...], ...]:
    """Of each stack, for the windows that match."""
    key = compared.windows.tobytes(), least, compared.rhythm.slot if compared.rhythm else None
    if key not in reference.kept:
        reference.kept[key] = tuple(
            tuple(gauges(stack, matched=compared.windows, min_windows=least, rhythm=compared.rhythm))
            for stack in reference.stacks
        )
    return reference.kept[key]


def _table(known: Sequence[Sequence[Gauge]], now: Sequence[Now]) -> Table | None:
    found = [
        measures for part, current in zip(known, now, strict=True) for gauge in part for measures in gauge.read(current)
    ]
    if not found:
        return None
    owners = np.concatenate([item.usual.owners for item in found])
    strength = np.concatenate([item.strength for item in found])
    p = np.concatenate([p_values(item) for item in found])
    gated = np.where(strength >= 1, p, 1.0)  # a movement that is too small to matter is no evidence, however sure it is
    order = np.lexsort((-strength, gated, owners))
    judged, first, sizes = np.unique(owners[order], return_index=True, return_counts=True)
    lengths = [len(item.now) for item in found]
    return Table(
        measures=found,
        family=np.repeat(np.arange(len(found)), lengths)[order],
        row=np.concatenate([np.arange(length) for length in lengths])[order],
        judged=judged,
        first=first,
        sizes=sizes,
        p_values=np.minimum(1.0, sizes * gated[order][first]),
    )


def _moves(table: Table, place: int) -> tuple[Move, ...]:
    rows = range(table.first[place], table.first[place] + table.sizes[place])
    found = ((table.measures[table.family[row]], table.row[row]) for row in rows)
    return tuple(
        Move(
            kind=item.usual.kind,
            effect=float(item.effect[row]),
            then=float(item.usual.mean[row]),
            now=float(item.now[row]),
            part=int(item.usual.parts[row]),
        )
        for item, row in found
    )
