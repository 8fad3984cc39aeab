"""Names that a body gives twice: decoders keep the last of them in silence, so they are looked for here.

Cheap proofs that there are none come first; only what they leave open is parsed a second time.
"""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

from serving.refusals import NotJsonError, RequestError

_SPLIT_WITHOUT_VALUES = len('{"dataframe_split":{"columns":,"data":}}')
_INDEX = len(',"index":')
_SHORTEST_REPETITION = len('"data":0,')
_PROTOCOL = tuple(
    b'"%b"' % name
    for name in (
        *(b"dataframe_split", b"dataframe_records", b"inputs", b"instances", b"params"),
        *(b"columns", b"index", b"data"),
    )
)


class _Object(list[tuple[str, Any]]):
    """A JSON object with all its names, also those that it gives twice."""


def refuse_repeated(body: bytes, names: Collection[str], *, times: int, strings: int) -> None:
    """RequestError 422 when a row, or an object of columns, gives one of `names` twice; or the body one of its own.

    `times`: how often each name may stand there. `strings`: how many there would be, keys included, if nothing were
    given twice and nothing were unknown. Where no quote is escaped each string takes two of them; so when there are no
    more, there is nothing else.
    """
    if body.count(b'"') == 2 * strings and b'\\"' not in body:
        return
    if not (_only_once(body) and all(body.count(b'"%b"' % name.encode()) == times for name in names)):
        _refuse(body, names)


def refuse_repeated_in_split(body: bytes, *, values: int, index: bool) -> None:
    """The same of the names around the `values` bytes of a dataframe_split: columns, data and perhaps an index."""
    around = _SPLIT_WITHOUT_VALUES + _INDEX * index
    if len(body) - values < around + _SHORTEST_REPETITION or _only_once(body):
        return
    _refuse(body, ())


def _only_once(body: bytes) -> bool:
    """Whether no name of the protocol is found a second time, be it as a value, or could be written with escapes."""
    return b"\\" not in body and all(body.count(name) <= 1 for name in _PROTOCOL)


def _refuse(body: bytes, names: Collection[str]) -> None:
    try:
        top: _Object = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    except RecursionError:
        raise RequestError(400, "the JSON is nested too deeply; send rows of plain values") from None
    except ValueError as error:
        raise NotJsonError(error) from None
    if twice := _repeated(top):
        raise RequestError(422, f"{twice!r} is given twice; send it once")
    for key, value in top:
        _refuse_in(key, value, names)


def _refuse_in(key: str, value: Any, names: Collection[str]) -> None:
    if key == "dataframe_split" and (twice := _repeated(value)):
        raise RequestError(422, f"{twice!r} is given twice in dataframe_split; send it once")
    if isinstance(value, _Object) and (twice := _repeated(value, names)):
        raise RequestError(422, f"column {twice!r} is given twice; send each column once")
    for row in value if type(value) is list else ():
        if isinstance(row, _Object) and (twice := _repeated(row, names)):
            raise RequestError(422, f"column {twice!r} is given twice in a row; send each column once")


def _repeated(pairs: _Object, names: Collection[str] | None = None) -> str | None:
    """The first name (of `names`, if given) that stands in the object more than once."""
    if len(pairs) == len({name for name, _ in pairs}):
        return None
    counts = Counter(name for name, _ in pairs)
    return next((name for name, count in counts.items() if count > 1 and (names is None or name in names)), None)
