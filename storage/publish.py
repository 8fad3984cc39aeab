"""Predictions on their way to whoever uses them: a Parquet file, a Delta table, each exactly once per run.

The first delivery of a run stands: a repetition, after a crash in between, completes it and changes nothing.
"""

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from storage import tables
from storage.address import Address
from storage.objects import objects_for
from storage.remote import Remote
from validation.errors import DefinitionError
from validation.failpoints import reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What stands behind a prediction: the model's version, the ledger's epoch that made it champion, and when it was
    made (data time).
    """

    pipeline: str
    version: str
    epoch: int
    scored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Where a delivery went; None where none was asked for. `repeated`: nothing was new."""

    file: Address | None
    table: Address | None
    rows: int
    repeated: bool


def stamped(predictions: pl.DataFrame, stamp: Stamp, *, run_id: str) -> pl.DataFrame:
    """`predictions` with run, version, epoch and moment in each row; what it already says itself is left as it is.

    Without a `prediction_id` of the scorer's, a row's is its run and position.
    """
    proof = {
        "prediction_id": pl.format("{}-{}", pl.lit(run_id), pl.int_range(pl.len())),
        "run_id": pl.lit(run_id),
        "pipeline": pl.lit(stamp.pipeline),
        "model_version": pl.lit(stamp.version),
        "epoch": pl.lit(stamp.epoch, pl.Int64),
        "scored_at": pl.lit(stamp.scored_at, pl.Datetime("us", "UTC")),
    }
    return predictions.with_columns(**{name: value for name, value in proof.items() if name not in predictions.columns})


def deliver(
    predictions: pl.DataFrame,
    *,
    run_id: str,
    files: Address | None,
    table: Address | None,
    remote: Remote,
    work: Path,
) -> Delivered:
    """Write `predictions` (stamped) to `files`/<run_id>.parquet and append them to `table`, each unless done before.

    `work`: a folder of this machine for files that are being made.
    """
    if not run_id or Path(run_id).name != run_id:
        raise DefinitionError(f"run_id must be a plain file name, got {run_id!r}")
    file, written = None, False
    if files is not None:
        file, objects = files / f"{run_id}.parquet", objects_for(files, remote)
        written = objects.create(_as_parquet(predictions), file)
        # The table gets what the file says, even if a newer champion scored the repetition.
        predictions = pl.read_parquet(io.BytesIO(objects.read(file)))
        reached("publish.filed")
    marker = f"delivery/{run_id}/1"
    appended = table is not None and tables.append(
        table, predictions.lazy(), markers=[marker], remote=remote, work=work
    )
    reached("publish.appended")
    return Delivered(file=file, table=table, rows=predictions.height, repeated=not (written or appended))


def _as_parquet(frame: pl.DataFrame) -> bytes:
    data = io.BytesIO()
    frame.write_parquet(data)
    return data.getvalue()
