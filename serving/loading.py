"""From a champion in the ledger to one that can serve: fetched, verified, warmed up, with decoder and log."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from modelling import bundle
from registry.cache import cached_bundle
from registry.ledger import Champion
from registry.store import ModelStore
from serving.decoding import FrameDecoder
from serving.slot import Log, Served
from storage.lake import Lake
from storage.prediction_log import PredictionLog
from validation.failpoints import reached

_LogKey = tuple[str, tuple[tuple[str, pl.DataType], ...]]


class Loader:
    """Loads champions. `bundles` is this machine's cache; `store` is opened only for what is not in it."""

    def __init__(self, *, bundles: Path, store: Callable[[], ModelStore], lake: Lake) -> None:
        self._bundles, self._store, self._lake = bundles, store, lake
        self._logs: dict[_LogKey, PredictionLog] = {}
        self._lock = threading.Lock()

    def load(self, champion: Champion) -> Served:
        """The champion, ready to serve; raises when its bytes are not the promoted ones or its golden rows differ."""
        change = champion.change
        folder = cached_bundle(change, self._store, folder=self._bundles, digest=bundle.digest)
        reached("scorer.fetched")
        loaded = bundle.load(folder, sha256=change.bundle_sha256)
        loaded.verify()  # its predictions also warm up LightGBM and the feature plan
        reached("scorer.loaded")
        return ready(loaded, champion, self._log(change.pipeline, dict(loaded.raw_schema)))

    def close(self) -> None:
        """Close all logs: what they hold is Parquet afterwards."""
        with self._lock:
            for log in self._logs.values():
                log.close()

    def _log(self, pipeline: str, schema: dict[str, pl.DataType]) -> PredictionLog:
        """One log for each schema; an earlier one stays open for requests that are still under way."""
        key = (pipeline, tuple(schema.items()))
        with self._lock:
            if key not in self._logs:
                self._logs[key] = PredictionLog(self._lake.predictions(pipeline), schema)
            return self._logs[key]


def ready(loaded: bundle.Bundle, champion: Champion, log: Log) -> Served:
    """The loaded bundle, ready to serve as `champion`; DefinitionError when JSON cannot carry its columns."""
    return Served(
        champion=champion,
        loaded_at=datetime.now(UTC),
        decoder=FrameDecoder(loaded.raw_schema, required={*loaded.manifest.key, loaded.manifest.time}),
        predictor=loaded,
        log=log,
    )
