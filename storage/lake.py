"""Where everything lies below one root folder, and how a file gets there whole or not at all. Never reads data."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from validation.errors import DefinitionError

Kind = Literal["rows", "labels"]


@dataclass(frozen=True, slots=True)
class Lake:
    """Paths of one data lake. `root` is a local folder; `s3://` and other addresses are refused, not yet supported."""

    root: Path

    def __post_init__(self) -> None:
        text = os.fspath(self.root)
        if ":/" in text:  # Path("s3://bucket") has already become s3:/bucket
            raise DefinitionError(f"lake: s3:// and other addresses are not yet read, got {text}; name a local folder")
        object.__setattr__(self, "root", Path(text).absolute())

    def curated(self, pipeline: str) -> Path:
        """The Delta table of the accepted rows: the contract's columns and `_batch`."""
        return self.root / "curated" / pipeline

    def labels(self, pipeline: str) -> Path:
        """The Delta table of the labels: key, target, known_at and `_batch`."""
        return self.root / "labels" / pipeline

    def quarantine(self, pipeline: str, kind: Kind = "rows") -> Path:
        """The folder of what was set aside; label files have one of their own, as their batches count on their own."""
        folder = self.root / "quarantine" / pipeline
        return folder if kind == "rows" else folder / "labels"

    def predictions(self, pipeline: str) -> Path:
        """The folder of the prediction log."""
        return self.root / "predictions" / pipeline

    def delivery(self, place: str) -> Path:
        """Where a delivery goes that the pipeline names, like "scores/flights"; it must stay below the lake."""
        path = Path(os.path.normpath(self.root / place))
        if ":/" in place or self.root not in path.parents:
            raise DefinitionError(f"delivery must be a folder below the lake like 'scores/flights', got {place!r}")
        return path


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
