"""A landed file that is readable on this machine, and its rows."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from storage.address import shown
from storage.digests import sha256_of
from storage.unpacking import Packing
from validation.errors import ContractError

Kind = Literal["parquet", "csv", "unknown"]

_SUFFIXES: dict[str, tuple[Kind, Packing | None]] = {
    ".parquet": ("parquet", None),
    ".csv": ("csv", None),
    ".csv.gz": ("csv", "gzip"),
    ".csv.zst": ("csv", "zstd"),
}
_DISK_FULL = (28, 122)  # ENOSPC, EDQUOT: no fault of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedFile:
    """A file as it arrived, readable on this machine. `name`: its path below the glob's fixed part; `path`: where its
    `size` bytes lie, whose digest is `sha256`; `flaw`: why it must be refused, empty when nothing is wrong.

    `content`: what is parsed: those bytes, or the text that was packed in them; `is_private`: nobody else can change
    them. Private paths are gone when the admission ends.
    """

    name: str
    path: Path
    size: int
    sha256: str
    stamp: str
    kind: Kind
    content: bytes | Path
    is_private: bool
    flaw: str = ""

    @property
    def is_packed(self) -> bool:
        """Whether `content` is the text that was packed in its bytes."""
        return bool(kind_of(self.name)[1])


def kind_of(name: str) -> tuple[Kind, Packing | None]:
    """What a file's name says that it is."""
    found = [kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)]
    return found[-1] if found else ("unknown", None)


def scan(file: LandedFile) -> tuple[pl.LazyFrame, bool]:
    """Its rows, streaming, and whether they are text: all columns of CSV are strings, an empty field is null.

    ContractError when it must be refused. What shows only when the rows are read is told by `reading`.
    """
    if file.flaw:
        raise ContractError(f"{file.name} {file.flaw}")
    with reading(file):
        _rows(file).collect_schema()
    # A scan that was asked for its schema no longer numbers its rows while it reads them: half as much memory again.
    return _rows(file), file.kind == "csv"


@contextmanager
def reading(file: LandedFile) -> Iterator[None]:
    """Turns an error of Polars into a ContractError, if it is the file that cannot be read to its end."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = None if _is_full(error) else _unreadable(file)
        if reason is None:
            raise
        raise ContractError(
            f"{file.name} is not a whole {file.kind} file ({file.size:,} bytes): {reason}; upload it again"
        ) from error


def still_the_same(file: LandedFile) -> bool:
    """Are the bytes that were read still those that arrived? What is read from a copy of our own is."""
    if file.is_private:
        return True
    try:
        return sha256_of(file.path) == (file.sha256, file.size)
    except OSError:
        return False


def _rows(file: LandedFile) -> pl.LazyFrame:
    source = io.BytesIO(file.content) if isinstance(file.content, bytes) else file.content
    if file.kind == "csv":
        return pl.scan_csv(source, infer_schema=False, glob=False)
    # What a footer says of its values is not believed over the values.
    return pl.scan_parquet(source, glob=False, hive_partitioning=False, use_statistics=False)


def _unreadable(file: LandedFile) -> str | None:
    """Why not all of it can be read; None when it can.

    NOTE: `collect_batches` ends early and without an error where a page brings Polars down; `sink_batches` tells.
    """
    try:
        _rows(file).sink_batches(lambda _: None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        return shown(" ".join(str(error).split())[:200])
    return None


def _is_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in _DISK_FULL or "No space left" in str(error)
