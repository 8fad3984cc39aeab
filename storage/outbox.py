"""What a run of batch scoring has made, until all of its channels have it: a folder in the lake, part by part.

The parts are the resumable state: one that is there is never scored again. The manifest comes first and says whose
predictions they are, so a promotion in between changes nothing of a run that began. See `Predictions` and `Run` in
storage/publishing for who reads it.
"""

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from storage.address import Address
from storage.lake import Lake
from storage.objects import Objects, objects_for
from storage.partitions import Partition
from storage.publishing.port import Run
from storage.publishing.stamp import Stamp
from validation.errors import DefinitionError, RegistryError

_MANIFEST = "run.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run as it began: of which batch, by which champion (version, bundle, epoch), cut into which partitions.

    `sequence`: how often the batch was scored before; `scored_at`: data time; `began_at`: the ledger's clock; `cut_by`:
    the Polars that cut it, since pieces of a moment are told apart by its hashes.
    """

    pipeline: str
    run_id: str
    batch: int
    sequence: int
    version: str
    bundle_sha256: str
    epoch: int
    snapshot: str
    scored_at: datetime
    began_at: datetime
    partitions: tuple[Partition, ...]
    cut_by: str = pl.__version__

    @property
    def rows(self) -> int:
        """Of all partitions."""
        return sum(part.rows for part in self.partitions)

    @property
    def run(self) -> Run:
        """What the channels know it by: a batch is a partition, of which a newer run replaces the rows."""
        return Run(pipeline=self.pipeline, run_id=self.run_id, partition=str(self.batch), sequence=self.sequence)

    @property
    def stamp(self) -> Stamp:
        """What stands behind its predictions."""
        return Stamp(version=self.version, epoch=self.epoch, snapshot=self.snapshot, scored_at=self.scored_at)

    def first_row(self, number: int) -> int:
        """The position, among all rows of the run, of the first of a partition."""
        return sum(part.rows for part in self.partitions[:number])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """The outbox of one run. `work`: a folder of this machine for files that are being made."""

    folder: Address
    objects: Objects
    work: Path

    def manifest(self) -> Manifest | None:
        """The run as it began; None when it did not, or is over. RegistryError when it cannot be read."""
        try:
            data = self.objects.read(self.folder / _MANIFEST)
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.MsgspecError as cause:
            raise RegistryError(f"{self.folder} is damaged: {cause}; remove this folder, and score again") from cause

    def begin(self, manifest: Manifest) -> Manifest:
        """Write it down, unless the run has begun; the first one stands, and is returned."""
        self.objects.create(msgspec.json.encode(manifest), self.folder / _MANIFEST)
        found = self.manifest()
        return manifest if found is None else found

    def missing(self, manifest: Manifest) -> tuple[int, ...]:
        """The numbers of the partitions that are not scored yet, in order."""
        there = set(self.objects.names(self.folder))
        return tuple(number for number in range(len(manifest.partitions)) if _part(number) not in there)

    def put(self, number: int, rows: pl.DataFrame) -> None:
        """The partition's predictions, as they are to be delivered: whole or not there."""
        path = self.work / f"{uuid.uuid4().hex}.parquet"
        try:
            rows.write_parquet(path, compression="zstd", compression_level=1)
            self.objects.put(path, self.folder / _part(number))
        finally:
            path.unlink(missing_ok=True)

    def read(self, number: int) -> pl.DataFrame:
        """The partition's predictions; FileNotFoundError when they are not there."""
        return pl.read_parquet(self._bytes(number))

    def versions(self, manifest: Manifest) -> tuple[str, ...]:
        """The versions that answered, sorted: one, unless the scorer was asked."""
        parts = (self._bytes(number) for number in range(len(manifest.partitions)))
        found = [pl.read_parquet(part, columns=["model_version"])["model_version"].unique() for part in parts]
        return tuple(sorted({version for versions in found for version in versions}))

    def predictions(self, manifest: Manifest) -> "Outgoing":
        """All of them, for the channels; there must be no part missing."""
        return Outgoing(outbox=self, manifest=manifest, schema=self.read(0).schema)

    def remove(self) -> None:
        """Take the run away, parts first: as long as the manifest is there, `runs_in` finds what is left."""
        names = [name for name in self.objects.names(self.folder) if name != _MANIFEST]
        for name in (*names, _MANIFEST):
            self.objects.remove(self.folder / name)
        if not self.folder.is_remote and self.folder.path.is_dir() and not any(self.folder.path.iterdir()):
            self.folder.path.rmdir()

    def _bytes(self, number: int) -> io.BytesIO:
        return io.BytesIO(self.objects.read(self.folder / _part(number)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """The predictions of a finished run as the channels take them (`Predictions`): one part in memory at a time."""

    outbox: Outbox
    manifest: Manifest
    schema: pl.Schema

    @property
    def rows(self) -> int:
        """Of all parts."""
        return self.manifest.rows

    def parts(self) -> Iterator[pl.DataFrame]:
        """Each partition's rows, in order of time; can be iterated again."""
        return (self.outbox.read(number) for number in range(len(self.manifest.partitions)))


def run_id_of(pipeline: str, batch: int) -> str:
    """The name of a batch's run, for ever and in every channel."""
    return f"{pipeline}-{batch}"


def outbox_of(lake: Lake, pipeline: str, run_id: str, *, work: Path) -> Outbox:
    """The outbox of a run, which need not be there."""
    if not run_id or Path(run_id).name != run_id:
        raise DefinitionError(f"run_id must be a plain file name, got {run_id!r}")
    folder = lake.root / "outbox" / pipeline / run_id
    return Outbox(folder=folder, objects=objects_for(folder, lake.remote), work=work)


def runs_in(lake: Lake, pipeline: str) -> tuple[str, ...]:
    """The ids of the pipeline's runs that have an outbox, sorted."""
    found = lake.objects.find(lake.glob(f"outbox/{pipeline}/*/{_MANIFEST}"))
    return tuple(sorted(item.address.parent.name for item in found))


def _part(number: int) -> str:
    return f"part-{number:05d}.parquet"
