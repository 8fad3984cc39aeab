"""Quarantine: bad input loses nothing, and says why it is there."""

from pathlib import Path

import polars as pl

from storage.quarantine import Entry, Refusal, entries, keep_refused, set_aside

BAD = pl.DataFrame({"distance": [-5], "_row": [17], "_rules": [["distance.greater_than"]]})
REFUSAL = Refusal(batch=3, name="2013-W05.parquet", sha256="ab12", reasons=("'distance' is text",))


def test_bad_rows_are_kept_as_they_came_with_their_rules(tmp_path: Path) -> None:
    path = set_aside(tmp_path, BAD, batch=2)
    assert path == tmp_path / "2.parquet"
    assert pl.read_parquet(path).equals(BAD)


def test_a_refused_file_is_kept_byte_by_byte_beside_its_reasons(tmp_path: Path) -> None:
    landed = tmp_path / "landed.parquet"
    landed.write_bytes(b"half a fi")
    copy = keep_refused(tmp_path / "quarantine", landed, refusal=REFUSAL)
    assert copy.read_bytes() == b"half a fi"
    assert entries(tmp_path / "quarantine") == (Entry(batch=3, rows=None, refusal=REFUSAL, copy=copy),)


def test_the_list_is_by_batch_number_and_repetitions_change_nothing(tmp_path: Path) -> None:
    landed = tmp_path / "landed.parquet"
    landed.write_bytes(b"x")
    folder = tmp_path / "quarantine"
    for _ in range(2):
        set_aside(folder, BAD, batch=10)
        set_aside(folder, BAD, batch=3)
        keep_refused(folder, landed, refusal=REFUSAL)
    copy = folder / "3.2013-W05.parquet"
    assert entries(folder) == (
        Entry(batch=3, rows=folder / "3.parquet", refusal=REFUSAL, copy=copy),
        Entry(batch=10, rows=folder / "10.parquet", refusal=None, copy=None),
    )


def test_nothing_was_set_aside_where_there_is_no_folder(tmp_path: Path) -> None:
    assert entries(tmp_path / "quarantine") == ()


def test_a_file_from_a_folder_below_is_kept_under_a_flat_name(tmp_path: Path) -> None:
    landed = tmp_path / "landed.csv"
    landed.write_bytes(b"x")
    refusal = Refusal(batch=4, name="2013/w05.csv", sha256="ab", reasons=())
    assert keep_refused(tmp_path / "quarantine", landed, refusal=refusal).name == "4.2013_w05.csv"


def test_of_a_file_that_is_gone_the_reasons_are_kept(tmp_path: Path) -> None:
    keep_refused(tmp_path, tmp_path / "gone.parquet", refusal=REFUSAL)
    (entry,) = entries(tmp_path)
    assert entry.refusal == REFUSAL
    assert entry.copy is not None
    assert not entry.copy.exists()


def test_a_file_whose_name_is_as_long_as_names_can_be_is_kept(tmp_path: Path) -> None:
    landed = tmp_path / f"{'ü' * 124}.csv"
    landed.write_bytes(b"x")
    refusal = Refusal(batch=4, name=landed.name, sha256="ab", reasons=())
    assert keep_refused(tmp_path / "quarantine", landed, refusal=refusal).name == f"4.{'ü' * 73}.csv"
