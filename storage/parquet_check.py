"""Is a Parquet file whole, of row groups that fit into memory, and what its own checksums say? No value is looked at.

What no checksum tells cannot be told here: Polars reads a page with flipped bits without an error. Pages have checksums
where their writer makes them: pyarrow's does with `write_page_checksum=True`, Polars' never. The footer has none. A
manifest or the store's own checksum (`storage.evidence`, `storage.s3`) covers all bytes.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from storage.flaws import EMPTY, Flaw
from storage.thrift import PageHeader, RowGroup, page_header, row_groups

MAX_ROW_GROUP_BYTES = 2**30  # uncompressed; a row group is read as a whole

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_SMALLEST, _TAIL = 12, 8
_HEADER_BYTES, _CHUNK_BYTES = 2**12, 2**20
_MAX_HEADER_BYTES = 2**24


def parquet_flaw(file: BinaryIO, size: int) -> Flaw | None:
    """What is wrong with the file; None when nothing is."""
    if not size:
        return EMPTY
    if (flaw := _frame_flaw(file, size)) is not None:
        return flaw
    try:
        groups = list(row_groups(_footer(file, size)))
        return _row_group_flaw(groups) or _page_flaw(file, groups)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        return Flaw(f"is not a whole Parquet file ({size:,} bytes): {reason}; upload it again")


def _footer(file: BinaryIO, size: int) -> bytes:
    file.seek(size - _TAIL)
    length = int.from_bytes(file.read(4), "little")
    if length > size - _SMALLEST:
        raise ValueError("its footer is longer than the file")
    file.seek(size - _TAIL - length)
    return file.read(length)


def _frame_flaw(file: BinaryIO, size: int) -> Flaw | None:
    file.seek(0)
    head = file.read(len(_MAGIC))
    file.seek(max(0, size - len(_MAGIC)))
    tail = file.read(len(_MAGIC))
    if tail == _ENCRYPTED:
        return Flaw("is encrypted Parquet, which is not read; upload it in the clear")
    if head != _MAGIC or tail != _MAGIC or size < _SMALLEST:
        end = "begins" if head != _MAGIC else "ends"
        reason = f"is not a whole Parquet file ({size:,} bytes): it {end} without the mark PAR1; upload it again"
        return Flaw(reason, is_incomplete=True)
    return None


def _row_group_flaw(groups: Sequence[RowGroup]) -> Flaw | None:
    for group in groups:
        if group.size > MAX_ROW_GROUP_BYTES:
            return Flaw(
                f"has a row group of {group.size / 2**20:,.0f} MB, which is read as a whole, at most "
                f"{MAX_ROW_GROUP_BYTES / 2**20:,.0f} are; write it with a smaller row_group_size"
            )
    return None


def _page_flaw(file: BinaryIO, groups: Sequence[RowGroup]) -> Flaw | None:
    """The first page whose bytes are not what its checksum says. Headers are looked at in any case: readers trust
    them, and die of some.
    """
    for number, group in enumerate(groups):
        for chunk in group.chunks:
            for at, is_sound in _pages(file, chunk.start, chunk.length):
                if not is_sound:
                    where = f"column {chunk.column!r}, row group {number}, byte {at:,}"
                    return Flaw(f"is damaged: a page is not what its checksum says ({where}); upload it again")
    return None


def _pages(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, bool]]:
    """Where each page of a column begins, and whether its checksum, if it has one, is kept."""
    at, end = start, start + length
    while at < end:
        header = _header_at(file, at)
        file.seek(at + header.length)
        yield at, header.checksum is None or header.checksum == _crc32(file, header.size)
        at += header.length + header.size


def _header_at(file: BinaryIO, at: int) -> PageHeader:
    """NOTE: only a header with long statistics needs more than one read."""
    wanted = _HEADER_BYTES
    while True:
        file.seek(at)
        data = file.read(wanted)
        try:
            return page_header(data)
        except IndexError as error:
            if len(data) < wanted or wanted > _MAX_HEADER_BYTES:
                raise ValueError(f"no page begins at byte {at:,}") from error
            wanted *= 8


def _crc32(file: BinaryIO, size: int) -> int:
    crc = 0
    while size > 0:
        if not (data := file.read(min(size, _CHUNK_BYTES))):
            raise ValueError("a page goes beyond the end of the file")
        crc = zlib.crc32(data, crc)
        size -= len(data)
    return crc
