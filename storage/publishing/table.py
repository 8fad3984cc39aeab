"""A Delta table: a run takes its partition over in one commit, which carries the markers that make it happen once.

The run's marker says that it is there; the partition's carries the sequence of the run that holds it. Two writers that
would touch the same marker cannot both commit: the second starts anew on the table as it is then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from storage.address import Address
from storage.datafile import data_file
from storage.delta import rows_of, schema_of, served, within
from storage.publishing.evolve import opened
from storage.publishing.parquet import draft, on_disk, write
from storage.publishing.port import Predictions, Published, Run
from storage.publishing.removal import removal
from storage.publishing.stamp import check_stamped, checked
from storage.remote import Remote
from storage.transaction import put, transact
from storage.upkeep import COMPACTION
from validation.errors import ServiceDownError
from validation.failpoints import reached

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class TableChannel:
    """See `storage.publishing.port.Channel`. `work`: a folder of this machine, best on the file system of `place`."""

    place: Address
    remote: Remote
    work: Path
    name: str = "table"

    def publish(self, run: Run, predictions: Predictions) -> Published:
        """Commit the run, unless it is there."""
        check_stamped(predictions.schema)
        with on_disk(f"writing to {self.place}"):
            published = self._published(run, predictions)
        reached("publish.appended")
        return published

    def _published(self, run: Run, predictions: Predictions) -> Published:
        table = opened(self.place, predictions.schema, self.remote)
        added: list[AddAction] = []
        failure: Exception | None = None
        for attempt in range(_ATTEMPTS):
            standing = self._standing(table, run, added)
            if standing is not None:
                return standing
            if not attempt:
                added = self._put(table, run, predictions)
            try:
                self._commit(table, run, added)
            except (CommitFailedError, ServiceDownError) as error:
                failure = error  # of a remote store it may be the answer alone that was lost
            else:
                return Published(place=str(self.place), rows=predictions.rows)
            table = opened(self.place, predictions.schema, self.remote)
        if isinstance(failure, ServiceDownError):
            raise failure
        raise ServiceDownError(
            f"{self.place}: {_ATTEMPTS} commits failed, as other writers were faster; try again later"
        ) from failure

    def _standing(self, table: DeltaTable, run: Run, added: Sequence[AddAction]) -> Published | None:
        """What there is to say when nothing is left to do; `added`: what an attempt of ours may have committed."""
        if self._asked(table, run_marker(run)) is not None:
            with served(self.place, what="reading"):
                mine = rows_of(table, self.place, self.remote).filter(pl.col("run_id") == run.run_id)
                rows = mine.select(pl.len()).collect().item()
            return Published(place=str(self.place), rows=rows, repeated=not self._holds(table, added))
        if (self._asked(table, partition_marker(run)) or 0) > run.sequence:
            return Published(place=str(self.place), rows=0, superseded=True)
        return None

    def _asked(self, table: DeltaTable, marker: str) -> int | None:
        return within(self.place, self.remote, lambda: table.transaction_version(marker), what="reading the log of")

    def _holds(self, table: DeltaTable, added: Sequence[AddAction]) -> bool:
        files = set(pl.DataFrame(table.get_add_actions())["path"]) if added else set()
        return any(action.path in files for action in added)

    def _put(self, table: DeltaTable, run: Run, predictions: Predictions) -> list[AddAction]:
        """Bring the rows into the table's folder, with all its columns."""
        if not predictions.rows:
            list(checked(run, predictions))
            return []
        schema = schema_of(table)
        absent = {name: pl.lit(None, dtype) for name, dtype in schema.items() if name not in predictions.schema}
        whole = (part.with_columns(**absent).select(list(schema)) for part in checked(run, predictions))
        with draft(self.work) as path:
            write(whole, schema, path)
            reached("publish.written")
            return [put(data_file(path), self.place, self.remote)]

    def _commit(self, table: DeltaTable, run: Run, added: Sequence[AddAction]) -> None:
        gone = removal(table, run, place=self.place, remote=self.remote, work=self.work)
        # A removal and a compaction, or another removal, may be of the same file: one of them must fail.
        alone = {COMPACTION: 1} if gone else {}
        markers = {run_marker(run): 1, partition_marker(run): run.sequence, **alone}
        reached("publish.placed")
        transact(table, [*gone, *added], markers=markers, place=self.place, remote=self.remote)


def run_marker(run: Run) -> str:
    """The application transaction that says: this run is in the table."""
    return f"delivery/{run.run_id}/1"


def partition_marker(run: Run) -> str:
    """The one that carries the sequence of the run that holds the partition."""
    return f"partition/{run.pipeline}/{run.partition}"
