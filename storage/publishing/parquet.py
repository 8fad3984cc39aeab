"""A run as one Parquet file of this machine, written part by part: memory never holds more than one of them."""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl
from deltalake.exceptions import DeltaError

from validation.errors import ServiceDownError

# Of what lies in the work folder, this is a run's on its way.
_DRAFT = "delivery-{}.parquet"
_DAY_SECONDS = 86_400


@contextmanager
def draft(work: Path) -> Iterator[Path]:
    """A path in the work folder for a file that is being made; what lies there is gone when the block ends."""
    work.mkdir(parents=True, exist_ok=True)
    _remove_old(work)
    path = work / _DRAFT.format(uuid.uuid4().hex)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _remove_old(work: Path) -> None:
    """What killed processes have left; no run takes a day to be written."""
    for path in work.glob(_DRAFT.format("*")):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _DAY_SECONDS:
                path.unlink()


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    """ServiceDownError, inside, when this machine's disk is full or fails."""
    try:
        yield
    except (OSError, DeltaError, pl.exceptions.ComputeError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
        raise ServiceDownError(f"{what} failed: {why}; make room, or see that the folder can be written") from error


def write(parts: Iterable[pl.DataFrame], schema: pl.Schema, path: Path) -> None:
    """Write the parts, all of `schema`, into one file in their order."""
    import pyarrow.parquet as pq

    layout = _arrow(schema.to_frame()).schema
    # Level 1 takes a fourth of the time less than the default, for 5 % more bytes.
    with pq.ParquetWriter(path, layout, compression="zstd", compression_level=1) as writer:
        for part in parts:
            writer.write_table(_arrow(part))


def _arrow(frame: pl.DataFrame) -> Any:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
