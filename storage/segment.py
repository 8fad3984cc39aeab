"""A segment of the prediction log: one append-only file of one writer, readable at any moment, also by others.

Format: records of length, crc32 and payload. The first payload is the schema (an empty Arrow stream), each further one
the rows of one request (MessagePack). A record that is not whole (its writer was killed, the disk was full) ends the
segment. A segment is locked while its writer lives; whoever can lock it may take it away.
"""

import fcntl
import io
import logging
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

SUFFIX = ".segment"
META: dict[str, pl.DataType] = {
    "prediction_id": pl.String(),
    "version": pl.String(),
    "logged_at": pl.Datetime("us", "UTC"),
}

_LOG = logging.getLogger(__name__)
_HEAD = struct.Struct("<II")  # length and crc32 of the payload that follows
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(msgspec.Struct, array_like=True):
    """One request: its rows as one list per column, in the order of the schema; `logged_at` in us since 1970."""

    prediction_id: str
    version: str
    logged_at: int
    predictions: list[Any]
    columns: list[list[Any]]


def entry(
    version: str, columns: Sequence[pl.Series], predictions: npt.NDArray[Any], *, prediction_id: str, at: datetime
) -> Entry:
    """The entry of one request."""
    return Entry(
        prediction_id=prediction_id,
        version=version,
        logged_at=(at - _EPOCH) // timedelta(microseconds=1),
        predictions=np.asarray(predictions, dtype=np.float64).tolist(),
        columns=[_plain(column) for column in columns],
    )


class Segment:
    """The writing end; for one thread at a time. After an OSError it must be closed: its last record is torn."""

    def __init__(self, folder: Path, schema: Mapping[str, pl.DataType]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        first = _schema_bytes(schema)
        self.path, self._file = _create_locked(folder)
        try:
            self._append(first)
        except OSError:
            self.path.unlink(missing_ok=True)
            self.close()
            raise

    def append(self, new: Entry) -> None:
        """Write the entry whole, or raise OSError."""
        self._append(msgspec.msgpack.encode(new))
        self.rows += len(new.predictions)

    def close(self) -> None:
        """Close and unlock."""
        os.close(self._file)

    def _append(self, payload: bytes) -> None:
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        if (written := os.write(self._file, record)) != len(record):
            raise OSError(f"only {written} of {len(record)} bytes could be written to {self.path}; free disk space")


def read_segment(path: Path) -> pl.DataFrame | None:
    """All whole records as one frame: META, `prediction`, then the raw columns; None when there is not one row."""
    payloads = list(_payloads(path))
    if len(payloads) < 2:
        return None
    schema = pl.read_ipc_stream(io.BytesIO(payloads[0])).schema
    decoder = msgspec.msgpack.Decoder(Entry)
    entries = [decoder.decode(payload) for payload in payloads[1:]]
    sizes = [len(one.predictions) for one in entries]
    columns = [
        pl.Series(
            "prediction_id", [f"{one.prediction_id}-{row}" for one in entries for row in range(len(one.predictions))]
        ),
        pl.Series("version", np.repeat([one.version for one in entries], sizes), pl.String),
        pl.Series("logged_at", np.repeat([one.logged_at for one in entries], sizes)).cast(META["logged_at"]),
        pl.Series("prediction", list(chain.from_iterable(one.predictions for one in entries))),
    ]
    for position, (name, dtype) in enumerate(schema.items()):
        columns.append(_typed(name, list(chain.from_iterable(one.columns[position] for one in entries)), dtype))
    return pl.DataFrame(columns)


@contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Lock a segment that no writer holds: yields whether it is ours, and still there, until the block ends."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock_at_once(file) and os.fstat(file).st_nlink > 0
    finally:
        os.close(file)


def _create_locked(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex}{SUFFIX}"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink > 0:
            return path, file
        os.close(file)  # NOTE: before we had the lock, a compaction took the empty file for that of a dead writer


def _lock_at_once(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _payloads(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    start = 0
    while start + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, start)
        payload = content[start + _HEAD.size : start + _HEAD.size + length]
        if not length or len(payload) != length or zlib.crc32(payload) != checksum:
            break
        yield payload
        start += _HEAD.size + length
    if start < len(content):
        _LOG.info("%s ends with a record that is not whole: %d bytes left out", path, len(content) - start)


def _schema_bytes(schema: Mapping[str, pl.DataType]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(schema=dict(schema)).write_ipc_stream(stream)
    return stream.getvalue()


def _plain(column: pl.Series) -> list[Any]:
    """Values that MessagePack keeps without loss."""
    if column.dtype.is_temporal():
        return column.to_physical().to_list()
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String).to_list()
    return column.to_list()


def _typed(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """The inverse of `_plain`."""
    if dtype.is_temporal():
        stored: pl.DataType = pl.Int64()
    elif isinstance(dtype, pl.Categorical | pl.Enum):
        stored = pl.String()
    else:
        stored = dtype
    return pl.Series(name, values, stored).cast(dtype)
