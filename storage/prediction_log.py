"""The prediction log: every answered row with its prediction, so that labels can be joined to it later.

One folder per pipeline, any number of writing processes. A writer copies each request into a mapped segment of its own
(segment.py) before the answer is sent: killed processes lose nothing that was answered, and a host that dies at most
the last SYNC_SECONDS (5 s, and the time the disk then takes). Closed segments, also those of dead processes, become
Parquet files of the same name (compaction.py): by a keeper where there is one (log_keeper.py), else by the log's own
thread. Serving comes first: rows that cannot be kept are counted, not raised. The reading end: logged.py.
"""

import logging
import os
import threading
import time as clock
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from storage.compaction import SYNC_SECONDS, closed_segments, compact, is_kept, sync
from storage.entries import Entry, head, microseconds, plain
from storage.logged import count_requests, find_predictions, read_predictions
from storage.masking import LogPolicy
from storage.segment import Segment
from validation.failpoints import reached

__all__ = ["PredictionLog", "compact", "count_requests", "find_predictions", "read_predictions"]

ROTATE_ROWS = 20_000
ROTATE_SECONDS = 600.0
MAX_WAITING = 32  # closed segments: with more of them new rows are dropped until they have become Parquet

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 1.0  # how often a segment's age is looked at, and how soon a log that failed is tried again
_KEEP_ALL = LogPolicy()
_ENCODE = msgspec.msgpack.Encoder().encode


