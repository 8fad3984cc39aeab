"""A batch's part in the prediction log: read like what the scorer has logged, masked, and never replaced."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from storage.log_parts import keep_part
from storage.masking import LogPolicy
from storage.prediction_log import read_predictions

NOW = datetime(2013, 4, 8, tzinfo=UTC)
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "name": pl.String(),
    "weight": pl.Float64(),
}
ROWS = pl.DataFrame(
    {
        "prediction_id": ["run-0", "run-1"],
        "version": "7",
        "prediction": [0.25, 0.5],
        "id": pl.Series([1, 2], dtype=pl.Int32),
        "at": pl.Series([NOW, NOW], dtype=pl.Datetime("us", "UTC")),
        "name": ["ann", None],
        "weight": [1.5, 2.5],
    }
)


def keep(folder: Path, rows: pl.DataFrame = ROWS, policy: LogPolicy | None = None) -> Path:
    return keep_part(folder, "run.00000", rows, schema=SCHEMA, at=NOW, policy=policy or LogPolicy())


def read(folder: Path) -> pl.DataFrame:
    return read_predictions(folder, SCHEMA, key=("id",), time="at")


def test_it_is_read_as_it_was_given_in_the_schemas_types(tmp_path: Path) -> None:
    keep(tmp_path)
    found = read(tmp_path)
    expected = ROWS.with_columns(pl.col("id").cast(pl.Int64), logged_at=pl.lit(NOW, pl.Datetime("us", "UTC")))
    assert found.equals(expected.select(found.columns))
    assert found.columns == ["prediction_id", "version", "logged_at", "prediction", *SCHEMA]


def test_what_the_log_may_not_hold_never_reaches_the_disk(tmp_path: Path) -> None:
    share = LogPolicy(share=0.0, left_out=("weight",), hashed=("name",), key=b"a key of some length")
    path = keep(tmp_path, policy=share)
    assert read(tmp_path)["weight"].to_list() == [None, None]
    assert [None if name is None else len(name) for name in read(tmp_path)["name"]] == [32, None]
    assert b"ann" not in path.read_bytes()
    assert read(tmp_path).height == 2, "the share is of single requests"


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    before = keep(tmp_path).stat()
    after = keep(tmp_path, ROWS.with_columns(prediction=pl.lit(9.0))).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in tmp_path.iterdir()] == ["run.00000.parquet"]
