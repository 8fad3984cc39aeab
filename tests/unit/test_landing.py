"""Landing: what has arrived is what is read, or it is postponed, or refused with a sentence."""

import gzip
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import admission, unpacking
from storage.lake import Lake
from storage.landing import Admitted, LandedFile, Postponed, admitted, arrived, reading, scan, still_the_same
from validation.errors import ContractError

GLOB = "landing/flights/*"
ROWS = pl.DataFrame({"key": ["a", "b"], "distance": [1400, 733]})
TEXT = b"key,distance\na,1400\nb,733\n"
LATER = timedelta(hours=1)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def parquet(frame: pl.DataFrame = ROWS) -> bytes:
    frame.write_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


def land(root: Path, name: str, data: bytes) -> Path:
    path = root / "landing" / "flights" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@contextmanager
def opened(root: Path, glob: str = GLOB, *, after: timedelta = LATER) -> Iterator[Admitted]:
    """All that has landed, looked at so long after its arrival."""
    lake, work = Lake(root), root / "work"
    work.mkdir(exist_ok=True)
    with admitted(arrived(lake, glob), lake, work=work, now=datetime.now(UTC) + after) as found:
        yield found
    assert list(work.iterdir()) == []


@contextmanager
def the_file(root: Path, glob: str = GLOB) -> Iterator[LandedFile]:
    with opened(root, glob) as found:
        (file,) = found.files
        yield file


def test_files_come_by_name_and_neither_uploads_in_progress_nor_manifests_do(tmp_path: Path) -> None:
    names = ("b.parquet", "a.parquet", ".c.parquet", "_d.parquet", "e.parquet.tmp", "f.parquet.part", "g.csv")
    for name in (*names, "a.parquet.sha256", "SHA256SUMS", "MANIFEST", "_temporary/0/h.parquet"):
        land(tmp_path, name, b"x")
    assert [file.name for file in arrived(Lake(tmp_path), GLOB)] == ["a.parquet", "b.parquet", "g.csv"]
    assert [file.name for file in arrived(Lake(tmp_path), "landing/flights/*.parquet")] == ["a.parquet", "b.parquet"]
    assert [file.name for file in arrived(Lake(tmp_path), "landing/**/*.parquet")] == [
        "flights/a.parquet",
        "flights/b.parquet",
    ]


def test_a_file_whose_name_and_stamp_are_known_does_not_come_again_until_it_changes(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path), land(tmp_path, "a.csv", TEXT)
    (found,) = arrived(lake, GLOB)
    known = {(found.name, found.stamp)}
    assert arrived(lake, GLOB, known=known) == ()
    before = path.stat()
    path.write_bytes(TEXT.upper())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size and age: its ctime tells
    assert [file.name for file in arrived(lake, GLOB, known=known)] == ["a.csv"]


def test_a_root_with_wildcards_in_its_name_is_no_glob(tmp_path: Path) -> None:
    land(tmp_path / "old [2013]*", "a.csv", TEXT)
    assert [file.name for file in arrived(Lake(tmp_path / "old [2013]*"), GLOB)] == ["a.csv"]


def test_a_landed_file_carries_size_digest_and_stamp_of_its_bytes(tmp_path: Path) -> None:
    path = land(tmp_path, "a.csv", TEXT)
    (found,) = arrived(Lake(tmp_path), GLOB)
    with the_file(tmp_path) as file:
        assert file == LandedFile(
            name="a.csv",
            path=path,
            size=len(TEXT),
            sha256=hashlib.sha256(TEXT).hexdigest(),
            stamp=found.stamp,
            kind="csv",
            content=TEXT,
            is_private=True,
        )