class PredictionLog:
    """The writing end, for all threads of a process. `written`, `dropped` and `sampled_out` count rows.

    `compacting`: whether closed segments become Parquet, and open ones reach the disk, by a thread of this process
    where no keeper does it; without it there must be a keeper.
    """

    def __init__(
        self,
        folder: Path,
        schema: Mapping[str, pl.DataType],
        *,
        keep: LogPolicy = _KEEP_ALL,
        rotate_rows: int = ROTATE_ROWS,
        rotate_seconds: float = ROTATE_SECONDS,
        compacting: bool = True,
    ) -> None:
        self.written = self.dropped = self.sampled_out = 0
        self._folder, self._schema, self._compacting = folder, dict(schema), compacting
        self._keep, self._masked, self._samples = keep, keep.masker(schema), keep.share < 1
        self._head = head(schema, share=keep.share, masked=keep.masked & {*schema})
        self._rotate_rows, self._rotate_seconds = rotate_rows, rotate_seconds
        self._lock, self._wake, self._closed = threading.Lock(), threading.Event(), False
        self._segment: Segment | None = None
        self._left = closed_segments(folder)
        self._not_before = 0.0  # no new segment before this moment, after a failure
        self._rotate_at = 0.0
        self._can_be_killed = "ANDON_KILL_AT" in os.environ  # NOTE: to look there at each request costs 1 us
        self._ticker = threading.Thread(target=self._tick, name=f"log-{folder.name}", daemon=True)
        self._ticker.start()

    @property
    def waiting(self) -> int:
        """Closed segments of this log, and of those that died before it, that are not yet Parquet."""
        with self._lock:
            return self._count_left()

    def append(
        self,
        version: str,
        columns: Sequence[Sequence[Any]],
        predictions: Sequence[Any],
        *,
        prediction_id: str,
        at_us: int,
    ) -> bool:
        """Keep the rows of one request; row i gets the id `prediction_id`-i. False when they had to be dropped.

        `columns`: plain values, as a request's Rows have them, one sequence for each column of the schema;
        `predictions`: floats, or lists of them; `at_us`: microseconds since 1970.
        """
        if self._samples and not self._keep.keeps(prediction_id):
            return self._sample_out(len(predictions))
        if self._masked is not None:
            columns = self._masked(columns)
        try:
            payload = _ENCODE((prediction_id, version, at_us, predictions, columns))
        except (TypeError, ValueError, OverflowError) as error:
            return self._cannot_be_kept(error, rows=len(predictions))
        return self._put(payload, len(predictions))

    def write(
        self,
        version: str,
        raw: pl.DataFrame,
        predictions: npt.NDArray[Any],
        *,
        prediction_id: str,
        at: datetime,
        first: int = 0,
    ) -> bool:
        """The same for a frame: row i gets the id `prediction_id`-(`first` + i). False when any had to be dropped.

        `raw` has the columns of the schema, in its types; `predictions` has the shape (rows,) or (rows, classes).
        """
        if self._samples and not self._keep.keeps(prediction_id):
            return self._sample_out(raw.height)
        rows = self._keep.mask(raw.select(pl.col(name).cast(dtype) for name, dtype in self._schema.items()))
        said = np.asarray(predictions, dtype=np.float64)
        kept = True
        for start in range(0, raw.height, ROTATE_ROWS):
            part = slice(start, start + ROTATE_ROWS)
            columns = [plain(column) for column in rows[part].iter_columns()]
            new = Entry(prediction_id, version, microseconds(at), said[part].tolist(), columns, first + start)
            kept &= self._put(_ENCODE(new), len(new.predictions))
        return kept

    def close(self) -> None:
        """Close the segment and, if it is done here, wait until it is Parquet; rows that come later are dropped."""
        with self._lock:
            self._rotate()
            self._closed = True  # last: what the ticker then compacts is all there is
        self._ticker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _put(self, payload: bytes, rows: int) -> bool:
        with self._lock:
            try:
                segment = self._segment
                if segment is None or not segment.append(payload, rows=rows):
                    segment = self._open(room=len(payload))
                    segment.append(payload, rows=rows)
            except OSError as error:
                self._give_up(error)
                self.dropped += rows
                return False
            self.written += rows
            if segment.rows >= self._rotate_rows:
                self._rotate()
        if self._can_be_killed:
            reached("log.appended")
        return True

    def _open(self, *, room: int) -> Segment:
        self._rotate()
        if self._closed:
            raise OSError("the log is closed")
        if clock.monotonic() < self._not_before:
            raise OSError("the log could not be written a moment ago")
        if self._count_left() >= MAX_WAITING:
            raise OSError(f"{MAX_WAITING} segments wait to become Parquet; is there space on the disk?")
        self._segment = Segment(self._folder, self._head, room=room)
        self._rotate_at = clock.monotonic() + self._rotate_seconds
        return self._segment

    def _count_left(self) -> int:
        self._left = [path for path in self._left if path.exists()]
        return len(self._left)

    def _sample_out(self, rows: int) -> bool:
        with self._lock:
            self.sampled_out += rows
        return True

    def _cannot_be_kept(self, error: Exception, *, rows: int) -> bool:
        _LOG.warning("%d rows for %s are dropped: %s", rows, self._folder, error)
        with self._lock:
            self.dropped += rows
        return False

    def _give_up(self, error: OSError) -> None:
        if clock.monotonic() >= self._not_before:
            _LOG.warning("predictions in %s are dropped: %s", self._folder, error)
            self._not_before = clock.monotonic() + _TICK_SECONDS
        self._wake.set()

    def _rotate(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._left.append(self._segment.path)
            self._segment = None
            reached("log.rotated")
        self._wake.set()

    def _tick(self) -> None:
        """Look at the segment's age and, without a keeper, compact what was closed and bring the rest to the disk."""
        self._compact()
        synced = clock.monotonic()
        while not self._closed:
            rotated = self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            with self._lock:
                if self._segment is not None and clock.monotonic() >= self._rotate_at:
                    self._rotate()
            if rotated:
                self._compact()
            if self._compacting and clock.monotonic() >= synced + SYNC_SECONDS:
                self._sync()
                synced = clock.monotonic()
        self._compact()

    def _compact(self) -> None:
        if self._compacting and not is_kept(self._folder):
            compact(self._folder)

    def _sync(self) -> None:
        if not is_kept(self._folder):
            try:
                sync(self._folder)
            except OSError as error:
                _LOG.warning("predictions in %s could not be brought to the disk: %s", self._folder, error)
