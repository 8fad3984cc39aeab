"""Looks after the prediction log of one pipeline, in a process that answers no requests: what many writers append is
brought to the disk, turned into Parquet, and scored by the versions that answer in the shadow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy.typing as npt
import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shadow:
    """A version that answers in the shadow: `predict` takes the logged raw columns and returns (n,) or (n, k).

    `needs`: the raw columns that its predictions rest on (masking.needed_columns); None: all of them. Rows of a log
    that masks one of them cannot be scored truly, and are not.
    """

    version: str
    predict: Callable[[pl.DataFrame], npt.NDArray]  # type: ignore[type-arg]
    needs: frozenset[str] | None = None


@dataclass(kw_only=True, eq=False)
class ShadowFigures:
    """What became of the rows for one version since the keeper started. `skipped`: they could not be scored truly
    (masked columns), or the log would have had to wait.
    """

    scored: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


class LogKeeper:
    """Threads of the supervisor process for one folder. `waiting`: closed segments that are not yet Parquet."""

    def __init__(
        self, folder: Path, *, shadows: Callable[[], Sequence[Shadow]] = tuple, shadow_seconds: float = 60.0
    ) -> None:
        self.waiting = 0
        self.figures: dict[str, ShadowFigures] = {}  # by version
        self._folder, self._shadows, self._shadow_seconds = folder, shadows, shadow_seconds

    def start(self) -> None:
        """Begin."""
        raise NotImplementedError

    def stop(self) -> None:
        """Turn what is left into Parquet, and end. To be called when the writers have closed their logs."""
        raise NotImplementedError


def read_shadow(
    folder: Path, version: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """What a version has said in the shadow of rows that were logged in `since` <= `logged_at` < `until`, by time.

    Columns: prediction_id (of the row, as read_predictions has it), logged_at, prediction (Float64, or a list of them;
    null where the version failed), answered_by (the version whose answer was given). Each row once.
    """
    raise NotImplementedError