@pytest.mark.parametrize("small_bytes", [0, 2**20], ids=["where it lies", "in memory"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.parquet", parquet()),
        ("a.PARQUET", parquet()),
        ("a.csv", TEXT),
        ("a.csv.gz", gzip.compress(TEXT)),
        ("a.csv.gz", gzip.compress(TEXT[:10]) + gzip.compress(TEXT[10:])),
        ("a.csv.zst", zstd(TEXT)),
        ("a.csv", b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n")),
    ],
)
def test_every_kind_of_file_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, small_bytes: int
) -> None:
    monkeypatch.setattr(admission, "SMALL_BYTES", small_bytes)
    monkeypatch.setattr(unpacking, "IN_MEMORY_BYTES", small_bytes)
    land(tmp_path, name, data)
    with the_file(tmp_path) as file:
        rows, is_text = scan(file)
        expected = ROWS.cast({"distance": pl.String}) if ".csv" in name else ROWS
        assert (rows.collect().to_dicts(), is_text) == (expected.to_dicts(), ".csv" in name)
        assert still_the_same(file)


def test_csv_is_text_where_an_empty_field_is_null(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", b'key,"a b, c",n\n"x\ny",,01\n"",\xc3\xa4,\n')
    with the_file(tmp_path) as file:
        assert scan(file)[0].collect().to_dict(as_series=False) == {
            "key": ["x\ny", ""],
            "a b, c": [None, "ä"],
            "n": ["01", None],
        }


INCOMPLETE = [
    ("a.parquet", b"", r"is empty \(0 bytes\); upload it again"),
    ("a.csv", b"", r"is empty \(0 bytes\); upload it again"),
    ("a.parquet", b"PAR1 and nothing else", r"is not a whole Parquet file \(21 bytes\): it ends without .* upload it"),
    ("a.parquet", parquet()[:-1], r"is not a whole Parquet file .*: it ends without the mark PAR1; upload it again"),
    ("a.parquet", b"\0" * 100 + b"PAR1", r"is not a whole .*: it begins without the mark PAR1; upload it again"),
    ("a.csv", TEXT[:-1], "does not end with a line break, as if cut; end its last line, or upload it again"),
    ("a.csv", b"key,dist", "does not end with a line break"),
    ("a.csv", b'key,distance\na,"1400\n', "has a quoted field that never ends; close it, or upload the file again"),
    ("a.csv", b'key,"distance\na,1400\n', "has a quoted field that never ends"),
    ("a.csv.gz", gzip.compress(TEXT)[:-3], "cannot be unpacked: Truncated compressed stream; upload it again"),
    ("a.csv.zst", zstd(TEXT)[:-3], "cannot be unpacked: Truncated compressed stream; upload it again"),
    ("a.csv.gz", gzip.compress(TEXT[:-1]), "does not end with a line break"),
    ("a.csv.gz", gzip.compress(b""), r"is empty \(0 bytes\)"),
]
BROKEN = [
    ("a.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", r"is not a whole Parquet file \(108 bytes\): .*; upload it again"),
    ("a.parquet", parquet()[:-4] + b"PARE", "is encrypted Parquet, which is not read; upload it in the clear"),
    ("a.csv", TEXT + b"c\n", r"has 1 fields in line 4, its header has 2; mend that line"),
    ("a.csv", TEXT + b"c,1,2\n", r"has 3 fields in line 4, its header has 2"),
    ("a.csv", TEXT + b"\n", r"has 1 fields in line 4, its header has 2"),
    ("a.csv", b"key,n,key\na,1,b\n", "has the column 'key' more than once; rename one of them"),
    ("a.csv", b"key,n\n\xff,1\n", "is not UTF-8 at about byte 6; convert it and upload it again"),
    ("a.csv", b"k\xffy,n\na,1\n", "is not UTF-8 at about byte 1"),
    ("a.csv", TEXT + b"c,\0\0\0\n", "has a zero byte at 28, which is no text; upload it again"),
    ("a.csv", TEXT.decode().encode("utf-16"), "has a zero byte|is not UTF-8"),
    ("a.csv.gz", TEXT, "cannot be unpacked: .*; upload it again"),
    ("a.csv.gz", gzip.compress(TEXT) + b"rest", "cannot be unpacked: .*; upload it again"),
    ("a.csv.gz", gzip.compress(TEXT)[:-8] + b"\0" * 8, "cannot be unpacked: .*; upload it again"),
    ("a.xlsx", b"x", r"is neither \.parquet nor \.csv, \.csv\.gz or \.csv\.zst, which are read; convert it"),
    ("a", b"x", r"is neither \.parquet nor"),
]


@pytest.mark.parametrize(("name", "data", "message"), INCOMPLETE + BROKEN)
def test_what_cannot_be_taken_says_so_with_its_remedy(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    land(tmp_path, name, data)
    with the_file(tmp_path) as file:
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        with pytest.raises(ContractError, match=rf"^{name} {message}"):
            scan(file)


@pytest.mark.parametrize(("name", "data"), [case[:2] for case in INCOMPLETE])
def test_what_looks_unfinished_is_postponed_while_it_is_new(tmp_path: Path, name: str, data: bytes) -> None:
    land(tmp_path, name, data)
    with opened(tmp_path, after=timedelta(minutes=4)) as found:
        (postponed,) = found.postponed
        assert found.files == ()
    assert postponed == Postponed(name=name, reason=postponed.reason)
    assert postponed.reason.endswith("it came just now and is looked at again")


@pytest.mark.parametrize("after", [timedelta(minutes=5, seconds=1), timedelta(minutes=-6)])
def test_a_file_from_long_ago_or_from_the_future_is_not_waited_for(tmp_path: Path, after: timedelta) -> None:
    land(tmp_path, "a.csv", b"")
    with opened(tmp_path, after=after) as found:
        assert [file.flaw for file in found.files] == ["is empty (0 bytes); upload it again"]


def test_a_broken_file_is_not_waited_for(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", TEXT + b"c\n")
    with opened(tmp_path, after=timedelta(0)) as found:
        assert [file.name for file in found.files] == ["a.csv"]


@pytest.mark.parametrize("cut", range(1, 27))
def test_lines_are_counted_alike_however_the_bytes_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr("storage.digests.CHUNK_BYTES", cut)
    land(tmp_path, "a.csv", b'a,"b,\n"\n"x,\n"",",\xc3\xa4\ny,1\n')
    land(tmp_path, "b.csv", b'a,"b,\n"\n"x,\n"",",\xc3\xa4\ny,1,\n')
    with opened(tmp_path) as found:
        assert [file.flaw for file in found.files] == ["", "has 3 fields in line 3, its header has 2; mend that line"]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=0, max_value=len(parquet()) - 1))
def test_no_truncation_of_a_parquet_file_passes(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("lake")
    land(root, "a.parquet", parquet()[:cut])
    with the_file(root) as file, pytest.raises(ContractError, match="upload it again"):
        scan(file)


@pytest.mark.parametrize("manifest", ["{}.sha256", "SHA256SUMS", "MANIFEST"])
@pytest.mark.parametrize("line", ["{digest}  {name}\n", "{digest} *./{name}\n", "# all\n{digest}  {name}\n"])
def test_a_file_is_held_against_its_manifest(tmp_path: Path, manifest: str, line: str) -> None:
    for name in ("good.csv", "bad.csv"):
        land(tmp_path, name, TEXT if name == "good.csv" else TEXT.replace(b"1400", b"1401"))
    digest = hashlib.sha256(TEXT).hexdigest()
    with (tmp_path / "landing/flights" / "SHA256SUMS").open("w") as file:
        file.write("other lines say nothing\n")
    for name in ("good.csv", "bad.csv"):
        with (tmp_path / "landing/flights" / manifest.format(name)).open("a") as file:
            file.write(line.format(digest=digest, name=name))
    with opened(tmp_path) as found:
        bad, good = found.files
        assert good.flaw == ""
        with pytest.raises(
            ContractError, match=rf"^bad\.csv is not what .* says: its sha256 is .* {digest}; upload both"
        ):
            scan(bad)
    with opened(tmp_path, after=timedelta(minutes=1)) as found:
        assert [item.name for item in found.postponed] == ["bad.csv"]


def test_a_sidecar_with_a_digest_alone_is_understood(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", TEXT)
    land(tmp_path, "a.csv.sha256", hashlib.sha256(b"other").hexdigest().upper().encode() + b"\n")
    with the_file(tmp_path) as file:
        assert file.flaw.startswith("is not what a.csv.sha256 says")


def test_a_name_that_cannot_be_printed_or_stored_is_told_with_backslashes(tmp_path: Path) -> None:
    land(tmp_path, os.fsdecode(b"caf\xe9\n.parquet"), b"x")
    with the_file(tmp_path) as file:
        assert file.name == r"caf\xe9\n.parquet"
        with pytest.raises(ContractError, match=r"^caf\\xe9\\n\.parquet is not a whole"):
            scan(file)


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.parquet"), "a[1]*?.parquet", "year=2013.parquet"])
def test_no_name_keeps_a_large_file_from_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(admission, "SMALL_BYTES", 0)
    land(tmp_path, name, parquet())
    with the_file(tmp_path) as file:
        assert scan(file)[0].collect().equals(ROWS)


def test_nothing_has_arrived_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert arrived(Lake(tmp_path), GLOB) == ()


@pytest.mark.parametrize("small_bytes", [0, 2**20])
def test_a_file_that_changed_or_went_since_it_was_listed_is_left_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int
) -> None:
    monkeypatch.setattr(admission, "SMALL_BYTES", small_bytes)
    land(tmp_path, "a.csv", TEXT)
    land(tmp_path, "b.csv", TEXT)
    lake = Lake(tmp_path)
    listed = arrived(lake, GLOB)
    land(tmp_path, "a.csv", TEXT + TEXT)
    (tmp_path / "landing/flights/b.csv").unlink()
    with admitted(listed, lake, work=tmp_path, now=datetime.now(UTC)) as found:
        assert found.files == ()
        assert [item.name for item in found.postponed] == ["a.csv", "b.csv"]
        assert "arrived again while it was read; it will be taken next time" in found.postponed[0].reason
        assert found.postponed[1].reason == "cannot be read now: No such file or directory"


def test_an_overwrite_while_a_large_file_is_read_is_told_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "SMALL_BYTES", 0)
    path = land(tmp_path, "a.parquet", parquet())
    with the_file(tmp_path) as file:
        assert still_the_same(file)
        path.write_bytes(parquet(ROWS.reverse()))
        assert not still_the_same(file)
        path.unlink()
        assert not still_the_same(file)


def test_an_overwrite_changes_nothing_of_a_small_file_that_was_read(tmp_path: Path) -> None:
    path = land(tmp_path, "a.parquet", parquet())
    with the_file(tmp_path) as file:
        path.write_bytes(parquet(ROWS.reverse()))
        assert still_the_same(file)
        assert scan(file)[0].collect().equals(ROWS)


def test_what_shows_only_when_the_rows_are_read_is_the_files_fault(tmp_path: Path) -> None:
    data = bytearray(parquet(pl.DataFrame({"n": range(10_000)})))
    data[100:136] = b"\xff" * 36  # in the first page
    land(tmp_path, "a.parquet", bytes(data))
    with the_file(tmp_path) as file:
        rows, _ = scan(file)
        with (
            pytest.raises(ContractError, match=r"^a\.parquet is not a whole parquet file .*; upload it again"),
            reading(file),
        ):
            rows.collect()


def test_an_error_that_is_not_the_files_fault_stays_what_it_is(tmp_path: Path) -> None:
    land(tmp_path, "a.parquet", parquet())
    with the_file(tmp_path) as file:
        rows, _ = scan(file)
        with pytest.raises(pl.exceptions.ColumnNotFoundError), reading(file):
            rows.select("nonsense").collect()
        with pytest.raises(OSError, match="No space left"), reading(file):
            raise OSError(28, "No space left on device")
