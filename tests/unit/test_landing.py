"""Landing: what has arrived is what is read, or it is refused with a sentence."""

import io
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.landing import LandedFile, arrived, read
from validation.errors import ContractError

GLOB = "landing/flights/*.parquet"
ROWS = pl.DataFrame({"key": ["a", "b"], "distance": [1400, 733]})


def land(root: Path, name: str, data: bytes) -> Path:
    path = root / "landing" / "flights" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def parquet(frame: pl.DataFrame = ROWS) -> bytes:
    frame.write_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


def the_file(root: Path, glob: str = GLOB) -> LandedFile:
    (file,) = arrived(root, glob)
    return file


def test_files_come_by_name_and_uploads_in_progress_are_not_there_yet(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet", ".c.parquet", "_d.parquet", "e.parquet.tmp", "f.parquet.part", "g.csv"):
        land(tmp_path, name, b"x")
    assert [file.name for file in arrived(tmp_path, "landing/flights/*")] == ["a.parquet", "b.parquet", "g.csv"]
    assert [file.name for file in arrived(tmp_path, GLOB)] == ["a.parquet", "b.parquet"]


def test_a_name_is_the_path_below_the_fixed_part_of_the_glob(tmp_path: Path) -> None:
    land(tmp_path, "2013/w01.parquet", b"x")
    assert the_file(tmp_path, "landing/flights/*/*.parquet").name == "2013/w01.parquet"
    assert the_file(tmp_path, "landing/flights/2013/w01.parquet").name == "w01.parquet"


def test_a_name_that_cannot_be_printed_or_stored_is_told_with_backslashes(tmp_path: Path) -> None:
    land(tmp_path, os.fsdecode(b"caf\xe9\n.parquet"), b"x")
    file = the_file(tmp_path)
    assert file.name == r"caf\xe9\n.parquet"
    with pytest.raises(ContractError, match=r"caf\\xe9\\n\.parquet is not a whole"):
        read(file)


def test_nothing_has_arrived_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert arrived(tmp_path, GLOB) == ()


def test_a_landed_file_carries_size_and_digest_of_its_bytes(tmp_path: Path) -> None:
    path = land(tmp_path, "a.parquet", b"abc")
    assert the_file(tmp_path) == LandedFile(
        path=path,
        name="a.parquet",
        size=3,
        sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )


def test_a_parquet_file_is_read_as_it_is(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", parquet())
    assert read(the_file(tmp_path)).equals(ROWS)


def test_csv_takes_the_types_of_the_schema_and_stays_text_where_it_cannot(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", b"key,at,n,late,odd\na,2013-01-01T10:15:00Z,1,true,7\nb,2013-01-01 11:00:00,,FALSE,x\n")
    schema = {
        "key": pl.String(),
        "at": pl.Datetime("us", "UTC"),
        "n": pl.Int64(),
        "late": pl.Boolean(),
        "odd": pl.Int64(),
    }
    land(tmp_path, "b.csv", b"at,n\n2013-01-01T10:15:00Z,1\n2013-01-02T10:15:00Z,\n")
    mixed, good = (read(file, schema=schema) for file in arrived(tmp_path, "landing/flights/*.csv"))
    assert good.to_dict(as_series=False) == {
        "at": [datetime(2013, 1, 1, 10, 15, tzinfo=UTC), datetime(2013, 1, 2, 10, 15, tzinfo=UTC)],
        "n": [1, None],
    }
    assert mixed.select("key", "n", "late", "odd").to_dict(as_series=False) == {
        "key": ["a", "b"],
        "n": [1, None],
        "late": [True, False],
        "odd": ["7", "x"],
    }


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.parquet", b"", r"a\.parquet is empty \(0 bytes\); upload it again"),
        ("a.parquet", b"PAR1 and nothing else", r"a\.parquet is not a whole \.parquet file \(21 bytes\): .*upload"),
        ("a.parquet", parquet()[:-50], r"a\.parquet is not a whole \.parquet file .*; upload it again"),
        ("a.csv", b"\xff\xfe\x00a,b", r"a\.csv is not a whole \.csv file .*; upload it again"),
        ("a.csv", b"a,b\n1,2\n3,4,5\n", r"a\.csv is not a whole \.csv file .*; upload it again"),
        ("a.xlsx", b"x", r"only \.parquet and \.csv are read, not \.xlsx"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_remedy(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    land(tmp_path, name, data)
    with pytest.raises(ContractError, match=message):
        read(the_file(tmp_path, "landing/flights/*"))


def test_a_file_that_was_overwritten_since_it_arrived_is_left_for_the_next_time(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", parquet())
    file = the_file(tmp_path)
    land(tmp_path, "a.parquet", parquet(ROWS.reverse()))
    with pytest.raises(ContractError, match="arrived again while it was read; it will be taken next time"):
        read(file)


def test_a_file_that_was_taken_away_is_a_contract_error(tmp_path: Path) -> None:
    path = land(tmp_path, "a.parquet", parquet())
    file = the_file(tmp_path)
    path.unlink()
    with pytest.raises(ContractError, match="cannot be read: No such file or directory; let it land again"):
        read(file)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=1, max_value=len(parquet()) - 1))
def test_no_truncation_of_a_parquet_file_passes(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("lake")
    land(root, "a.parquet", parquet()[:cut])
    with pytest.raises(ContractError, match="upload it again"):
        read(the_file(root))
