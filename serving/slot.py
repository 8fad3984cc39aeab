"""What a scorer serves: per pipeline one slot, whose one reference is exchanged when the champion changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from registry.ledger import Champion
from serving.http.metrics import LogFigures
from serving.requests.openapi import Described
from serving.requests.rows import Rows


class Decoder(Described, Protocol):
    """From a body to rows (serving/requests/decoding.py)."""

    def decode(self, body: bytes) -> Rows:
        """The rows of the body; RequestError when it does not keep the contract."""
        ...


class Predictor(Protocol):
    """What serves of a bundle (modelling/bundle.py)."""

    @property
    def is_direct(self) -> bool:
        """Whether values go to the model as they are: then one row is cheap, and is not gathered with others."""
        ...

    def predict_values(self, columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Predictions for raw values, column by column: one for each row; threads may call it at the same time.

        UnknownLevelError when the caller sent a category that the definition refuses.
        """
        ...


class Log(LogFigures, Protocol):
    """What keeps the answered rows (storage/prediction_log.py; the load check keeps none)."""

    def append(
        self,
        version: str,
        columns: Sequence[Sequence[Any]],
        predictions: Sequence[Any],
        *,
        prediction_id: str,
        at_us: int,
    ) -> bool:
        """Keep the rows of one request; False when they had to be dropped."""
        ...


class Lookups(Protocol):
    """A worker's view of reference tables (serving/lookups.py)."""

    @property
    def trouble(self) -> str:
        """Why the last look at them failed; "" when it did not."""
        ...

    @property
    def age_seconds(self) -> float:
        """Seconds since they were last known to be up to date; inf while they never were."""
        ...

    def fill(self, rows: Rows) -> None:
        """Put the newest known values in the place of those that the request did not bring."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A champion that was loaded and verified, ready to answer. A request keeps the one that it started with."""

    champion: Champion
    loaded_at: datetime
    decoder: Decoder
    predictor: Predictor
    log: Log
    lookups: Lookups | None = None


class Slot:
    """One pipeline's place. Who follows the ledger writes, requests read; each attribute is assigned whole."""

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self.served: Served | None = None
        self.trouble = ""  # "refused: ..." or "degraded: ..." while something is wrong
        self.looked_at: datetime | None = None  # when the ledger answered last
        self.workers: Mapping[str, str] = {}  # the version that each worker serves, as the supervisor knows it

    @property
    def status(self) -> str:
        """One of "ready", "no champion", "refused: why", "degraded: why"; the last two may still be serving."""
        return self.trouble or ("ready" if self.served else "no champion")

    def describe(self) -> Mapping[str, Any]:
        """What /version tells."""
        served = self.served
        if served is None:
            return {"status": self.status, "version": None, "sha256": None, "epoch": None, "loaded_at": None}
        return {
            "status": self.status,
            "version": served.champion.change.version,
            "sha256": served.champion.change.bundle_sha256,
            "epoch": served.champion.epoch,
            "loaded_at": served.loaded_at,
            "log": {"written": served.log.written, "dropped": served.log.dropped},
        }
