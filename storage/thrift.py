"""The header of a Parquet page, as far as its checksum goes: Thrift's compact protocol, of which only numbers are read.

Source: parquet.thrift (struct PageHeader), and the compact protocol's own specification.
"""

from dataclasses import dataclass

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_VARINTS = (4, 5, 6)
_COMPRESSED_SIZE, _CHECKSUM = 3, 4
_DEEPEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHeader:
    """`length` of the header itself, `size` of the page behind it, `checksum`: the page's CRC-32, None without one."""

    length: int
    size: int
    checksum: int | None


def page_header(data: bytes) -> PageHeader:
    """The header at the beginning of `data`; IndexError when it goes beyond the end, ValueError when it is none."""
    reader = _Reader(data)
    fields = reader.struct(0)
    size = fields.get(_COMPRESSED_SIZE, -1)
    if size < 0:
        raise ValueError("a page's header is damaged")
    crc = fields.get(_CHECKSUM)
    return PageHeader(length=reader.at, size=size, checksum=None if crc is None else crc & 0xFFFFFFFF)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int) -> dict[int, int]:
        """The numbers among the fields of a struct, by field; the others are passed over."""
        if depth > _DEEPEST:
            raise ValueError("a page's header is damaged")
        numbers: dict[int, int] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            if head & 15 in _VARINTS:
                numbers[field] = self._number()
            elif head & 15 not in (_TRUE, _FALSE):  # a boolean field is its own value
                self._pass_over(head & 15, depth)
        return numbers

    def _pass_over(self, kind: int, depth: int) -> None:
        if kind in (_TRUE, _FALSE, _BYTE):
            self.at += 1
        elif kind in _VARINTS:
            self._varint()
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            length = self._varint()
            self.at += length
        elif kind == _STRUCT:
            self.struct(depth + 1)
        elif kind in (_LIST, _SET):
            self._pass_over_list(depth + 1)
        else:
            raise ValueError("a page's header is damaged")  # no page header holds a map
        if self.at > len(self._data):
            raise IndexError

    def _pass_over_list(self, depth: int) -> None:
        head = self._byte()
        for _ in range(head >> 4 if head >> 4 < 15 else self._varint()):
            self._pass_over(head & 15, depth)

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
                raise ValueError("a page's header is damaged")

    def _number(self) -> int:
        """A signed number, in zigzag."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
