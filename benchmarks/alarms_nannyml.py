"""Is NannyML's rule as re-implemented on counts the one that NannyML itself follows? Both on the same rows."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import environments
from benchmarks.alarms_rivals import CHUNKS, SIGMAS, nannyml
from benchmarks.alarms_world import (
    COLUMNS,
    EDGES,
    NUMBERS,
    PREDICTION,
    Days,
    Floats,
    Ints,
    World,
    days,
    level_shares,
    name_of,
    null_share,
)
from benchmarks.measure import run

ROWS = 1_000
LATER = 30
SEED = 11
_SECONDS = 1_800
Values = Sequence[Floats | list[str | None]]  # by window


def checked(*, quick: bool) -> list[dict[str, Any]]:
    """One row for each number of chunks and kind of null: shares of columns and windows that alarm, by both, and how
    many of the single answers (a column in a window) are the same.
    """
    chunks = (CHUNKS,) if quick else (CHUNKS, 60)
    return [_compared(count, World(rows=ROWS, null=null)) for count in chunks for null in ("iid", "day")]


def _compared(chunks: int, world: World) -> dict[str, Any]:
    rng = np.random.default_rng([SEED, chunks, ord(world.null[0])])
    effects = days(world, rng, chunks + LATER)
    columns = {name_of(index): _values(world, rng, effects, index) for index in range(COLUMNS)}
    theirs, version = _theirs(columns, chunks)
    ours = np.array([_flagged(index, columns[name_of(index)], chunks) for index in range(COLUMNS)]).T
    return {
        "chunks": chunks, "null": world.null, "rows": ROWS, "windows": LATER, "version": version,
        "columns_theirs": round(float(theirs.mean()), 4), "columns_ours": round(float(ours.mean()), 4),
        "windows_theirs": round(float(theirs.any(axis=1).mean()), 4),
        "windows_ours": round(float(ours.any(axis=1).mean()), 4),
        "same": round(float((theirs == ours).mean()), 4),
    }  # fmt: skip


def _values(world: World, rng: np.random.Generator, effects: Days, index: int) -> Values:
    """Rows of each window; NaN or None where there is no value."""
    found: list[Floats | list[str | None]] = []
    missing = null_share(index, effects.nulls[:, index])
    for window in range(len(effects.moved)):
        null = rng.random(world.rows) < missing[window]
        if NUMBERS <= index < PREDICTION:
            shares = level_shares(index - NUMBERS, effects.levels[index - NUMBERS][[window]])[0]
            levels = rng.choice(len(shares), size=world.rows, p=shares)
            found.append([None if empty else f"level {level}" for level, empty in zip(levels, null, strict=True)])
        else:
            found.append(np.where(null, np.nan, effects.moved[window, index] + rng.standard_normal(world.rows)))
    return found


def _theirs(columns: Mapping[str, Values], chunks: int) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        parts = ["reference"] * (chunks * ROWS) + ["analysis"] * (LATER * ROWS)
        frame = {name: pl.concat([pl.Series(name, part) for part in parts_]) for name, parts_ in columns.items()}
        pl.DataFrame({**frame, "part": parts}).write_parquet(file)
        python, script = environments.python_of(environments.NANNYML), environments.script("nannyml_alarms")
        got = run([python, script, file, str(ROWS)], seconds=_SECONDS)
    if got.failed:
        raise RuntimeError(f"NannyML could not be asked: {got.failed}")
    alerts = got.found["alerts"]
    return np.array([[name in window for name in columns] for window in alerts]), str(got.found["version"])


def _flagged(index: int, windows: Values, chunks: int) -> list[bool]:
    number = not NUMBERS <= index < PREDICTION
    counts = _cells(windows) if number else _level_counts(windows)
    away = nannyml(counts[:chunks], counts[chunks:], number=number)
    return [bool(far > SIGMAS) for far in away]


def _cells(windows: Values) -> Ints:
    inner = [np.histogram(np.asarray(window, dtype=np.float64), bins=EDGES)[0] for window in windows]
    below = [np.sum(np.asarray(window, dtype=np.float64) < EDGES[0]) for window in windows]
    above = [np.sum(np.asarray(window, dtype=np.float64) > EDGES[-1]) for window in windows]
    return np.column_stack([below, inner, above])


def _level_counts(windows: Values) -> Ints:
    names = {name: place for place, name in enumerate(sorted({str(value) for part in windows for value in part}))}
    places = [[names[str(value)] for value in part if value is not None] for part in windows]
    return np.array([np.bincount(part, minlength=len(names)) for part in places])
