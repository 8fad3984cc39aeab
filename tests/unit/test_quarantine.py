"""Quarantine: bad input loses nothing, and says why it is there."""

from pathlib import Path

import polars as pl
import pytest

from storage.address import Address
from storage.local import LocalObjects
from storage.quarantine import Entry, Quarantine, Refusal

BAD = pl.DataFrame({"distance": [-5], "_row": [17], "_rules": [["distance.greater_than"]]})
REFUSAL = Refusal(
    batch=3,
    name="2013-W05.parquet",
    sha256="ab12",
    reasons=("'distance' is text",),
    difference=("column 'distance' retyped (breaking): Int64 in the contract, String came",),
)


@pytest.fixture
def place(tmp_path: Path) -> Quarantine:
    lake = Address.of(tmp_path / "lake")
    return Quarantine(folder=lake / "quarantine", staging=lake / "staged", objects=LocalObjects())


def rows_file(folder: Path) -> Path:
    BAD.write_parquet(folder / "bad.parquet")
    return folder / "bad.parquet"


def half_a_file(folder: Path) -> Path:
    (folder / "landed.parquet").write_bytes(b"half a fi")
    return folder / "landed.parquet"


def test_bad_rows_are_kept_as_they_came_with_their_rules(place: Quarantine, tmp_path: Path) -> None:
    kept = place.keep_rows(rows_file(tmp_path), batch=2)
    assert kept == place.folder / "2.parquet"
    assert pl.read_parquet(kept.path).equals(BAD)


def test_a_refused_file_is_kept_byte_by_byte_beside_its_reasons(place: Quarantine, tmp_path: Path) -> None:
    place.keep_refused(half_a_file(tmp_path), refusal=REFUSAL)
    copy = place.folder / "3.file.2013-W05.parquet"
    assert copy.path.read_bytes() == b"half a fi"
    assert place.entries() == (Entry(batch=3, refusal=REFUSAL, copy=copy),)


def test_the_list_is_by_batch_number_and_repetitions_change_nothing(place: Quarantine, tmp_path: Path) -> None:
    for _ in range(2):
        place.keep_rows(rows_file(tmp_path), batch=10)
        place.keep_repeated(rows_file(tmp_path), batch=10)
        place.keep_rows(rows_file(tmp_path), batch=3)
        place.keep_refused(half_a_file(tmp_path), refusal=REFUSAL)
    folder = place.folder
    third = Entry(batch=3, rows=folder / "3.parquet", refusal=REFUSAL, copy=folder / "3.file.2013-W05.parquet")
    tenth = Entry(batch=10, rows=folder / "10.parquet", repeated=folder / "10.repeated.parquet")
    assert place.entries() == (third, tenth)
    assert place.entry(10) == tenth
    assert place.entry(4) is None


def test_nothing_was_set_aside_where_there_is_no_folder(place: Quarantine) -> None:
    assert place.entries() == ()
    assert place.staged() == {}


def test_what_is_discarded_is_gone_as_a_whole_and_the_rest_stays(place: Quarantine, tmp_path: Path) -> None:
    place.keep_rows(rows_file(tmp_path), batch=3)
    place.keep_refused(half_a_file(tmp_path), refusal=REFUSAL)
    place.keep_rows(rows_file(tmp_path), batch=4)
    entry = place.entry(3)
    assert entry is not None
    place.discard(entry)
    assert place.entries() == (Entry(batch=4, rows=place.folder / "4.parquet"),)


def test_a_file_from_a_folder_below_is_kept_under_a_flat_name(place: Quarantine, tmp_path: Path) -> None:
    place.keep_refused(half_a_file(tmp_path), refusal=Refusal(batch=4, name="2013/w05.csv", sha256="ab", reasons=()))
    (entry,) = place.entries()
    assert entry.copy == place.folder / "4.file.2013_w05.csv"


def test_of_a_file_that_is_gone_the_reasons_are_kept(place: Quarantine) -> None:
    place.keep_refused(None, refusal=REFUSAL)
    assert place.entries() == (Entry(batch=3, refusal=REFUSAL),)


def test_a_file_whose_name_is_as_long_as_names_can_be_is_kept(place: Quarantine, tmp_path: Path) -> None:
    refusal = Refusal(batch=4, name=f"{'ü' * 124}.csv", sha256="ab", reasons=())
    place.keep_refused(half_a_file(tmp_path), refusal=refusal)
    (entry,) = place.entries()
    assert entry.copy == place.folder / f"4.file.{'ü' * 73}.csv"


def test_what_is_staged_is_there_until_it_is_forgotten(place: Quarantine) -> None:
    place.stage("1", b"one")
    place.stage("20", b"twenty")
    (place.staging.path / ".0123.tmp").write_bytes(b"half of what a killed process")
    assert place.staged() == {"1": b"one", "20": b"twenty"}
    place.unstage("1")
    assert place.staged() == {"20": b"twenty"}
