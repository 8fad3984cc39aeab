"""The prediction log: every answered row with its prediction, so that labels can be joined to it later.

One folder per pipeline, any number of writing processes. A writer appends each request to a segment of its own before
the answer is sent: the page cache keeps it when the process is killed. A thread turns closed segments, also those of
dead processes, into Parquet files of the same name, so that no crash in between loses or doubles a row. Serving
comes first: rows that cannot be kept are counted, not raised.
"""

import logging
import threading
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt
import polars as pl

from storage.lake import write_whole
from storage.segment import META, SUFFIX, Segment, entry, read_segment, taken

ROTATE_ROWS = 20_000
ROTATE_SECONDS = 600.0

_LOG = logging.getLogger(__name__)
_PARQUET = ".parquet"
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


def read_predictions(
    folder: Path,
    schema: Mapping[str, pl.DataType],
    *,
    key: Sequence[str],
    time: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """One prediction per key, the first that was logged, of rows with `since` <= `time` < `until`; by time and key.

    Columns: prediction_id, version, logged_at, prediction (Float64; a list of them for several classes), then those
    of `schema`. A column that a file lacks, or holds in a type that cannot be converted, is null there.
    """
    empty = pl.DataFrame(schema={**META, "prediction": pl.Float64(), **schema})
    frames = [_aligned(frame, empty.schema) for frame in _frames(folder)]
    rows = pl.concat(frames) if frames else empty
    return rows[_first_of_each(rows, key=key, time=time, since=since, until=until)]


def find_predictions(folder: Path, prediction_id: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of this id, or of the request that has it, by id; of a row that was logged twice the first."""
    found: dict[str, Mapping[str, Any]] = {}
    mine = pl.col("prediction_id").str.replace(r"-\d+$", "") == prediction_id
    for frame in _frames(folder):
        for row in frame.filter(mine | (pl.col("prediction_id") == prediction_id)).to_dicts():
            known = found.get(row["prediction_id"])
            if known is None or row["logged_at"] < known["logged_at"]:
                found[row["prediction_id"]] = row
    exact = found.get(prediction_id)
    return (exact,) if exact else tuple(found[name] for name in sorted(found, key=_place_in_request))


def count_requests(folder: Path) -> int:
    """How many requests were answered: each gave all of its rows one id, and a number after a hyphen."""
    requests = [frame["prediction_id"].str.replace(r"-\d+$", "").unique() for frame in _frames(folder)]
    return pl.concat(requests).n_unique() if requests else 0


def _place_in_request(prediction_id: str) -> int:
    return int(prediction_id.rpartition("-")[2])


def _first_of_each(
    rows: pl.DataFrame, *, key: Sequence[str], time: str, since: datetime | None, until: datetime | None
) -> pl.Series:
    """Positions of the rows to return, found on the few columns that decide: half the time of sorting all of them."""
    first = (
        rows.lazy()
        .select(pl.row_index("_row"), "logged_at", *dict.fromkeys((time, *key)))
        .sort("logged_at", maintain_order=True)
        .unique(subset=key, keep="first", maintain_order=True)
    )
    if since is not None:
        first = first.filter(pl.col(time) >= since)
    if until is not None:
        first = first.filter(pl.col(time) < until)
    return first.sort(*dict.fromkeys((time, *key))).collect()["_row"]


def _replace_by_parquet(path: Path) -> None:
    frame = read_segment(path)
    if frame is not None:
        write_whole(path.with_suffix(_PARQUET), lambda beside: frame.write_parquet(beside, compression="zstd"))
    path.unlink()


def _frames(folder: Path) -> Iterator[pl.DataFrame]:
    # NOTE: segments are listed first, or one that becomes Parquet in between would be in neither list.
    segments = sorted(folder.glob(f"*{SUFFIX}"))
    parquets = sorted(folder.glob(f"*{_PARQUET}"))
    for path in parquets:
        yield pl.read_parquet(path)
    for path in segments:
        if path.with_suffix(_PARQUET) not in parquets and (frame := _read_moving(path)) is not None:
            yield frame


def _read_moving(segment: Path) -> pl.DataFrame | None:
    """The rows of a segment, or of the Parquet file that it has become since it was listed."""
    try:
        return read_segment(segment)
    except FileNotFoundError:
        parquet = segment.with_suffix(_PARQUET)
        return pl.read_parquet(parquet) if parquet.exists() else None


def _aligned(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    def column(name: str, dtype: pl.DataType) -> pl.Expr:
        if name not in frame.columns:
            return pl.lit(None, dtype).alias(name)
        return pl.col(name) if name == "prediction" else pl.col(name).cast(dtype, strict=False)

    return frame.select(column(name, dtype) for name, dtype in schema.items())
