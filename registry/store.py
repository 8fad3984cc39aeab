"""The model store: versions of bundles with what is told about them. A port; MLflow keeps it (mlflow_store.py).

The store is a projection: who is champion follows from the ledger. Promises (tests/contract/test_store.py): the bytes
of a version, once registered, are never changed, and `fetch` gives them back; versions are compared as numbers, never
as strings; everything else may be repeated at any time, with the same end: `register`, `project`, `tell`, `describe`,
`abandoned`, `attach`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ABANDONED = "abandoned"  # the verdict of a version whose attempt died before the gate's verdict stood in the ledger
TOLD = "andon."  # what begins so is the ledger's word about a version; other tags are the store's own, or a person's


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
class Study:
    """A search for a better recipe, for the store to show: one run for all of it, whose steps are the trials.

    `name`: the same for a search that went on after a crash. `losses`: of the trials, in order; `metrics`: what it came
    to, its best parameters among them; `ended`: why. `curves`: name -> (round, loss) of the winner, round by round.
    """

    name: str
    losses: tuple[float, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    ended: str = ""
    curves: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A challenger to be registered: its bundle's folder and what its run should tell.

    `metrics`, `params`, `tags` are shown as they are; `notes` is the verdict in Markdown; `study` is the search that
    found its recipe, if one did; `learned` are the rows behind it; `evidence` are files (name -> content) that show how
    the gate came to its verdict, `files` others beside the bundle, as `attach` takes them. `intent` (with `attempt`)
    makes the version findable after a crash.
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
    study: Study | None = None
    notes: str = ""
    learned: Learned | None = None
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the store says about one pipeline: its `story`, and by version the tags that begin with TOLD."""

    story: str
    tags: Mapping[str, Mapping[str, str]]


class ModelStore(Protocol):
    """See the module's promises."""

    def register(self, submission: Submission) -> str:
        """Store the bundle as a new version, point the alias `challenger` at it, and return the version ("1", "2").

        When the same bundle (by its sha256) was registered for this intent before, that version is returned, with what
        is told of it (verdict, metrics, tags, notes, files) as it is now: a dead attempt's, or another look at it.
        """
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

    def shown(self, pipeline: str) -> Shown:
        """What `tell` and `describe` have written, or anybody since; nothing for an unknown pipeline."""
        ...

    def tell(self, pipeline: str, version: str, *, tags: Mapping[str, str], notes: str | None = None) -> None:
        """Make the version's tags that begin with TOLD exactly these, and its description `notes`, if given.

        Other tags stay; too long texts are cut. NoChampionError for an unknown version.
        """
        ...

    def describe(self, pipeline: str, text: str) -> None:
        """Make `text` the pipeline's story; too long ones are cut. Nothing happens while there is no version yet."""
        ...

    def attach(self, pipeline: str, version: str, files: Mapping[str, bytes]) -> str:
        """Put files (a relative name with "/" -> content) beside the version, in one call; of a name that is there the
        content is replaced, other files stay, the bundle is never touched.

        Returns where a person finds them: a page of the store's own, or "" when it has none. NoChampionError for an
        unknown version, RegistryError for a name that leaves the version's place or would change its bundle.
        """
        ...

    def abandoned(self, pipeline: str, *, judged: Collection[str], mark: bool = True) -> tuple[str, ...]:
        """What dead attempts have left behind, in sentences; each is told once, until it is marked.

        A version that is not among `judged` (all that the ledger knows) has the status ABANDONED then; a run that is
        still said to be running is ended. The alias `challenger` moves from such a version to the newest judged one.
        Only for a caller who knows that nobody is training: who is would be taken for dead. `mark` False changes
        nothing.
        """
        ...
