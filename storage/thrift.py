"""The footer of a Parquet file and the headers of its pages, in Thrift's compact protocol: can they be true?

NOTE: not by pyarrow, whose metadata ends the whole process (std::terminate) where a damaged footer contradicts itself,
and before Polars, which aborts it where a page is said to have a negative number of values.
Source: parquet.thrift (FileMetaData, PageHeader), and the compact protocol's own specification.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_VARINTS = (4, 5, 6)
_DEEPEST = 16
_DAMAGED = "its footer or a page's header is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHeader:
    """`length` of the header, `size` of the page behind it, `checksum`: the page's CRC-32, None where there is none."""

    length: int
    size: int
    checksum: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A column of a row group: its name, and where its pages lie."""

    column: str
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """`size`: of its values, uncompressed."""

    size: int
    chunks: tuple[Chunk, ...]


def page_header(data: bytes) -> PageHeader:
    """The header at the beginning of `data`; IndexError when it goes beyond the end, ValueError when it is none."""
    reader = _Reader(data)
    fields = reader.struct(0)
    size, crc = _number(fields, 3), _number(fields, 4) if 4 in fields else None
    told = [fields[kind] for kind in (5, 7, 8) if kind in fields]  # of a data page, a dictionary, a data page v2
    if size < 0 or any(_number(one, 1) < 0 for one in told):
        raise ValueError(_DAMAGED)
    return PageHeader(length=reader.at, size=size, checksum=None if crc is None else crc & 0xFFFFFFFF)


def row_groups(footer: bytes) -> Iterator[RowGroup]:
    """The row groups that the footer names; ValueError when it is none."""
    try:
        groups = _Reader(footer).struct(0).get(4, [])
        for group in groups:
            yield RowGroup(size=_number(group, 2), chunks=tuple(_chunk(column[3]) for column in group[1]))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(_DAMAGED) from error


def _chunk(meta: dict[int, Any]) -> Chunk:
    starts = [at for at in (meta.get(11), meta[9]) if at]  # a dictionary comes before the data
    chunk = Chunk(column=b".".join(meta[3]).decode("utf-8", "replace"), start=min(starts), length=_number(meta, 7))
    if chunk.start < 0 or chunk.length < 0 or _number(meta, 5) < 0:
        raise ValueError(_DAMAGED)
    return chunk


def _number(fields: Any, field: int) -> int:
    found = fields.get(field) if isinstance(fields, dict) else None
    if not isinstance(found, int):
        raise ValueError(_DAMAGED)  # noqa: TRY004  # it is the file's fault
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int) -> dict[int, Any]:
        """The fields of a struct, by number: numbers, bytes, lists and structs."""
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            fields[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError(_DAMAGED)
        if kind in _VARINTS:
            return self._zigzag()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (_LIST, _SET):
            return self._items(depth)
        sizes = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}
        if kind not in sizes:
            raise ValueError(_DAMAGED)  # no part of Parquet's metadata holds a map
        return self._bytes(sizes[kind])

    def _items(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if count > len(self._data):
            raise IndexError
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _bytes(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self._data):
            raise IndexError
        return self._data[start : self.at]

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise ValueError(_DAMAGED)

    def _zigzag(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
