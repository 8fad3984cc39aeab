"""The prediction log: every answered row with its prediction, so that labels can be joined to it later.

One folder per pipeline, any number of writing processes. A writer appends each request to a segment of its own before
the answer is sent: the page cache keeps it when the process is killed. A thread turns closed segments, also those of
dead processes, into Parquet files of the same name, so that no crash in between loses or doubles a row. Serving
comes first: rows that cannot be kept are counted, not raised. The reading end: logged.py.
"""

import logging
import threading
import time as clock
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt
import polars as pl

from storage.lake import write_whole
from storage.logged import PARQUET, count_requests, find_predictions, read_predictions
from storage.segment import SUFFIX, Segment, entry, read_segment, taken

__all__ = ["PredictionLog", "compact", "count_requests", "find_predictions", "read_predictions"]

ROTATE_ROWS = 20_000
ROTATE_SECONDS = 600.0

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 1.0  # how often a segment's age is looked at, and how soon a log that failed is tried again


class PredictionLog:
    """The writing end, for all threads of a process. `written` and `dropped` count rows."""

    def __init__(
        self,
        folder: Path,
        schema: Mapping[str, pl.DataType],
        *,
        rotate_rows: int = ROTATE_ROWS,
        rotate_seconds: float = ROTATE_SECONDS,
    ) -> None:
        self.written, self.dropped = 0, 0
        self._folder, self._schema = folder, dict(schema)
        self._rotate_rows, self._rotate_seconds = rotate_rows, rotate_seconds
        self._lock, self._wake, self._closed = threading.Lock(), threading.Event(), False
        self._segment: Segment | None = None
        self._not_before = 0.0  # no new segment before this moment, after a failure
        self._rotate_at = 0.0
        self._compactor = threading.Thread(target=self._keep_compact, name=f"log-{folder.name}", daemon=True)
        self._compactor.start()

    def write(
        self, version: str, raw: pl.DataFrame, predictions: npt.NDArray[Any], *, prediction_id: str, at: datetime
    ) -> bool:
        """Keep the rows of one request; row i gets the id `prediction_id`-i. False when they had to be dropped.

        `raw` has the columns of the schema, in its types; `predictions` has the shape (rows,) or (rows, classes).
        """
        columns = [raw.get_column(name).cast(dtype) for name, dtype in self._schema.items()]
        new = entry(version, columns, predictions, prediction_id=prediction_id, at=at)
        with self._lock:
            try:
                segment = self._open_segment()
                segment.append(new)
            except OSError as error:
                self._give_up(error)
                self.dropped += raw.height
                return False
            self.written += raw.height
            if segment.rows >= self._rotate_rows:
                self._rotate()
        return True

    def close(self) -> None:
        """Close the segment and wait until it is Parquet; rows that come later are dropped."""
        with self._lock:
            self._closed = True
            self._rotate()
        self._compactor.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _open_segment(self) -> Segment:
        if self._segment is None:
            if self._closed:
                raise OSError("the log is closed")
            if clock.monotonic() < self._not_before:
                raise OSError("the log could not be written a moment ago")
            self._segment = Segment(self._folder, self._schema)
            self._rotate_at = clock.monotonic() + self._rotate_seconds
        return self._segment

    def _give_up(self, error: OSError) -> None:
        if clock.monotonic() >= self._not_before:
            _LOG.warning("predictions in %s are dropped: %s", self._folder, error)
            self._not_before = clock.monotonic() + _TICK_SECONDS
        self._rotate()

    def _rotate(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._wake.set()

    def _keep_compact(self) -> None:
        compact(self._folder)
        while not self._closed:
            rotated = self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            with self._lock:
                if self._segment is not None and clock.monotonic() >= self._rotate_at:
                    self._rotate()
            if rotated:
                compact(self._folder)
        compact(self._folder)


def compact(folder: Path) -> None:
    """Turn each segment that has no living writer into a Parquet file of the same name; what fails stays as it is."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with taken(path) as ours:
                if ours:
                    _replace_by_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            _LOG.warning("%s stays a segment for now: %s", path, error)


def _replace_by_parquet(path: Path) -> None:
    frame = read_segment(path)
    if frame is not None:
        write_whole(path.with_suffix(PARQUET), lambda beside: frame.write_parquet(beside, compression="zstd"))
    path.unlink()
