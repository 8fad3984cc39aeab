"""Checksums: those of S3, computed here, and those of Parquet's pages, read here."""

import base64
import io
import random
from contextlib import suppress

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from storage import parquet_check
from storage.crc import Checksum, checksum_of
from storage.parquet_check import parquet_flaw
from storage.thrift import PageHeader, page_header, row_groups

# The check values of the CRC catalogue for "123456789"; the digests from sha256sum and sha1sum.
GOLDEN = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}
POLYNOMIALS = {"CRC32C": (0x82F63B78, 32), "CRC64NVME": (0x9A6C9329AC4BC9B5, 64)}


def bit_by_bit(data: bytes, polynomial: int, bits: int) -> bytes:
    register = 2**bits - 1
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ polynomial if register & 1 else register >> 1
    flipped: int = register ^ 2**bits - 1
    return flipped.to_bytes(bits // 8, "big")


@pytest.mark.parametrize("name", GOLDEN)
def test_a_checksum_is_the_published_one(name: str) -> None:
    told = base64.b64encode(bytes.fromhex(GOLDEN[name])).decode()
    checksum = Checksum(name, told)
    for part in (b"1234", b"", b"56789"):
        checksum.update(part)
    assert (checksum.got, checksum.damage) == (told, "")
    checksum.update(b"0")
    assert checksum.damage == f"is damaged: its {name} is {checksum.got}, S3 holds {told}; upload it again"


@pytest.mark.parametrize("name", POLYNOMIALS)
@given(parts=st.lists(st.binary(max_size=700), max_size=4))
def test_lanes_give_what_bit_by_bit_gives(name: str, parts: list[bytes]) -> None:
    checksum = Checksum(name, "")
    for part in parts:
        checksum.update(part)
    assert base64.b64decode(checksum.got) == bit_by_bit(b"".join(parts), *POLYNOMIALS[name])


def test_a_long_block_is_cut_into_many_lanes() -> None:
    data, whole, halves = random.Random(1).randbytes(600_001), Checksum("CRC64NVME", ""), Checksum("CRC64NVME", "")
    whole.update(data)
    halves.update(data[:300_007])
    halves.update(data[300_007:])
    assert whole.got == halves.got == base64.b64encode(bit_by_bit(data, *POLYNOMIALS["CRC64NVME"])).decode()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ({}, None),
        ({"ChecksumCRC32": "x", "ChecksumType": "FULL_OBJECT"}, "CRC32"),
        ({"ChecksumCRC32": "x", "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumCRC32": "x-3"}, None),
        ({"ChecksumCRC32": "x", "ChecksumSHA256": "y"}, "SHA256"),
    ],
)
def test_only_the_checksum_of_the_whole_object_can_be_compared(head: dict[str, str], name: str | None) -> None:
    found = checksum_of(head)
    assert (found and found.name) == name


def written(*, page_version: str = "1.0", checksums: bool = True, compression: str = "snappy") -> bytes:
    rows = pa.table(
        {
            "n": list(range(5_000)),
            "text": [f"value {n % 37}" for n in range(5_000)],
            "list": [[n, n + 1] if n % 3 else None for n in range(5_000)],
        }
    )
    sink = io.BytesIO()
    parquet.write_table(
        rows,
        sink,
        row_group_size=2_000,
        data_page_size=4_000,
        data_page_version=page_version,
        write_page_checksum=checksums,
        compression=compression,
    )
    return sink.getvalue()


def flaw_of(data: bytes) -> str:
    flaw = parquet_flaw(io.BytesIO(data), len(data))
    return flaw.reason if flaw else ""


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("page_version", ["1.0", "2.0"])
def test_sound_pages_pass(page_version: str, compression: str) -> None:
    assert flaw_of(written(page_version=page_version, compression=compression)) == ""


@pytest.mark.parametrize("page_version", ["1.0", "2.0"])
def test_any_flipped_bit_in_a_page_is_found(page_version: str) -> None:
    """Headers have no checksum: such damage is told by Polars, or changes nothing that is read."""
    data = written(page_version=page_version)
    footer = parquet.read_metadata(io.BytesIO(data))
    end = max(
        footer.row_group(group).column(number).data_page_offset
        for group in range(footer.num_row_groups)
        for number in range(footer.num_columns)
    )
    chosen = random.Random(7)
    places = [chosen.randrange(60, end) for _ in range(300)]
    passed = [flipped(data, place) for place in places if not flaw_of(flipped(data, place))]
    assert all(is_told_or_harmless(damaged, data) for damaged in passed)
    assert len(passed) < 30


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def is_told_or_harmless(damaged: bytes, sound: bytes) -> bool:
    try:
        return pl.read_parquet(io.BytesIO(damaged)).equals(pl.read_parquet(io.BytesIO(sound)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return True


def test_the_damaged_page_is_named() -> None:
    data = written()
    column = parquet.read_metadata(io.BytesIO(data)).row_group(1).column(1)
    damaged = flipped(data, column.dictionary_page_offset + 40)
    assert flaw_of(damaged) == (
        "is damaged: a page is not what its checksum says "
        f"(column 'text', row group 1, byte {column.dictionary_page_offset:,}); upload it again"
    )


def test_without_checksums_damage_cannot_be_told() -> None:
    data = written(checksums=False, compression="none")
    assert flaw_of(flipped(data, 500)) == ""


def test_a_large_row_group_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_check, "MAX_ROW_GROUP_BYTES", 2**10)
    assert flaw_of(written()) == (
        "has a row group of 0 MB, which is read as a whole, at most 0 are; write it with a smaller row_group_size"
    )


@pytest.mark.parametrize("rows", [pl.DataFrame(schema={"a": pl.Int64}), pl.DataFrame()])
def test_files_without_rows_or_columns_pass(rows: pl.DataFrame) -> None:
    rows.write_parquet(sink := io.BytesIO())
    assert flaw_of(sink.getvalue()) == ""


def test_a_page_header_is_read_past_what_it_holds_besides() -> None:
    """type 0, size 1, compressed size 300, crc -1, a struct with a boolean, a double, a list and text."""
    numbers = [0x15, 0, 0x15, 2, 0x15, 0xD8, 4, 0x15, 1]
    head = bytes([*numbers, 0x1C, 0x11, 0x17, *range(8), 0x19, 0x25, 2, 4, 0x18, 2, 65, 66])
    assert page_header(head + b"\0\0rest") == PageHeader(length=len(head) + 2, size=300, checksum=0xFFFFFFFF)


def test_a_page_of_less_than_no_values_is_damaged() -> None:
    """Polars would abort the whole process for it: type 0, sizes 1, and a data page's header with -1 values."""
    head = [0x15, 0, 0x15, 2, 0x15, 2, 0x2C, 0x15]
    assert page_header(bytes([*head, 2, 0, 0])).size == 1
    with pytest.raises(ValueError, match="header is damaged"):
        page_header(bytes([*head, 1, 0, 0]))


@given(data=st.binary(max_size=80))
def test_no_bytes_bring_the_reader_down(data: bytes) -> None:
    for read in (page_header, lambda footer: list(row_groups(footer))):
        with suppress(IndexError, ValueError):
            read(data)


def test_no_damage_brings_the_check_down() -> None:
    data, chosen = written(), random.Random(8)
    for place in (chosen.randrange(len(data)) for _ in range(300)):
        assert flaw_of(flipped(data, place)).endswith(("again", "clear", "row_group_size", ""))
        assert flaw_of(data[:place]).endswith("upload it again")
