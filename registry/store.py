"""The model store: versions of bundles with what is told about them. A port; MLflow keeps it (mlflow_store.py).

The store is a projection: who is champion follows from the ledger. Promises (tests/contract/test_store.py): a version,
once registered, is never changed; versions are compared as numbers, never as strings; `fetch` gives the bytes that
were registered; `project` is idempotent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The rows that a challenger learned from, for the store to show: their digest (sha256), the table at `source` that
    they are a snapshot of, column names with types (as Polars names them), and a `profile` of JSON values.
    """

    name: str
    digest: str
    source: str
    columns: Mapping[str, str]
    profile: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A challenger to be registered: its bundle's folder and what its run should tell.

    `metrics`, `params`, `tags` are shown as they are; `notes` is the verdict in Markdown; `trials` are the losses of
    the search's trials, in order; `learned` are the rows behind it. `intent` (with `attempt`) makes the version
    findable after a crash.
    """

    pipeline: str
    bundle: Path
    bundle_sha256: str
    intent: str
    attempt: int
    verdict: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    trials: tuple[float, ...] = ()
    notes: str = ""
    learned: Learned | None = None


class ModelStore(Protocol):
    """See the module's promises."""

    def register(self, submission: Submission) -> str:
        """Store the bundle as a new version, point the alias `challenger` at it, and return the version ("1", "2")."""
        ...

    def find(self, pipeline: str, *, intent: str) -> str | None:
        """The newest version that was registered for this intent, or None."""
        ...

    def fetch(self, pipeline: str, version: str, *, into: Path) -> Path:
        """Copy the version's bundle into the new folder `into` and return it; NoChampionError when there is none."""
        ...

    def project(self, pipeline: str, version: str | None) -> None:
        """Point the alias `champion` at the version (None: remove it)."""
        ...

    def projected(self, pipeline: str) -> str | None:
        """The version that the alias `champion` points at."""
        ...
