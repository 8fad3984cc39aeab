"""Is a CSV file whole and well-formed? Looked at in chunks, as the bytes pass by. Values are not looked at.

Polars fills short lines with nulls, replaces what is no UTF-8 in the header, and renames the second column of a name:
all without a word. Fields are separated by commas, quoted by ", in which "" is a quote, as RFC 4180 has it.
"""

import codecs
import csv
import io
from collections import Counter

import numpy as np

from storage.address import shown
from storage.flaws import EMPTY, Flaw

MAX_HEADER_BYTES = 2**20

_QUOTE, _END = ord('"'), ord("\n")
_OTHERS = bytes(set(range(256)) - set(b'",\n'))


class CsvCheck:
    """`update` takes in the file's bytes in order, `finish` says what is wrong with them: the first thing found."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._header = b""  # what came before the end of the first line is found
        self._width = 0  # fields of the header, when it is known
        self._is_open = False  # within a quoted field
        self._separators = 0  # of the line that has not yet ended
        self._lines = self._size = 0
        self._last = b""
        self._flaw: Flaw | None = None

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        if self._flaw is None and data:
            self._flaw = self._no_text(data) or (self._ragged(data) if self._width else self._no_header(data))
            self._size += len(data)
            self._last = data[-1:]

    def finish(self) -> Flaw | None:
        """What is wrong with the whole file; None when nothing is."""
        if self._flaw is not None or not self._size:
            return self._flaw or EMPTY
        if self._is_open or (not self._width and self._last == b"\n"):
            return Flaw("has a quoted field that never ends; close it, or upload the file again", is_incomplete=True)
        if self._last != b"\n":
            return Flaw(
                "does not end with a line break, as if cut; end its last line, or upload it again", is_incomplete=True
            )
        return None

    def _no_text(self, data: bytes) -> Flaw | None:
        if (at := data.find(b"\0")) >= 0:
            return Flaw(f"has a zero byte at {self._size + at:,}, which is no text; upload it again")
        try:
            if not data.isascii() or self._decoder.getstate()[0]:
                self._decoder.decode(data)
        except UnicodeDecodeError as error:
            return Flaw(f"is not UTF-8 at about byte {self._size + error.start:,}; convert it and upload it again")
        return None

    def _no_header(self, data: bytes) -> Flaw | None:
        """Wait for the end of the first line; it names the columns."""
        self._header += data
        if (end := _end_of_line(self._header)) < 0:
            too_long = len(self._header) > MAX_HEADER_BYTES
            return Flaw(f"has no line within {MAX_HEADER_BYTES:,} bytes; is it CSV? upload that") if too_long else None
        names = next(csv.reader(io.StringIO(self._header[:end].decode("utf-8-sig"), newline="")), [""])
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            return Flaw(f"has the column {shown(twice[0])!r} more than once; rename one of them")
        self._width = len(names)
        return self._ragged(self._header)

    def _ragged(self, data: bytes) -> Flaw | None:
        """Each line must have the header's fields: counted by the separators outside of quotes."""
        kinds = np.frombuffer(data.translate(None, _OTHERS), np.uint8)
        if self._is_open or b'"' in data:
            inside = (np.cumsum(kinds == _QUOTE) + self._is_open) % 2 == 1
            self._is_open = bool(inside[-1]) if inside.size else self._is_open
            kinds = kinds[(kinds != _QUOTE) & ~inside]
        ends = np.flatnonzero(kinds == _END)
        widths = np.diff(ends, prepend=-1 - self._separators)
        wrong = np.flatnonzero(widths != self._width)
        if wrong.size:
            line, got = self._lines + 1 + int(wrong[0]), int(widths[wrong[0]])
            return Flaw(f"has {got} fields in line {line:,}, its header has {self._width}; mend that line")
        self._separators = len(kinds) - 1 - int(ends[-1]) if ends.size else self._separators + len(kinds)
        self._lines += len(ends)
        return None


def _end_of_line(data: bytes) -> int:
    """Where the first line break outside of quotes is; -1 when there is none."""
    end = data.find(b"\n")
    while end >= 0 and data.count(b'"', 0, end) % 2:
        end = data.find(b"\n", end + 1)
    return end
