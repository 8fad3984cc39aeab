"""Tables: each batch exactly once, whoever repeats, races or dies; never a value changed without a word."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from storage.tables import append, known_keys, scan
from validation.errors import ContractError

ROWS = pl.DataFrame({"key": ["a", "b"], "n": [1, None], "_batch": [1, 1]})

# Waits until the file "go" exists, then appends as many rows as it is told.
WRITER = """
import sys, time
from pathlib import Path
import polars as pl
from storage.tables import append
table, go, rows, version = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
frame = pl.DataFrame({"key": pl.Series(range(rows), dtype=pl.Int64) * 7919 % 1_000_003, "_batch": [version] * rows})
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
print(append(table, frame, app_id="flights", version=version), flush=True)
"""


def writer(table: Path, go: Path, *, rows: int, version: int = 1) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(table), str(go), str(rows), str(version)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def rows(table: Path) -> pl.DataFrame:
    found = scan(table)
    assert found is not None
    return found.collect()


def test_a_table_that_was_never_written_has_no_rows(tmp_path: Path) -> None:
    assert scan(tmp_path / "flights") is None


def test_the_same_batch_is_appended_once(tmp_path: Path) -> None:
    assert append(tmp_path, ROWS, app_id="flights", version=1)
    assert not append(tmp_path, ROWS, app_id="flights", version=1)
    assert rows(tmp_path).sort("key").equals(ROWS)


def test_a_batch_that_is_finished_after_its_successor_is_not_lost(tmp_path: Path) -> None:
    assert append(tmp_path, ROWS, app_id="flights", version=2)
    assert append(tmp_path, ROWS, app_id="flights", version=1)
    assert rows(tmp_path).height == 4


def test_an_empty_batch_is_remembered_as_well(tmp_path: Path) -> None:
    assert append(tmp_path, ROWS.clear(), app_id="flights", version=1)
    assert not append(tmp_path, ROWS, app_id="flights", version=1)
    assert rows(tmp_path).equals(ROWS.clear())


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    append(tmp_path, ROWS, app_id="flights", version=1)
    append(tmp_path, ROWS.select("_batch", "n", "key"), app_id="flights", version=2)
    assert rows(tmp_path).columns == ["key", "n", "_batch"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ROWS.with_columns(n=pl.Series([0.7, 1.9])), "'n' is Float64, the table holds Int64; convert the columns"),
        (ROWS.drop("n"), "'n' is missing, the table holds Int64"),
        (ROWS.with_columns(more=1), "'more' is Int32, the table holds no such column"),
    ],
)
def test_other_columns_or_types_are_refused_and_nothing_is_written(
    tmp_path: Path, frame: pl.DataFrame, message: str
) -> None:
    append(tmp_path, ROWS, app_id="flights", version=1)
    with pytest.raises(ContractError, match=message):
        append(tmp_path, frame, app_id="flights", version=2)
    assert rows(tmp_path).height == 2


@pytest.mark.parametrize("dtype", [pl.UInt32(), pl.Datetime("ns", "UTC"), pl.Datetime("us"), pl.Categorical()])
def test_a_type_that_delta_would_change_is_refused_at_the_creation(tmp_path: Path, dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"x": pl.Series([None], dtype=dtype)})
    with pytest.raises(ContractError, match=r"cannot create .*'x' is .*; cast to one of Boolean, "):
        append(tmp_path / "new", frame, app_id="flights", version=1)
    assert scan(tmp_path / "new") is None


def test_keys_of_other_batches_are_known_and_those_of_the_batch_itself_are_not(tmp_path: Path) -> None:
    new = pl.DataFrame({"key": ["c", "b", "a", "b"], "n": [1, 2, 3, 4]})
    assert known_keys(tmp_path, new, ["key"], batch=2).to_list() == [False] * 4
    append(tmp_path, ROWS, app_id="flights", version=1)
    append(tmp_path, pl.DataFrame({"key": ["c"], "n": [1], "_batch": [2]}), app_id="flights", version=2)
    assert known_keys(tmp_path, new, ["key"], batch=2).to_list() == [False, True, True, True]
    assert known_keys(tmp_path, new, ["key", "n"], batch=3).to_list() == [True, False, False, False]
    assert known_keys(tmp_path, new.clear(), ["key"], batch=2).to_list() == []


@pytest.mark.parametrize("existing", [False, True])
def test_two_processes_with_the_same_batch_write_it_once(tmp_path: Path, *, existing: bool) -> None:
    table, go = tmp_path / "table", tmp_path / "go"
    if existing:
        append(table, pl.DataFrame({"key": [1], "_batch": [0]}), app_id="flights", version=0)
    twins = [writer(table, go, rows=50_000) for _ in range(2)]
    go.touch()
    assert sorted(twin.communicate(timeout=60)[0] for twin in twins) == ["False\n", "True\n"]
    assert rows(table).filter(pl.col("_batch") == 1).height == 50_000


def test_two_processes_that_create_the_table_with_different_batches_both_write(tmp_path: Path) -> None:
    table, go = tmp_path / "table", tmp_path / "go"
    creators = [writer(table, go, rows=10, version=version) for version in (1, 2)]
    go.touch()
    assert [creator.communicate(timeout=60)[0] for creator in creators] == ["True\n", "True\n"]
    assert rows(table)["_batch"].sort().to_list() == [1] * 10 + [2] * 10


def test_a_batch_whose_writer_was_killed_is_written_once_by_the_repetition(tmp_path: Path) -> None:
    table, go = tmp_path / "table", tmp_path / "go"
    append(table, pl.DataFrame({"key": [1], "_batch": [0]}), app_id="flights", version=0)
    before = set(table.glob("*.parquet*"))
    victim = writer(table, go, rows=2_000_000)
    go.touch()
    deadline = time.monotonic() + 30
    while set(table.glob("*.parquet*")) == before and time.monotonic() < deadline:
        time.sleep(0.0005)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    repetition = writer(table, go, rows=2_000_000)
    repetition.communicate(timeout=60)
    assert rows(table)["_batch"].value_counts().sort("_batch").rows() == [(0, 1), (1, 2_000_000)]
