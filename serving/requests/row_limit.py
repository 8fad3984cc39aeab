"""Too many rows are refused before they become values: 16 MB of short rows would take 360 MB, and a second.

Only bodies that could hold too many are counted: by decoding them into rows without values, and no further than needed.
"""

import re
import threading
from collections.abc import Sequence
from itertools import islice

import msgspec
from msgspec import Raw, Struct, UnsetType

from serving.requests.refusals import RequestError

MAX_ROWS = 10_000

_OTHER_BRACKETS = 8  # around the rows
_STRING_OR_COMMA = re.compile(rb'"(?:[^"\\]++|\\.)*+"|,', re.DOTALL)


class _Left(threading.local):
    """How many rows this thread's body may still have."""

    rows = 0


class _TooManyError(Exception):
    """Decoding need not go on."""


_LEFT = _Left()


def _count() -> None:
    _LEFT.rows -= 1
    if _LEFT.rows < 0:
        raise _TooManyError


class _Record(Struct):
    def __post_init__(self) -> None:
        _count()


class _Row(Struct, array_like=True):
    def __post_init__(self) -> None:
        _count()


class _Split(Struct):
    data: list[_Row]


class RowLimit:
    """Of requests for these columns. `fewest`: how many of them each row must have, or decoding ends at once anyway."""

    def __init__(self, columns: Sequence[str], *, fewest: int) -> None:
        fields = [f"c{position}" for position in range(len(columns))]
        texts = msgspec.defstruct(
            "Texts",
            [(field, Raw | UnsetType, msgspec.UNSET) for field in fields],
            rename=dict(zip(fields, columns, strict=True)),
        )
        either = list[_Record] | texts | UnsetType
        kinds = {
            "dataframe_split": _Split | UnsetType,
            "dataframe_records": list[_Record] | UnsetType,
            "inputs": either,
            "instances": either,
        }
        self._width = len(columns)
        self._long = MAX_ROWS * (2 * max(1, fewest) + 1)  # bytes of so many rows of digits
        self._texts = texts
        self._decoder = msgspec.json.Decoder(
            msgspec.defstruct("Shape", [(name, kind, msgspec.UNSET) for name, kind in kinds.items()])
        )

    def check(self, body: bytes) -> None:
        """RequestError 422 for too many rows; what is wrong otherwise is not told here."""
        if len(body) <= self._long or not self._could_be_too_many(body):
            return
        _LEFT.rows = MAX_ROWS
        try:
            shape = self._decoder.decode(body)
        except _TooManyError:
            raise too_many(f"more than {MAX_ROWS:,}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        for value in msgspec.structs.astuple(shape):
            if isinstance(value, self._texts):
                _check_lists(msgspec.structs.astuple(value))

    def _could_be_too_many(self, body: bytes) -> bool:
        brackets = max(body.count(b"["), body.count(b"{"))
        return brackets > MAX_ROWS + _OTHER_BRACKETS or body.count(b",") > MAX_ROWS * (self._width + 1)


def too_many(got: object) -> RequestError:
    """What is said of so many rows."""
    hint = "for more, land a file and let batch scoring answer: andon score"
    return RequestError(422, f"got {got} rows; send 1 to {MAX_ROWS:,} rows in a request; {hint}")


def has_commas(text: bytes, least: int) -> bool:
    """Whether at least so many commas of JSON are not in strings."""
    if text.count(b",") < least:
        return False
    found = (None for token in _STRING_OR_COMMA.finditer(text) if token[0] == b",")
    return next(islice(found, least - 1, least), 0) is None


def _check_lists(texts: Sequence[Raw | UnsetType]) -> None:
    for text in texts:
        if text is msgspec.UNSET or memoryview(text).nbytes <= 2 * MAX_ROWS:
            continue
        if has_commas(bytes(text), MAX_ROWS):
            raise too_many(f"more than {MAX_ROWS:,}")
