"""Who answers in the shadow: loaded through the same cache as champions, and let go when the ledger says so."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling import bundle
from registry.rollout import InShadow
from serving.vetting import Vetter
from storage.log_keeper import Shadow
from storage.masking import needed_columns

LOOK_SECONDS = 3.0
_PAUSE_SECONDS = 60.0  # after a bundle that could not be loaded

_LOG = logging.getLogger(__name__)


class Shadows:
    """Of one pipeline; called by the thread of its log's keeper."""

    def __init__(self, pipeline: str, *, named: Callable[[str], Sequence[InShadow]], vetter: Vetter) -> None:
        self._pipeline, self._named, self._vetter = pipeline, named, vetter
        self._loaded: dict[str, Shadow] = {}  # by the sha256 of the bundle
        self._not_before: dict[str, float] = {}
        self._look_at = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> Sequence[Shadow]:
        """Those that answer now; while the ledger does not answer, those of the last look."""
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_SECONDS
                self._look()
            return tuple(self._loaded.values())

    def _look(self) -> None:
        try:
            named = self._named(self._pipeline)
        except Exception as error:  # noqa: BLE001 - whatever the ledger's driver raises, the log is kept
            _LOG.warning("%s: who answers in the shadow is not known: %s", self._pipeline, error)
            return
        wanted = {one.bundle_sha256: one for one in named}
        self._loaded = {sha256: shadow for sha256, shadow in self._loaded.items() if sha256 in wanted}
        for sha256, one in wanted.items():
            if sha256 not in self._loaded and time.monotonic() >= self._not_before.get(sha256, 0.0):
                self._load(one)

    def _load(self, one: InShadow) -> None:
        try:
            loaded = bundle.load(self._vetter.folder(one.change), sha256=one.bundle_sha256)
            loaded.verify()
            self._loaded[one.bundle_sha256] = _shadow(one.version, loaded)
        except Exception as error:  # noqa: BLE001 - a challenger that cannot be loaded proves nothing, and harms nothing
            _LOG.warning("%s: version %s cannot answer in the shadow: %s", self._pipeline, one.version, error)
            self._not_before[one.bundle_sha256] = time.monotonic() + _PAUSE_SECONDS


def _shadow(version: str, loaded: bundle.Bundle) -> Shadow:
    """NOTE: the rows are what the champion's log holds, whose contract may lack columns of this version's."""
    spec, schema = loaded.model.spec, loaded.raw_schema
    needs = needed_columns(spec.features, schema, loaded.manifest.encoding.names)

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        absent = [name for name in schema if name not in rows.columns and name not in needs]
        return loaded.predict(rows.with_columns(pl.lit(None, schema[name]).alias(name) for name in absent))

    return Shadow(version=version, predict=predict, needs=needs)
