"""Where everything lies below one root, and how a local file gets there whole or not at all. Never reads data."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from andon.settings import Settings
from storage.address import Address
from storage.globs import escaped
from storage.objects import Objects, objects_for
from storage.remote import Remote
from validation.errors import DefinitionError

Kind = Literal["rows", "labels"] | str  # or the name of a reference table


@dataclass(frozen=True, slots=True, init=False)
class Lake:
    """Addresses in one data lake. `root`: a local folder or `s3://bucket/prefix`, reached by `remote`; `local`: the
    folder for what must lie on this machine, below the root unless that is in a bucket.
    """

    root: Address
    remote: Remote
    local: Path | None

    def __init__(self, root: Address | Path | str, remote: Remote | None = None, local: Path | None = None) -> None:
        object.__setattr__(self, "root", Address.of(root))
        object.__setattr__(self, "remote", remote or Remote())
        object.__setattr__(self, "local", local)

    @property
    def objects(self) -> Objects:
        """What reads and writes whole files below the root."""
        return objects_for(self.root, self.remote)

    def curated(self, pipeline: str) -> Address:
        """The Delta table of the accepted rows: the contract's columns, `_batch` and `_known_at`."""
        return self.root / "curated" / pipeline

    def labels(self, pipeline: str) -> Address:
        """The Delta table of the labels: key, target, known_at, `_batch` and `_known_at`."""
        return self.root / "labels" / pipeline

    def table(self, pipeline: str, name: str) -> Address:
        """The Delta table of a reference table's rows."""
        return self.root / "tables" / pipeline / name

    def quarantine(self, pipeline: str, kind: Kind = "rows") -> Address:
        """The folder of what was set aside; labels and tables have one each, as their batches count apart."""
        folder = self.root / "quarantine" / pipeline
        return folder if kind == "rows" else folder / kind

    def profiles(self, pipeline: str, kind: Kind = "rows") -> Address:
        """The folder of what each batch looked like, for the comparison with the next."""
        return self.root / "profiles" / pipeline / kind

    def predictions(self, pipeline: str) -> Path:
        """The folder of the prediction log: always on this machine, since the scorer never waits for a bucket."""
        if self.local is None and self.root.is_remote:
            raise DefinitionError(f"the prediction log needs a local folder, the lake is {self.root}; name one: local=")
        return (self.local or self.root.path) / "predictions" / pipeline

    def delivery(self, place: str) -> Address:
        """Where a delivery goes that the pipeline names, like "scores/flights"; it must stay below the lake."""
        tidy = os.path.normpath(place)
        if ":/" in place or tidy.startswith("/") or tidy.split("/")[0] in (".", ".."):
            raise DefinitionError(f"delivery must be a folder below the lake like 'scores/flights', got {place!r}")
        return self.root / tidy

    def glob(self, path: str) -> Address:
        """Where files land that the pipeline names: a glob below the root, or s3://bucket/... elsewhere."""
        return Address.of(path) if path.startswith("s3://") else escaped(self.root) / path


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name."""
    remote = Remote(endpoint=settings.s3_endpoint, region=settings.s3_region, seconds=settings.remote_seconds)
    return Lake(settings.lake_root, remote, settings.local_data)


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside `path`, then put it in its place: a reader, a full disk or a SIGKILL finds the
    old file or the new one, never half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
