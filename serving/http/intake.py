"""How much a client has sent of the head, or of a trailer, of the request that it is at, and whether that is too much.

The parser tells a header when it is whole, so what never becomes whole must be counted here.
"""

from serving.http.limits import Limits

Refusal = tuple[int, str]  # a status, and the sentence that says why


class Intake:
    """Counts one request of one connection."""

    __slots__ = ("_bytes", "_headers", "_limits", "_unfinished")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = self._headers = self._unfinished = 0

    def begin(self) -> None:
        """A request begins. What came together with its beginning may be of another one, and is not counted."""
        self._bytes = self._headers = 0
        self._unfinished = -1

    def progress(self) -> None:
        """A part of the body came: what is unfinished is counted from here."""
        self._unfinished = -1

    def address(self, length: int) -> Refusal | None:
        """The first line is so long by now."""
        if length <= self._limits.url_bytes:
            return None
        return 414, f"the address is longer than {self._limits.url_bytes:,} bytes; shorten it"

    def header(self, name: bytes, value: bytes) -> Refusal | None:
        """A whole header, of the head or of a trailer."""
        self._headers += 1
        self._bytes += len(name) + len(value) + 4  # colon, space and end of line
        if self._bytes <= self._limits.header_bytes and self._headers <= self._limits.headers:
            return None
        return 431, "this request has too many or too long headers; send fewer or shorter ones"

    def received(self, amount: int) -> Refusal | None:
        """So many bytes came, after which a head, a trailer or a chunk's first line has no end yet."""
        self._unfinished = 0 if self._unfinished < 0 else self._unfinished + amount
        if self._unfinished <= self._limits.url_bytes + self._limits.header_bytes:
            return None
        return 431, "the head or the trailer of this request is too long; send fewer or shorter headers"
