"""In a worker: from a verified folder to a champion that can serve, with decoder, lookups and log, warmed up."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from andon.schemas import looked_up_schema
from andon.settings import Settings
from modelling import bundle
from modelling.golden import from_json
from modelling.spec import Task
from registry.ledger import Champion
from serving.ledger_link import LedgerLink
from serving.lookups import LookupTables
from serving.requests.decoding import RowsDecoder
from serving.slot import Log, Lookups, Served
from storage.lake import open_lake
from storage.masking import LogPolicy
from storage.prediction_log import PredictionLog

_WARM_ROWS = 8
_LogKey = tuple[str, Task, LogPolicy, tuple[tuple[str, pl.DataType], ...]]


class Loader:
    """Loads what the supervisor has fetched and verified. `close` when nothing is served any more."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lake = settings, open_lake(settings)
        self._link = LedgerLink(settings.ledger)  # asked by bundles that look something up, and by no other
        self._logs: dict[_LogKey, PredictionLog] = {}
        self._lock = threading.Lock()

    def load(self, champion: Champion, folder: Path, *, before: Served | None = None) -> Served:
        """The champion, ready to serve; raises when its bytes are not the promoted ones. `before`: what served so far,
        whose lookups need not be read again.
        """
        loaded = bundle.load(folder, sha256=champion.change.bundle_sha256)
        rows = from_json(loaded.manifest.golden_rows[:_WARM_ROWS], loaded.raw_schema)
        loaded.predict_values([column.to_list() for column in rows])  # what is computed at the first call, and pages
        lookups = self._lookups(loaded, before.lookups if before is not None else None)
        return ready(loaded, champion, self._log(champion.change.pipeline, loaded), lookups)

    def close(self) -> None:
        """Close all logs: what they hold can be read, and the keeper makes it Parquet."""
        with self._lock:
            for log in self._logs.values():
                log.close()

    def _lookups(self, loaded: bundle.Bundle, before: Lookups | None) -> LookupTables | None:
        if not getattr(loaded.definition, "lookups", ()):
            return None
        like = before if isinstance(before, LookupTables) else None
        return LookupTables.of(loaded, ledger=self._link.ledger, lake=self._lake, like=like)

    def _log(self, pipeline: str, loaded: bundle.Bundle) -> PredictionLog:
        """One log for each task, schema and policy; an earlier one stays open for requests that are still under way.

        NOTE: the answers of a segment are one column, which cannot hold a number and a list of them.
        """
        policy = LogPolicy.of(loaded.serving, self._settings)
        key = (pipeline, loaded.manifest.task, policy, tuple(loaded.raw_schema.items()))
        with self._lock:
            if key not in self._logs:
                self._logs[key] = PredictionLog(
                    self._lake.predictions(pipeline), loaded.raw_schema, keep=policy, compacting=False
                )
            return self._logs[key]


def ready(loaded: bundle.Bundle, champion: Champion, log: Log, lookups: Lookups | None = None) -> Served:
    """The loaded bundle, ready to serve as `champion`; DefinitionError when JSON cannot carry its columns."""
    return Served(
        champion=champion,
        loaded_at=datetime.now(UTC),
        decoder=decoder_of(loaded),
        predictor=loaded,
        log=log,
        lookups=lookups,
    )


def decoder_of(loaded: bundle.Bundle) -> RowsDecoder:
    """What takes the bodies for this bundle; the columns of each of its lookups may be left out."""
    lookups = getattr(loaded.definition, "lookups", ())
    looked_up = {f"{number} {lookup.table.name}": looked_up_schema(lookup) for number, lookup in enumerate(lookups)}
    required = {*loaded.manifest.key, loaded.manifest.time}
    return RowsDecoder(loaded.raw_schema, required=required, looked_up=looked_up)
