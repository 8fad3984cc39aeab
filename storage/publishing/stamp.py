"""What each delivered row says of where it comes from: by which decision, of which model, in which run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from storage.publishing.port import Predictions, Run
from validation.errors import DefinitionError

# Names and types of these columns are an interface: consumers read them.
STAMP: dict[str, pl.DataType] = {
    "prediction_id": pl.String(),
    "run_id": pl.String(),
    "pipeline": pl.String(),
    "partition": pl.String(),
    "sequence": pl.Int64(),
    "model_version": pl.String(),
    "epoch": pl.Int64(),
    "snapshot": pl.String(),
    "scored_at": pl.Datetime("us", "UTC"),
}
_OF_RUN = ("run_id", "pipeline", "partition", "sequence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What stands behind the predictions of a run: the model's version, the ledger's epoch that made it champion (the
    decision's id), the snapshot that it learned from, and when they were made (data time).
    """

    version: str
    epoch: int
    snapshot: str
    scored_at: datetime


def stamped(predictions: pl.DataFrame, run: Run, stamp: Stamp, *, first: int = 0) -> pl.DataFrame:
    """`predictions` with the columns of `STAMP`, by name and type.

    Of `prediction_id`, `model_version`, `epoch` and `snapshot`, what the rows say themselves is left as it is. Without
    an id of the scorer's a row's is its run and position; `first`: the position of this part's first row.
    """
    given = {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "partition": run.partition,
        "sequence": run.sequence,
        "model_version": stamp.version,
        "epoch": stamp.epoch,
        "snapshot": stamp.snapshot,
        "scored_at": stamp.scored_at,
    }
    if taken := [name for name in (*_OF_RUN, "scored_at") if name in predictions.columns]:
        raise DefinitionError(f"predictions have columns {', '.join(taken)}, which each delivery adds; rename them")
    number = pl.int_range(pl.len(), dtype=pl.Int64) + first
    values = {"prediction_id": pl.format("{}-{}", pl.lit(run.run_id), number)}
    values |= {name: pl.lit(value, STAMP[name]) for name, value in given.items()}
    return predictions.with_columns(**{name: values[name] for name in STAMP if name not in predictions.columns})


def checked(run: Run, predictions: Predictions) -> Iterator[pl.DataFrame]:
    """The parts, after a look at each: stamped as `run`, of one schema, as many rows as they say. DefinitionError if
    not: whoever made them is wrong.
    """
    check_stamped(predictions.schema)
    rows = 0
    for part in predictions.parts():
        if part.schema != predictions.schema:
            raise DefinitionError(f"a part of run {run.run_id} has other columns than the run: {_differences(part)}")
        wrong = [name for name in _OF_RUN if not (part[name] == getattr(run, name)).all(ignore_nulls=False)]
        if wrong:
            raise DefinitionError(f"rows of run {run.run_id} have another {', '.join(wrong)}; stamp them with its own")
        rows += part.height
        yield part
    if rows != predictions.rows:
        raise DefinitionError(f"run {run.run_id} announced {predictions.rows:,} rows and brought {rows:,}")


def check_stamped(schema: pl.Schema) -> None:
    """DefinitionError when a column of `STAMP` is missing or has another type."""
    wrong = [
        f"{name} is {schema.get(name, 'missing')}, not {dtype}"
        for name, dtype in STAMP.items()
        if schema.get(name) != dtype
    ]
    if wrong:
        raise DefinitionError(f"predictions are not stamped: {'; '.join(wrong)}; see storage.publishing.stamp.stamped")


def _differences(part: pl.DataFrame) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in part.schema.items())
