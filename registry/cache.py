"""Bundles on this machine: fetched once, verified against the ledger's digest, kept by their bytes' name."""

import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from registry.ledger import Change
from registry.store import ModelStore
from validation.errors import RegistryError

Digest = Callable[[Path], str]


def cached_bundle(change: Change, store: Callable[[], ModelStore], *, folder: Path, digest: Digest) -> Path:
    """The folder of the bundle that `change` made champion, below `folder`/<pipeline>/<sha256>.

    `store` is called only when the bundle is not here yet, or was damaged here. RegistryError when the stored bytes are
    not the promoted ones.
    """
    place = folder / change.pipeline / change.bundle_sha256
    if _is_intact(place, change, digest):
        return place
    beside = place.with_name(f".{change.bundle_sha256[:12]}.{uuid.uuid4().hex}")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        _clear(place, beside)
        store().fetch(change.pipeline, change.version, into=beside)
        found = digest(beside)
        if found != change.bundle_sha256:
            raise RegistryError(
                f"{change.pipeline} version {change.version}: the stored bundle has sha256 {found[:12]}, the ledger "
                f"promoted {change.bundle_sha256[:12]}; somebody changed it: andon rollback {change.pipeline} --why ..."
            )
        _put(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return place


def _is_intact(place: Path, change: Change, digest: Digest) -> bool:
    try:
        return place.is_dir() and digest(place) == change.bundle_sha256
    except RegistryError:
        return False


def _clear(place: Path, beside: Path) -> None:
    """Take a damaged folder away by a rename, so that no other process finds half of it."""
    with suppress(FileNotFoundError):
        place.replace(beside)
        shutil.rmtree(beside)


def _put(beside: Path, place: Path) -> None:
    try:
        beside.replace(place)
    except OSError:
        if not place.is_dir():  # otherwise another process was faster, with the same bytes
            raise
