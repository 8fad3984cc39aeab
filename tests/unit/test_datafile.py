"""Data files: what Delta's log will say of them is true of every row, or is not said."""

import json
from datetime import date, datetime
from pathlib import Path

import polars as pl

from storage.datafile import data_file, sink

AT = datetime(2013, 4, 8, 10, 30, 0, 123456)  # noqa: DTZ001 - a column without a zone has such


def test_what_a_file_says_of_its_rows(tmp_path: Path) -> None:
    """No range for floats (NaN is in none), for long texts (cut in the footer), and where there are only nulls."""
    frame = pl.DataFrame(
        {
            "n": [3, 1, None],
            "at": pl.Series([AT, AT.replace(year=2012), None]).dt.replace_time_zone("UTC"),
            "local": pl.Series([AT, AT, AT]),
            "day": [date(2013, 4, 8), None, date(2012, 1, 1)],
            "text": ["b", "a", "ü"],
            "long": ["b", "a", "x" * 49],
            "share": [0.5, float("nan"), None],
            "nothing": pl.Series([None, None, None], dtype=pl.Int64),
            "far": pl.Series([10**17, None, None]).cast(pl.Datetime("us", "UTC")),
            "parts": [[1.0], None, []],
        }
    )
    sink(frame.lazy(), tmp_path / "rows.parquet")
    file = data_file(tmp_path / "rows.parquet")
    assert (file.rows, file.schema) == (3, frame.schema)
    assert json.loads(file.stats) == {
        "numRecords": 3,
        "nullCount": {
            "n": 1, "at": 1, "local": 0, "day": 1, "text": 0, "long": 0, "share": 1, "nothing": 3, "far": 2,
        },
        "minValues": {
            "n": 1, "at": "2012-04-08T10:30:00.123456Z", "local": "2013-04-08T10:30:00.123456", "day": "2012-01-01",
            "text": "a", "far": "5138-11-16T09:46:40.000000Z",
        },
        "maxValues": {
            "n": 3, "at": "2013-04-08T10:30:00.123456Z", "local": "2013-04-08T10:30:00.123456", "day": "2013-04-08",
            "text": "ü", "far": "5138-11-16T09:46:40.000000Z",
        },
    }  # fmt: skip


def test_a_moment_beyond_the_years_that_python_knows_has_no_range(tmp_path: Path) -> None:
    frame = pl.DataFrame({"at": pl.Series([10**18]).cast(pl.Datetime("us", "UTC"))})
    sink(frame.lazy(), tmp_path / "rows.parquet")
    stats = json.loads(data_file(tmp_path / "rows.parquet").stats)
    assert stats == {"numRecords": 1, "nullCount": {"at": 0}, "minValues": {}, "maxValues": {}}
