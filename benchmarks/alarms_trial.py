"""One reference and what follows it: thirty windows in which nothing changes, and each change in ten windows.

A change comes on top of the same windows, in the columns that it changes, from a window on that differs from trial to
trial (so that it meets weekends and workdays). Ours is asked window after window, with its own verdicts before as the
product gives them; once a change is raised and named, its later windows are not asked any more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks import alarms_ours as ours
from benchmarks.alarms_labels import Labelled, labelled
from benchmarks.alarms_rivals import RULES, ratios
from benchmarks.alarms_world import (
    CHANGES,
    COLUMNS,
    Change,
    Column,
    Days,
    World,
    days,
    draw,
    everything,
    name_of,
)
from validation.watch.counting import WindowCounts
from validation.watch.drift import DriftVerdict, prepared
from validation.watch.evidence import Prepared

WINDOWS = 30
AFTER = 10  # windows of a change
QUIET_BEFORE = 3  # windows at least before it, and at most a week more
NEVER = 99  # windows after which an alarm came that did not come
Ratios = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one reference gave. `start`: the window from which on changes are made. `new`, `suspect`: of ours, by
    window; `prediction`: new alarms of the prediction alone. `rivals`: (rules, windows, columns) of ratios.

    `raised`, `suspected`: change -> after how many windows of it ours had raised the alarm (was suspicious) and named
    the column, NEVER if not. `changed`: change -> (rules, windows of the change) of the column to be named.
    `dataset`: change -> (windows,) share of columns that Evidently flags. `causes`: what the new alarms named.
    """

    start: int
    new: npt.NDArray[np.bool_]
    prediction: npt.NDArray[np.bool_]
    suspect: npt.NDArray[np.bool_]
    raised: Mapping[str, int]
    suspected: Mapping[str, int]
    rivals: Ratios
    changed: Mapping[str, Ratios]
    dataset: Mapping[str, Ratios]
    labels: Labelled
    causes: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """What all parts of a trial look at; `columns`: reference and later windows."""

    world: World
    rng: np.random.Generator
    effects: Days
    columns: list[Column]
    reference: Prepared
    gauges: tuple[ours.Gauge, ...]
    start: int


def trial(world: World, number: int, *, seed: int, kinds: Sequence[str] = tuple(CHANGES)) -> Trial:
    """The `number`-th reference of a world; the same for the same seed."""
    stage = _stage(world, number, seed=seed)
    rivals = _rivals(stage)
    windows = ours.windows_of(stage.gauges, [_later(column) for column in stage.columns])
    verdicts = _judged(stage, windows)
    befores: list[DriftVerdict | None] = [None, *verdicts[:-1]]
    new = [ours.is_new(verdict, before) for verdict, before in zip(verdicts, befores, strict=True)]
    found = {kind: _changed(stage, CHANGES[kind], windows, verdicts, rivals) for kind in kinds}
    return Trial(
        start=stage.start,
        new=np.array(new),
        prediction=np.array(ours.predictions_new(verdicts)),
        suspect=np.array([verdict.outcome in ("suspect", "drift") for verdict in verdicts]),
        raised={kind: item[0] for kind, item in found.items()},
        suspected={kind: item[1] for kind, item in found.items()},
        rivals=rivals,
        changed={kind: item[2] for kind, item in found.items()},
        dataset={kind: item[3] for kind, item in found.items()},
        labels=labelled(world, stage.rng, start=stage.start),
        causes=_causes([verdict for verdict, is_new in zip(verdicts, new, strict=True) if is_new]),
    )


def _stage(world: World, number: int, *, seed: int) -> Stage:
    rng = np.random.default_rng([seed, number, world.rows, len(world.null), ord(world.null[0])])
    effects = days(world, rng, ours.REFERENCE + WINDOWS)
    columns = everything(world, rng, effects)
    profile, gauges = ours.profile_of(columns)
    return Stage(
        world=world, rng=rng, effects=effects, columns=columns, reference=prepared(profile), gauges=gauges,
        start=QUIET_BEFORE + number % 7,
    )  # fmt: skip


def _later(column: Column) -> Column:
    return Column(cells=column.cells[ours.REFERENCE :], nulls=column.nulls[ours.REFERENCE :])


def _judged(stage: Stage, windows: Sequence[WindowCounts]) -> list[DriftVerdict]:
    verdicts: list[DriftVerdict] = []
    for index, window in enumerate(windows):
        verdicts.append(ours.verdict_on(stage.reference, window, index, verdicts))
    return verdicts


def _rivals(stage: Stage) -> Ratios:
    found = [
        ratios(index, column.cells[: ours.REFERENCE], _later(column)) for index, column in enumerate(stage.columns)
    ]
    return np.array([[item[rule] for item in found] for rule in RULES], dtype=np.float32).transpose(0, 2, 1)


def _changed(
    stage: Stage, change: Change, windows: Sequence[WindowCounts], verdicts: Sequence[DriftVerdict], rivals: Ratios
) -> tuple[int, int, Ratios, Ratios]:
    """After how many windows ours raised and suspected; the rivals' ratios of the named column; Evidently's share."""
    later = slice(stage.start, stage.start + AFTER)
    drawn = {
        index: draw(
            stage.world, stage.rng, stage.effects, index,
            change=change, windows=slice(ours.REFERENCE + later.start, ours.REFERENCE + later.stop),
        )
        for index in change.columns
    }  # fmt: skip
    theirs = {index: ratios(index, stage.columns[index].cells[: ours.REFERENCE], drawn[index]) for index in drawn}
    flagged = rivals[RULES.index("Evidently"), later] > 1
    for index, found in theirs.items():
        flagged[:, index] = found["Evidently"] > 1
    counts = {name_of(index): ours.counted(stage.gauges[index], column) for index, column in drawn.items()}
    moved = [
        ours.changed(window, {name: column[after] for name, column in counts.items()})
        for after, window in enumerate(windows[later])
    ]
    raised, suspected = _until_named(stage, moved, verdicts[: later.start], change.named)
    named = np.array([theirs[change.named][rule] for rule in RULES], dtype=np.float32)
    return raised, suspected, named, np.asarray(flagged.sum(axis=1) / COLUMNS, dtype=np.float32)


def _until_named(
    stage: Stage, windows: Sequence[WindowCounts], before: Sequence[DriftVerdict], column: int
) -> tuple[int, int]:
    verdicts, suspected = list(before), NEVER
    for after, window in enumerate(windows):
        verdict = ours.verdict_on(stage.reference, window, stage.start + after, verdicts)
        verdicts.append(verdict)
        if ours.names(verdict, column):
            suspected = min(suspected, after + 1)
            if verdict.raised:
                return after + 1, suspected
    return NEVER, suspected


def _causes(alarms: Sequence[DriftVerdict]) -> Counter[str]:
    return Counter(
        f"{feature.name.split()[0]}: {feature.cause}"
        for verdict in alarms
        for feature in verdict.features
        if feature.drifted
    )
