"""What versions in the shadow say of the rows that were answered: one Parquet file per version and segment.

A row's place in that file is its place in the segment, so no crash loses a row or has it scored twice: a file is
exchanged whole for a longer one, and a segment goes only when each shadow has seen all of its rows.
"""

import logging
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import polars as pl

from storage.entries import META, Logged
from storage.lake import write_whole
from storage.logged import PARQUET

Outcome = Literal["scored", "failed", "skipped"]

_LOG = logging.getLogger(__name__)
_FOLDER = "shadow"
_MAX_CALLS = 64  # of a shadow that fails, for the new rows of a segment; at most twice as many in all
_TYPES: dict[str, pl.DataType] = {
    "prediction_id": META["prediction_id"],
    "logged_at": META["logged_at"],
    "prediction": pl.Float64(),
    "outcome": pl.String(),
    "answered_by": META["version"],
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shadow:
    """A version that answers in the shadow: `predict` takes the logged raw columns and returns (n,) or (n, k).

    `needs`: the raw columns that its predictions rest on (masking.needed_columns); None: all of them. Rows of a log
    that masks or lacks one of them cannot be scored truly, and are not; others `predict` must do without.
    """

    version: str
    predict: Callable[[pl.DataFrame], npt.NDArray[Any]]
    needs: frozenset[str] | None = None


@dataclass(kw_only=True, eq=False)
class ShadowFigures:
    """What became of the rows for one version since the keeper started. `skipped`: they could not be scored truly
    (masked or absent columns), or the log would have had to wait.
    """

    scored: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def count(self, outcomes: pl.Series) -> None:
        """These rows, too."""
        self.scored += int((outcomes == "scored").sum())
        self.failed += int((outcomes == "failed").sum())
        self.skipped += int((outcomes == "skipped").sum())


class ShadowScores:
    """Scores for one folder. `figures` by version; `busy` says that rows are to be skipped, not scored."""

    def __init__(self, folder: Path, shadows: Callable[[], Sequence[Shadow]]) -> None:
        self.figures: dict[str, ShadowFigures] = {}
        self.busy = False
        self._folder, self._shadows = folder, shadows
        self._told: dict[str, str] = {}  # the trouble of a version that was logged last

    def complete(self, segment: Path, content: Logged) -> None:
        """Score the rows of a segment that have not been scored yet. OSError when scores cannot be written."""
        for shadow in self._shadows():
            place = _place(self._folder, shadow.version) / segment.with_suffix(PARQUET).name
            before = self._before(place)
            done = 0 if before is None else before.height
            rows = content.rows[done:]
            if rows.is_empty():
                continue
            said = self._ask(shadow, content, since=done)
            new = rows.select("prediction_id", "logged_at", said["prediction"], said["outcome"], answered_by="version")
            whole = new if before is None else pl.concat([before, new], how="vertical_relaxed")
            write_whole(place, whole.write_parquet)
            self._figures_of(shadow).count(said["outcome"])

    def wanted(self) -> bool:
        """Is there a shadow at all?"""
        return bool(self._shadows())

    def _before(self, place: Path) -> pl.DataFrame | None:
        try:
            return _read(place)
        except FileNotFoundError:
            return None
        except pl.exceptions.PolarsError as error:
            _LOG.warning("%s cannot be read; its rows are scored again: %s", place, error)
            return None

    def _ask(self, shadow: Shadow, content: Logged, *, since: int) -> pl.DataFrame:
        """`prediction` and `outcome` of the rows from `since` on."""
        rows = content.raw[since:]
        hidden = _hidden(shadow, content)
        if hidden or self.busy:
            why = f"the log does not hold {', '.join(sorted(hidden))}" if hidden else "too many segments wait"
            self._tell(shadow, f"rows are not scored: {why}")
            return _without(rows.height, "skipped")
        began = clock.perf_counter()
        try:
            return self._by_halves(shadow, rows)
        finally:
            self._figures_of(shadow).seconds += clock.perf_counter() - began

    def _by_halves(self, shadow: Shadow, rows: pl.DataFrame) -> pl.DataFrame:
        """All at once; where that fails half by half, so that a row that it cannot take costs few others their score.

        NOTE: up to a limit: else one that always fails would be asked for each row by itself.
        """
        parts, left, calls = list[pl.DataFrame](), [slice(0, rows.height)], 0
        while left:
            part, calls = left.pop(), calls + 1
            size = part.stop - part.start
            try:
                said = _series(shadow.predict(rows[part]), height=size)
                parts.append(said.to_frame().with_columns(outcome=pl.lit("scored")))
            except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - a person's code may raise anything
                self._tell(shadow, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                if size == 1 or calls > _MAX_CALLS:
                    parts.append(_without(size, "failed"))
                else:
                    middle = part.start + size // 2
                    left += [slice(middle, part.stop), slice(part.start, middle)]
        return pl.concat(parts, how="vertical_relaxed")

    def _figures_of(self, shadow: Shadow) -> ShadowFigures:
        return self.figures.setdefault(shadow.version, ShadowFigures())

    def _tell(self, shadow: Shadow, trouble: str) -> None:
        """NOTE: once; a shadow that fails does so for each segment."""
        if self._told.get(shadow.version) != trouble:
            self._told[shadow.version] = trouble
            _LOG.warning("version %s in the shadow of %s: %s", shadow.version, self._folder.name, trouble)


def read_shadow(
    folder: Path, version: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """What a version has said in the shadow of rows that were logged in `since` <= `logged_at` < `until`, by time.

    Columns: prediction_id (of the row, as read_predictions has it), logged_at, prediction (Float64, or a list of them;
    null unless scored), outcome ("scored", "failed", or "skipped": it was not asked), answered_by (the version whose
    answer was given). Each row once.
    """
    bounds = [] if since is None else [pl.col("logged_at") >= since]
    bounds += [] if until is None else [pl.col("logged_at") < until]
    files = sorted(_place(folder, version).glob(f"*{PARQUET}"))
    parts = [_read(path).filter(*bounds) for path in files]
    if not any(part.height for part in parts):
        return pl.DataFrame(schema=_TYPES)
    found = pl.concat([part for part in parts if part.height], how="vertical_relaxed")
    if found["prediction"].dtype == pl.Null:
        found = found.cast({"prediction": pl.Float64})
    first = found.with_row_index("_row").sort("logged_at", "_row").unique("prediction_id", keep="first")
    return first.sort("logged_at", "_row").drop("_row")


def _hidden(shadow: Shadow, content: Logged) -> frozenset[str]:
    """The columns that it needs, and of which these rows do not hold the values."""
    if shadow.needs is None:
        return content.masked
    return (content.masked & shadow.needs) | (shadow.needs - {*content.raw.columns})


def _read(path: Path) -> pl.DataFrame:
    """NOTE: by one handle, of which the bytes stay; by its name a file may be exchanged between footer and pages."""
    with path.open("rb") as file:
        return pl.read_parquet(file)


def _place(folder: Path, version: str) -> Path:
    return folder / _FOLDER / quote(version, safe="")


def _without(rows: int, outcome: Outcome) -> pl.DataFrame:
    """Rows that have no prediction."""
    return pl.DataFrame({"prediction": pl.Series([None] * rows, dtype=pl.Null), "outcome": [outcome] * rows})


def _series(said: npt.NDArray[Any], *, height: int) -> pl.Series:
    values = np.asarray(said, dtype=np.float64)
    if len(values) != height:
        raise ValueError(f"{len(values)} predictions for {height} rows")
    return pl.Series("prediction", values.tolist(), pl.List(pl.Float64) if values.ndim == 2 else pl.Float64)
