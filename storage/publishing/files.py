"""A folder of Parquet files, one for each run: `<run_id>.parquet`. None is ever replaced.

Which runs of a partition supersede which others, `sequence` in their rows tells.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from storage.address import Address
from storage.delta import reading, served
from storage.objects import objects_for
from storage.publishing.parquet import draft, on_disk, write
from storage.publishing.port import Predictions, Published, Run
from storage.publishing.stamp import checked
from storage.remote import Remote
from validation.failpoints import reached


@dataclass(frozen=True, slots=True)
class FilesChannel:
    """See `storage.publishing.port.Channel`. `work`: a folder of this machine, best on the file system of `folder`."""

    folder: Address
    remote: Remote
    work: Path
    name: str = "files"

    def publish(self, run: Run, predictions: Predictions) -> Published:
        """Write the file, unless it is there."""
        place, objects = self.folder / f"{run.run_id}.parquet", objects_for(self.folder, self.remote)
        with on_disk(f"writing {place}"):
            if objects.look(place) is not None:
                return self._there(place)
            with draft(self.work) as path:
                write(checked(run, predictions), predictions.schema, path)
                reached("publish.written")
                if not objects.create_from(path, place):
                    return self._there(place)  # a twin was faster
        reached("publish.filed")
        return Published(place=str(place), rows=predictions.rows)

    def _there(self, place: Address) -> Published:
        with served(place, what="reading"):
            rows = pl.scan_parquet(str(place), glob=False, storage_options=reading(place, self.remote))
            return Published(place=str(place), rows=rows.select(pl.len()).collect().item(), repeated=True)
