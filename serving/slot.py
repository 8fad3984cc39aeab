"""What a scorer serves: per pipeline one slot, whose one reference is exchanged when the champion changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import numpy.typing as npt
import polars as pl

from registry.ledger import Champion
from serving.decoding import FrameDecoder


class Predictor(Protocol):
    """What serves of a bundle."""

    def predict(self, raw: pl.DataFrame) -> npt.NDArray[Any]:
        """Predictions for raw contract columns, one per row; threads may call it at the same time."""
        ...


class Log(Protocol):
    """What keeps the answered rows (storage/prediction_log.py; the load check keeps none)."""

    @property
    def written(self) -> int:
        """Rows that were kept."""
        ...

    @property
    def dropped(self) -> int:
        """Rows that could not be kept."""
        ...

    def write(
        self, version: str, raw: pl.DataFrame, predictions: npt.NDArray[Any], *, prediction_id: str, at: datetime
    ) -> bool:
        """Keep the rows of one request; False when they had to be dropped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A request's answer: the JSON body, and what its headers tell."""

    body: bytes
    version: str
    prediction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A champion that was loaded and verified, ready to answer. A request keeps the one that it started with."""

    champion: Champion
    loaded_at: datetime
    decoder: FrameDecoder
    predictor: Predictor
    log: Log

    def answer(self, raw: pl.DataFrame, *, at: datetime) -> Answer:
        """Predict, log, and only then answer; rows are logged as `prediction_id`-0, -1, ..."""
        version, prediction_id = self.champion.change.version, uuid4().hex
        predictions = self.predictor.predict(raw)
        body = msgspec.json.encode({"predictions": predictions.tolist()})
        self.log.write(version, raw, predictions, prediction_id=prediction_id, at=at)
        return Answer(body=body, version=version, prediction_id=prediction_id)


class Slot:
    """One pipeline's place. The follower writes, requests read; each attribute is assigned whole."""

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self.served: Served | None = None
        self.trouble = ""  # "refused: ..." or "degraded: ..." while something is wrong

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
