"""Tables: each batch exactly once, whatever it is asked for again; never a value changed without a word."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Schema

from storage.address import Address
from storage.remote import Remote
from storage.tables import append, commit, committed, maintain, scan, sink
from validation.errors import ContractError, DefinitionError, RefusedError

ROWS = pl.DataFrame({"key": ["a", "b"], "n": [1, None], "_batch": [1, 1]})
LOCAL = Remote()
AT = datetime(2013, 4, 8, 10, 30, 0, 123456)  # noqa: DTZ001 - a column without a zone has such
SHM = Path("/dev/shm")  # noqa: S108 - another file system than pytest's


def add(folder: Path, rows: pl.DataFrame, *markers: str) -> bool:
    return append(Address.of(folder), rows.lazy(), markers=markers, remote=LOCAL, work=folder.parent)


def rows(folder: Path) -> pl.DataFrame:
    found = scan(Address.of(folder), LOCAL)
    assert found is not None
    return found.collect()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "flights"


def test_a_table_that_was_never_written_has_no_rows(table: Path) -> None:
    assert scan(Address.of(table), LOCAL) is None
    assert committed(Address.of(table), ["flights/1"], LOCAL) == frozenset()


def test_the_same_batch_is_appended_once(table: Path) -> None:
    assert add(table, ROWS, "flights/1")
    assert not add(table, ROWS, "flights/1")
    assert rows(table).sort("key").equals(ROWS)


def test_a_batch_that_is_finished_after_its_successor_is_not_lost(table: Path) -> None:
    assert add(table, ROWS, "flights/2")
    assert add(table, ROWS, "flights/1")
    assert rows(table).height == 4


def test_an_empty_batch_is_remembered_as_well_and_leaves_no_file(table: Path) -> None:
    assert add(table, ROWS.clear(), "flights/1")
    assert not add(table, ROWS, "flights/1")
    assert rows(table).equals(ROWS.clear())
    assert not list(table.glob("*.parquet"))


def test_several_batches_are_one_commit(table: Path) -> None:
    assert add(table, ROWS, "flights/1", "flights/2")
    assert committed(Address.of(table), ["flights/1", "flights/2", "flights/3"], LOCAL) == {"flights/1", "flights/2"}
    assert DeltaTable(table).version() == 1


def test_batches_of_which_some_are_in_the_table_are_refused_as_their_rows_cannot_be_told_apart(table: Path) -> None:
    add(table, ROWS, "flights/1")
    with pytest.raises(RefusedError, match="of these batches flights/1 are in the table, the others are not; run it"):
        add(table, ROWS, "flights/1", "flights/2")
    assert rows(table).height == 2


def test_an_append_that_could_not_be_told_from_its_repetition_is_refused(table: Path) -> None:
    with pytest.raises(DefinitionError, match="without a marker an append could be made twice; name its batches"):
        add(table, ROWS)


def test_the_order_of_columns_does_not_matter(table: Path) -> None:
    add(table, ROWS, "flights/1")
    add(table, ROWS.select("_batch", "n", "key"), "flights/2")
    assert rows(table).sort("key").equals(pl.concat([ROWS, ROWS]).sort("key"))


def test_rows_that_lie_in_a_file_are_moved_into_the_table_as_they_are(table: Path) -> None:
    path = table.parent / "rows.parquet"
    sink(ROWS.lazy(), path)
    assert commit(Address.of(table), path, markers=["flights/1"], remote=LOCAL)
    assert not path.exists()
    assert rows(table).equals(ROWS)


def test_nothing_is_left_in_the_folder_for_work(table: Path) -> None:
    add(table, ROWS, "flights/1")
    add(table, ROWS, "flights/1")
    with pytest.raises(pl.exceptions.ComputeError):
        add(table, ROWS.with_columns(pl.col("key").str.to_integer().cast(pl.String)), "flights/2")
    assert [path.name for path in table.parent.iterdir()] == ["flights"]


@pytest.mark.skipif(not SHM.is_dir(), reason="needs a second file system at /dev/shm")
def test_rows_that_were_written_on_another_file_system_are_copied(table: Path) -> None:
    with tempfile.TemporaryDirectory(dir=SHM) as work:
        append(Address.of(table), ROWS.lazy(), markers=["flights/1"], remote=LOCAL, work=Path(work))
        assert not list(Path(work).iterdir())
    assert rows(table).equals(ROWS)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ROWS.with_columns(n=pl.Series([0.7, 1.9])), "'n' is Float64, the table holds Int64; convert the columns"),
        (ROWS.with_columns(n=pl.lit(None)), "'n' is Null, the table holds Int64; convert the columns"),
        (ROWS.drop("n"), "'n' is missing, the table holds Int64"),
        (ROWS.with_columns(more=1), "'more' is Int32, the table holds no such column"),
    ],
)
def test_other_columns_or_types_are_refused_and_nothing_is_written(
    table: Path, frame: pl.DataFrame, message: str
) -> None:
    add(table, ROWS, "flights/1")
    with pytest.raises(ContractError, match=message):
        add(table, frame, "flights/2")
    assert rows(table).height == 2


KEPT: Sequence[tuple[pl.DataType, Any]] = [
    (pl.Boolean(), True),
    (pl.Int8(), 1),
    (pl.Int64(), 2**53 + 1),
    (pl.Float32(), 0.1),
    (pl.Float64(), float("nan")),
    (pl.Decimal(10, 2), Decimal("1.25")),
    (pl.Decimal(38, 0), Decimal(10**37)),
    (pl.String(), "Zürich 🚲"),
    (pl.Binary(), b"\x00\xff"),
    (pl.Date(), date(2013, 4, 8)),
    (pl.Datetime("us", "UTC"), AT.replace(tzinfo=UTC)),
    (pl.Datetime("us"), AT),
    (pl.List(pl.Float64()), [1.0, None]),
    (pl.List(pl.List(pl.String())), [["a"], []]),
    (pl.Struct({"x": pl.Int64(), "y": pl.List(pl.String())}), {"x": 1, "y": ["a"]}),
]


@pytest.mark.parametrize(("dtype", "value"), KEPT, ids=[str(dtype) for dtype, _ in KEPT])
def test_values_and_types_come_back_as_they_were_also_when_only_nulls_came_first(
    table: Path, dtype: pl.DataType, value: object
) -> None:
    only_nulls = pl.DataFrame({"x": pl.Series([None, None], dtype=dtype), "_batch": 1})
    filled = pl.DataFrame({"x": pl.Series([value, None], dtype=dtype), "_batch": 2})
    add(table, only_nulls, "flights/1")
    add(table, filled, "flights/2")
    before = rows(table).sort("_batch", maintain_order=True)
    assert before.equals(pl.concat([only_nulls, filled]))
    maintain(Address.of(table), LOCAL, work=table.parent, min_files=2)
    assert len(DeltaTable(table).file_uris()) == 1
    after = rows(table).sort("_batch", maintain_order=True)
    assert after.equals(before)
    assert after.schema == before.schema


@pytest.mark.parametrize(
    "dtype",
    [
        pl.UInt32(), pl.Int128(), pl.Datetime("ns", "UTC"), pl.Datetime("ms", "UTC"),
        pl.Datetime("us", "Europe/Berlin"), pl.Categorical(), pl.Enum(["a"]), pl.Time(), pl.Duration(), pl.Null(),
        pl.Array(pl.Int64(), 2), pl.List(pl.UInt8()), pl.Struct({"x": pl.Time()}),
    ],
    ids=str,
)  # fmt: skip
def test_a_type_that_delta_would_change_is_refused_at_the_creation(table: Path, dtype: pl.DataType) -> None:
    with pytest.raises(ContractError, match=r"cannot create .*'x' is .*; cast to one of Boolean, "):
        add(table, pl.DataFrame({"x": pl.Series([None], dtype=dtype)}), "flights/1")
    assert scan(Address.of(table), LOCAL) is None


@pytest.mark.parametrize(
    "wanted",
    [
        pl.col("_batch") == 2,
        pl.col("_batch").is_in([2, 7]),
        pl.col("key").is_between(pl.lit("c"), pl.lit("e")),
        pl.col("at") > AT + timedelta(milliseconds=1),
    ],
)
def test_a_file_that_cannot_hold_what_is_asked_for_is_not_read(table: Path, wanted: pl.Expr) -> None:
    add(table, pl.DataFrame({"key": ["a", "b"], "at": [AT, AT], "_batch": [1, 1]}), "flights/1")
    (unneeded,) = table.glob("*.parquet")
    add(table, pl.DataFrame({"key": ["c"], "at": [AT.replace(year=2014)], "_batch": [2]}), "flights/2")
    unneeded.write_bytes(b"not to be read" * 1000)
    found = scan(Address.of(table), LOCAL)
    assert found is not None
    assert found.filter(wanted).select("key").collect()["key"].to_list() == ["c"]


def test_other_readers_of_delta_find_the_same_rows(table: Path) -> None:
    frame = ROWS.with_columns(at=pl.lit(AT).dt.replace_time_zone("UTC"), parts=pl.lit([0.5, 0.5]))
    add(table, frame, "flights/1")
    assert pl.DataFrame(DeltaTable(table).to_pyarrow_dataset().to_table()).equals(frame)


def test_a_folder_with_spaces_and_accents_is_a_place_like_any_other(tmp_path: Path) -> None:
    table = tmp_path / "data of Zoë" / "flights"
    add(table, ROWS, "flights/1")
    add(table, ROWS, "flights/2")
    maintain(Address.of(table), LOCAL, work=tmp_path, min_files=2)
    assert rows(table).equals(pl.concat([ROWS, ROWS]))


@pytest.mark.parametrize("name", ["a%20b", "a*", "a[1]", "a{b}", "a#b", "what?"])
def test_a_folder_that_delta_would_take_for_another_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DefinitionError, match=r"a Delta table cannot lie in [^;]*; name another folder"):
        add(tmp_path / name, ROWS, "flights/1")


def test_the_type_that_the_table_keeps_is_the_one_that_delta_has_for_it() -> None:
    """The list of kept types against the library: what comes back as it was is kept, and nothing else."""
    schema = pl.Schema({str(number): dtype for number, (dtype, _) in enumerate(KEPT)})
    assert pl.Schema(Schema.from_arrow(schema).to_arrow()) == schema
