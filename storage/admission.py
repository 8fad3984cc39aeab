"""Landed files made readable on this machine: digested, looked at, and fetched or unpacked where they must be.

A file that may still be under way is postponed; one that cannot be taken says so in its `flaw`, for the ledger to keep.
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from storage.csv_check import CsvCheck
from storage.digests import chunks, sha256_of
from storage.evidence import Evidence
from storage.flaws import Flaw
from storage.found import DamagedError, Found, changed
from storage.lake import Lake
from storage.landed import LandedFile, kind_of
from storage.objects import objects_for
from storage.parquet_check import parquet_flaw
from storage.unpacking import Packing, UnpackError, unpack
from validation.errors import ContractError

SETTLE = timedelta(minutes=5)
SMALL_BYTES = 8 * 2**20

_AT_ONCE = 8  # files that are fetched at once
_UNKNOWN = Flaw("is neither .parquet nor .csv, .csv.gz or .csv.zst, which are read; convert it and upload it again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """A file that is looked at again the next time."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What became of the files, each in one of the two, in their order."""

    files: tuple[LandedFile, ...]
    postponed: tuple[Postponed, ...]


@contextmanager
def admitted(
    files: Sequence[Found], lake: Lake, *, work: Path, now: datetime, settle: timedelta = SETTLE
) -> Iterator[Admitted]:
    """Make the files readable until the block ends.

    Small local files are read once, into memory: name few at a time. Large local files are read where they lie: see
    `still_the_same`. Copies of all others lie below `work` so long. `now`: by the clock of the stores, not data time: a
    file that was changed less than `settle` before it is postponed where it looks unfinished, an older one refused.
    """
    with tempfile.TemporaryDirectory(prefix="landed-", dir=work) as spool:
        outcomes = _Gate(lake, spool=Path(spool), now=now, settle=settle).admit_all(files)
        yield Admitted(
            files=tuple(one for one in outcomes if isinstance(one, LandedFile)),
            postponed=tuple(one for one in outcomes if isinstance(one, Postponed)),
        )


class _Gate:
    def __init__(self, lake: Lake, *, spool: Path, now: datetime, settle: timedelta) -> None:
        self._remote, self._spool, self._now, self._settle = lake.remote, spool, now, settle
        self._evidence = Evidence(lake.remote)

    def admit_all(self, files: Sequence[Found]) -> list[LandedFile | Postponed]:
        """One after another where they lie, several at once where they must be fetched."""
        places = [self._spool / str(number) for number in range(len(files))]
        if not any(found.address.is_remote for found in files):
            return list(map(self._admit, files, places))
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self._admit, files, places))

    def _admit(self, found: Found, place: Path) -> LandedFile | Postponed:
        try:
            file, flaw = (self._fetched if found.address.is_remote else self._read)(found, place)
            flaw = flaw or self._evidence.flaw(found.address, file.sha256)
        except ContractError as error:  # it is no longer what was listed
            return Postponed(name=found.name, reason=str(error))
        except OSError as error:
            return Postponed(name=found.name, reason=f"cannot be read now: {error.strerror or error}")
        if flaw is None:
            return file
        if flaw.is_incomplete and abs(self._now - found.modified_at) < self._settle:
            return Postponed(name=found.name, reason=f"{flaw.reason}; it came just now and is looked at again")
        return replace(file, flaw=flaw.reason)

    def _fetched(self, found: Found, place: Path) -> tuple[LandedFile, Flaw | None]:
        """A copy of an object, which nobody else can change."""
        damage: Flaw | None = None
        try:
            sha256 = objects_for(found.address, self._remote).fetch(found.address, place, stamp=found.stamp)
        except DamagedError as error:
            sha256, damage = error.sha256, Flaw(error.reason)
        content, flaw = _looked_at(found.name, place, place)
        return _landed(found, place, sha256, content=content, is_private=True), damage or flaw

    def _read(self, found: Found, place: Path) -> tuple[LandedFile, Flaw | None]:
        """A local file: a small one is read once, so that the bytes that are parsed are those of the digest."""
        path = found.address.path
        if found.size <= SMALL_BYTES:
            data = path.read_bytes()
            source: bytes | Path = data
            sha256 = hashlib.sha256(data).hexdigest()
        else:
            source, (sha256, _) = path, sha256_of(path)
        content, flaw = _looked_at(found.name, source, place)
        now = objects_for(found.address, self._remote).look(found.address)
        if now is None or now.stamp != found.stamp:
            raise changed(found.address)
        if content != path:
            return _landed(found, path, sha256, content=content, is_private=True), flaw
        return _landed(found, path, sha256, content=_nameable(path, place), is_private=False), flaw


def _landed(found: Found, path: Path, sha256: str, *, content: bytes | Path, is_private: bool) -> LandedFile:
    return LandedFile(
        name=found.name,
        path=path,
        size=found.size,
        sha256=sha256,
        stamp=found.stamp,
        kind=kind_of(found.name)[0],
        content=content,
        is_private=is_private,
    )


def _looked_at(name: str, source: bytes | Path, place: Path) -> tuple[bytes | Path, Flaw | None]:
    """What is to be parsed, and what is wrong with it; text that was packed is unpacked beside `place`."""
    kind, packing = kind_of(name)
    with _opened(source) as file:
        if kind == "parquet":
            return source, parquet_flaw(file, file.seek(0, io.SEEK_END))
        if kind == "unknown":
            return source, _UNKNOWN
        check = CsvCheck()
        if packing:
            return _unpacked(file, packing, source, place, check)
        for chunk in chunks(file):
            check.update(chunk)
        return source, check.finish()


def _unpacked(
    file: BinaryIO, packing: Packing, source: bytes | Path, place: Path, check: CsvCheck
) -> tuple[bytes | Path, Flaw | None]:
    try:
        return unpack(file, packing, into=place.with_suffix(".csv"), also=check.update), check.finish()
    except UnpackError as error:
        return source, error.flaw


def _nameable(path: Path, place: Path) -> Path:
    """The path, or a link to it: Polars opens no path that is no UTF-8."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        place.symlink_to(path)
        return place
    return path


def _opened(source: bytes | Path) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
