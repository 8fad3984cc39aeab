"""Whole files in local folders. See `storage.objects.Objects` for the promises."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from storage.address import Address, shown
from storage.digests import chunks
from storage.found import Found, changed
from storage.globs import Children, matches


class LocalObjects:
    """The adapter for local folders. Folders are made as they are needed."""

    def find(self, glob: Address) -> tuple[Found, ...]:
        """The files that match, by name; a folder that several links lead to is looked into once."""
        seen: set[tuple[int, int]] = set()
        return matches(glob, lambda folder: _children(folder, seen))

    def look(self, address: Address) -> Found | None:
        """The file at this address; None when there is none."""
        try:
            status = address.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _found(address, status) if address.path.is_file() else None

    def fetch(self, address: Address, into: Path, *, stamp: str = "") -> str:
        """Copy the file to `into`; returns its sha256. ContractError when it changes, or goes, meanwhile."""
        before = self.look(address)
        if before is None or stamp not in ("", before.stamp):
            raise changed(address)
        with draft_of(into) as draft:
            digest = _copy(address.path, draft)
            after = self.look(address)
            if after is None or after.stamp != before.stamp:
                raise changed(address)
            draft.replace(into)
        return digest

    def read(self, address: Address) -> bytes:
        """All its bytes; FileNotFoundError when it is not there."""
        return address.path.read_bytes()

    def put(self, file: Path, address: Address) -> None:
        """Store the local file there, in place of what was: whole or not at all."""
        with draft_of(address.path) as draft:
            shutil.copyfile(file, draft)
            _flush(draft)
            draft.replace(address.path)

    def create(self, data: bytes, address: Address) -> bool:
        """Store `data` there unless something is."""
        with draft_of(address.path) as draft:
            draft.write_bytes(data)
            _flush(draft)
            try:
                os.link(draft, address.path)  # whole at once, and refused when the name is taken
            except FileExistsError:
                return False
        return True

    def create_from(self, file: Path, address: Address) -> bool:
        """Store the local file there unless something is: on the same file system it is not copied."""
        address.path.parent.mkdir(parents=True, exist_ok=True)
        _flush(file)
        try:
            _link(file, address.path)
        except FileExistsError:
            return False
        _flush_folder(address.path.parent)
        return True

    def remove(self, address: Address) -> None:
        """Take it away; nothing happens when it is not there."""
        address.path.unlink(missing_ok=True)

    def names(self, folder: Address) -> tuple[str, ...]:
        """The names of the files directly in the folder, sorted."""
        return tuple(sorted(found.address.name for found in _children(folder, set())[1]))


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A draft in the same folder, gone when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _link(file: Path, target: Path) -> None:
    """Whole at once, and refused when the name is taken."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError:  # another file system
        with draft_of(target) as draft:
            shutil.copyfile(file, draft)
            _flush(draft)
            os.link(draft, target)


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        for chunk in chunks(reading):
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()


def _children(folder: Address, seen: set[tuple[int, int]]) -> Children:
    try:
        status = folder.path.stat()
        if (status.st_dev, status.st_ino) in seen:
            return (), ()
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder.path) as entries:
            listed = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return (), ()
    folders = [entry.name for entry in listed if entry.is_dir()]
    return folders, [found for entry in listed if (found := _listed(folder, entry)) is not None]


def _listed(folder: Address, entry: "os.DirEntry[str]") -> Found | None:
    try:
        return _found(folder / entry.name, entry.stat()) if entry.is_file() else None
    except FileNotFoundError:  # taken away between listing and looking
        return None


def _found(address: Address, status: os.stat_result) -> Found:
    """NOTE: ctime tells what a copied mtime hides: a file that was overwritten with one of the same size and age."""
    return Found(
        address=address,
        name=shown(address.name),
        size=status.st_size,
        stamp=f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}",
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )
