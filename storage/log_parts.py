"""Predictions of a batch for the prediction log: a whole Parquet file for each part, and not a message a row.

A repetition finds the file there, so the log holds each row of a batch once.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import polars as pl

from storage.lake import write_whole
from storage.logged import PARQUET
from storage.masking import LogPolicy
from storage.segment import META


def keep_part(
    folder: Path,
    name: str,
    rows: pl.DataFrame,
    *,
    schema: Mapping[str, pl.DataType],
    at: datetime,
    policy: LogPolicy,
) -> Path:
    """Write `rows` as the file `name` of the log in `folder`, masked by `policy`, unless it is there: it is never
    replaced under its readers. OSError when that is not possible.

    They have prediction_id, version and prediction beside the columns of `schema`, which come in its types. `at`: when
    the run began, so that a repetition is no later than the first attempt. All rows are kept, whatever the policy's
    share of single requests.
    """
    path = folder / f"{name}{PARQUET}"
    if path.exists():
        return path
    masked = policy.mask(rows.select(pl.col(column).cast(dtype) for column, dtype in schema.items()))
    frame = rows.select("prediction_id", "version", "prediction").with_columns(logged_at=pl.lit(at, META["logged_at"]))
    whole = pl.concat([frame, masked], how="horizontal").select(*META, "prediction", *schema)
    return write_whole(path, lambda beside: whole.write_parquet(beside, compression="zstd", compression_level=1))
