"""Names that a body gives twice: decoders keep the last of them in silence, so they are looked for here.

Bodies come that were decoded already: they are JSON, and one of the formats. Cheap proofs that nothing is given twice
come first; what they leave open is gone through name by name, without making values of it, and in linear time.
"""

import json
import re
from collections.abc import Collection

from serving.requests.refusals import RequestError

IN_ROWS, IN_LISTS = 3, 2  # how deep the names of columns stand, in records and in an object of columns

_SPLIT_WITHOUT_VALUES = len('{"dataframe_split":{"columns":,"data":}}')
_INDEX = len(',"index":')
_SHORTEST_REPETITION = len('"data":0,')
_OF_SPLIT = ("columns", "index", "data")
_PROTOCOL = tuple(
    f'"{name}"'.encode()
    for name in ("dataframe_split", "dataframe_records", "inputs", "instances", "params", *_OF_SPLIT)
)
_MOST_BRACKETS = 1_000_000  # of a body that is gone through: ten thousand rows of plain values have a hundredth
_MOST_ESCAPED = 10_000  # different names with escapes: each costs a microsecond
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# NOTE: whatever follows what is skipped matches, also a lone quote and the end: else each byte skipped is tried again.
_NAME_OR_BRACKET = re.compile(
    rb'(?:[^"{}\[\]]++|%b(?!\s*+:))*+(?:(%b)\s*+:|([{\[])|["}\]]|\Z)' % (_STRING, _STRING), re.DOTALL
)


def refuse_repeated(body: bytes, names: Collection[str], *, times: int, depth: int, strings: int) -> None:
    """RequestError 422 when an object `depth` deep gives one of `names` twice, or the body a name of the protocol.

    `times`: how many such objects there are. `strings`: how many there would be, keys included, if nothing were given
    twice and nothing were unknown. Where no quote is escaped each string takes two of them; so when there are no more,
    there is nothing else.
    """
    if body.count(b'"') == 2 * strings and b'\\"' not in body:
        return
    if not (_only_once(body) and all(body.count(b'"%b"' % name.encode()) <= times for name in names)):
        _refuse(body, names, depth=depth)


def refuse_repeated_in_split(body: bytes, *, values: int, index: bool) -> None:
    """The same of the names around the `values` bytes of a dataframe_split: columns, data and perhaps an index."""
    around = _SPLIT_WITHOUT_VALUES + _INDEX * index
    if len(body) - values < around + _SHORTEST_REPETITION or _only_once(body):
        return
    _refuse(body, _OF_SPLIT, depth=IN_LISTS)


def _only_once(body: bytes) -> bool:
    """Whether no name of the protocol is found a second time, be it as a value, or could be written with escapes."""
    return b"\\" not in body and all(body.count(name) <= 1 for name in _PROTOCOL)


def _refuse(body: bytes, names: Collection[str], *, depth: int) -> None:
    _check_brackets(body)
    known = {f'"{name}"'.encode(): name for name in names}
    most, level, top, seen = len(known) + _MOST_ESCAPED, 0, set[str](), set[str]()
    for token in _NAME_OR_BRACKET.finditer(body):
        string, opening = token.groups()
        if string is None:
            level += 1 if opening else -1
            if level == depth and opening:
                seen = set()
        elif level == depth:
            name = known.get(string) or (_read(string, known, most=most) if b"\\" in string else "")
            if name in seen:
                raise RequestError(422, _given_twice(name, depth=depth, names=names))
            if name in names:
                seen.add(name)
        elif level == 1:
            if (name := json.loads(string)) in top:
                raise RequestError(422, f"{name!r} is given twice; send it once")
            top.add(name)


def _check_brackets(body: bytes) -> None:
    if (brackets := body.count(b"[") + body.count(b"{")) > _MOST_BRACKETS:
        raise RequestError(422, f"got {brackets:,} lists and objects; send rows of plain values")


def _read(string: bytes, known: dict[bytes, str], *, most: int) -> str:
    """The name that a string with escapes gives; `known` remembers it."""
    if len(known) >= most:
        raise RequestError(422, f"got more than {_MOST_ESCAPED:,} names with escapes; send only the columns")
    name: str = json.loads(string)
    known[string] = name
    return name


def _given_twice(name: str, *, depth: int, names: Collection[str]) -> str:
    if names is _OF_SPLIT:
        return f"{name!r} is given twice in dataframe_split; send it once"
    where = " in a row" if depth == IN_ROWS else ""
    return f"column {name!r} is given twice{where}; send each column once"
