"""Is a Parquet file whole, of row groups that fit into memory, and what its own checksums say? No value is looked at.

What no checksum tells cannot be told here: Polars reads a page with flipped bits without an error. Pages have checksums
where their writer makes them: pyarrow's does with `write_page_checksum=True`, Polars' never. The footer has none. A
manifest or the store's own checksum (`storage.evidence`, `storage.s3`) covers all bytes.
"""

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from storage.flaws import EMPTY, Flaw
from storage.thrift import PageHeader, page_header

MAX_ROW_GROUP_BYTES = 2**30  # uncompressed; a row group is read as a whole

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_SMALLEST = 12
_HEADER_BYTES, _CHUNK_BYTES = 2**12, 2**20
_MAX_HEADER_BYTES = 2**24


def parquet_flaw(file: BinaryIO, size: int) -> Flaw | None:
    """What is wrong with the file; None when nothing is."""
    if not size:
        return EMPTY
    if (flaw := _frame_flaw(file, size)) is not None:
        return flaw
    import pyarrow as pa
    from pyarrow import parquet

    try:
        footer = parquet.read_metadata(file)
        return _row_group_flaw(footer) or _page_flaw(file, footer)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        return Flaw(f"is not a whole Parquet file ({size:,} bytes): {reason}; upload it again")


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


def _row_group_flaw(footer: Any) -> Flaw | None:
    for number in range(footer.num_row_groups):
        size = footer.row_group(number).total_byte_size
        if size > MAX_ROW_GROUP_BYTES:
            return Flaw(
                f"has a row group of {size / 2**20:,.0f} MB, which is read as a whole, at most "
                f"{MAX_ROW_GROUP_BYTES / 2**20:,.0f} are; write it with a smaller row_group_size"
            )
    return None


def _page_flaw(file: BinaryIO, footer: Any) -> Flaw | None:
    """The first page whose bytes are not what its checksum says; files whose first page has none are not searched."""
    if not footer.num_row_groups or not footer.num_columns or not _tells_checksums(file, footer):
        return None
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            column = footer.row_group(group).column(number)
            for at, is_sound in _pages(file, _start(column), column.total_compressed_size):
                if not is_sound:
                    where = f"column {column.path_in_schema!r}, row group {group}, byte {at:,}"
                    return Flaw(f"is damaged: a page is not what its checksum says ({where}); upload it again")
    return None


def _tells_checksums(file: BinaryIO, footer: Any) -> bool:
    try:
        return _header_at(file, _start(footer.row_group(0).column(0))).checksum is not None
    except ValueError:
        return False  # for the reader to say what is wrong with it


def _start(column: Any) -> int:
    first: int = min(at for at in (column.dictionary_page_offset, column.data_page_offset) if at)
    return first


def _pages(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, bool]]:
    """Where each page of a column begins, and whether its checksum, if it has one, is kept."""
    at, end = start, start + length
    while at < end:
        header = _header_at(file, at)
        file.seek(at + header.length)
        got = _crc32(file, header.size)
        yield at, header.checksum in (None, got)
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
