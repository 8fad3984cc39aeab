"""What a lineage is made of: values only, all of them JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.ledger import Batch, BatchKind, Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verdict without its numbers, which are in the ledger under `seq`."""

    seq: int
    kind: str
    outcome: str
    reasons: tuple[str, ...]
    data_time: datetime
    recorded_at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """A version as champion from `since` until the next one came (both data time); `until` None: it serves."""

    epoch: int
    since: datetime
    until: datetime | None
    why: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The predictions of one batch: how many rows, by which versions, and where they were delivered."""

    batch: int
    rows: int
    versions: tuple[str, ...]
    through: str
    delivered: tuple[str, ...]
    verdict: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A version: what the gate said, which snapshot it has learned, when it was champion, which batches it answered."""

    version: str
    gate: Told | None
    snapshot: str
    bundle_sha256: str
    reigns: tuple[Reign, ...]
    answered: tuple[Answered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """The batches of one kind in a snapshot: `numbers` as in "1-7,9", their accepted rows, the first and last name."""

    kind: BatchKind
    numbers: str
    batches: int
    rows: int
    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLineage:
    """How a batch was judged, what persons decided about it, who has learned from it, and who answered it.

    `rules`: those that its rows broke, and how many. `same_bytes`, `same_name`: its twins, and others of its name.
    `released_as`: the batches that were made of what had been set aside of it; `released_from`: the inverse.
    `snapshots`: ids of those that hold it; None when this ledger does not say what its models have learned.
    """

    batch: Batch
    verdict: Told | None
    contract: str
    rules: Mapping[str, int]
    suspicions: tuple[str, ...]
    decided: tuple[Told, ...]
    same_bytes: tuple[Batch, ...]
    same_name: tuple[Batch, ...]
    released_as: tuple[Batch, ...]
    released_from: Batch | None
    answered: Answered | None
    snapshots: tuple[str, ...] | None
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLineage:
    """A version and all that stands behind it; `snapshot`: its description, None when the ledger has none."""

    model: Model
    asked: Intent | None
    training: Told | None
    snapshot: Mapping[str, Any] | None
    fed: tuple[Fed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionLineage:
    """One prediction, the version that made it, and the batches that brought its row; none: only the scorer saw it."""

    prediction_id: str
    version: str
    logged_at: datetime
    prediction: Any
    row: Mapping[str, Any]
    model: ModelLineage | None
    batches: tuple[BatchLineage, ...]
