"""Bodies of requests, and what can go wrong with them: bytes, tokens, structure, and the way they are written."""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from tests.e2e.strict_reading import BITS, Contract

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|[\[\]{},:]|\s+|.', re.DOTALL)
NUMBERS = [
    *("0", "-0", "-0.0", "1", "3.0", "1e2", "0.1", "1e-400", "1e400", "-1e400", "1e308", "1.7976931348623157e308"),
    *("1.7976931348623159e308", "3.4028234663852886e38", "3.4028234663852887e38", "3.5e38", "127", "128", "-128"),
    *("32767", "32768", "-32769", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "1" + "0" * 40, "1" + "0" * 400, "0." + "3" * 60, "5e-324"),
    *("2.4703282292062328e-324", "2.4703282292062327e-324", "123456789012345678901234567890", "1e999999999"),
    *("NaN", "Infinity", "-Infinity", "-NaN", "01", "1.", ".5", "+1", "0x10", "1e", "1_000", "--1", "1E+2", "-"),
]  # fmt: skip
TEXTS = [
    '""', '"a"', '"0.5"', '"true"', '"NaN"', '"m"', '"s"', '"null"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"',
    '"\\udc00\\ud800"', '"\\x"', '"\\u12"', '"a\nb"', '"😀"', '"é"', '"\\u00e9"', '"\\""', '"\\\\"',
    '"' + "x" * 3000 + '"',
    '"2013-01-31T06:15:00Z"', '"2013-01-31 06:15:00"', '"2013-02-30T00:00:00Z"', '"2013-01-31"', '"20130131"',
    '"2013-01-31t06:15:00z"', '"2013-01-31T06:15:00.1234565Z"', '"2013-01-31T06:15:00,5Z"', '"2013-01-31T24:00:00Z"',
    '"2013-01-31T06:15:60Z"', '"9999-12-31T23:59:59.999999Z"', '"9999-12-31T23:59:59-01:00"',
    '"0001-01-01T00:00:00+01:00"',
    '"1677-12-31T23:59:59Z"', '"1678-01-01T00:00:00Z"', '"2261-12-31T23:59:59.999999Z"', '"2262-01-01T00:00:00Z"',
    '"0000-01-01T00:00:00Z"', '"0001-12-31T00:00:00+01:00"', '"2013-01-31T06:15:00+0530"',
    '"2013-01-31T06:15:00-23:59"', '"2013-01-31T06:15:00+24:00"',
    '"2013-01-31T00:00:00"', '"2013-01-31 00:00:00.000Z"', '"2013-01-31T00:00:00+01:00"', '"2013-W01-1"', '"2013-1-31"',
    '"2012-02-29"', '"2013-02-29"', '"1900-02-29"', '"0000-01-01"', '"\uff12\uff10\uff11\uff13-01-31"',
    '"٢013-01-31T06:15:00Z"',
]  # fmt: skip
OTHERS = ["true", "false", "null", "[]", "{}", "[null]", '{"a": 1}', "tru", "None", "nul", "TRUE", ""]
NAMES = ["dataframe_split", "dataframe_records", "inputs", "instances", "params", "columns", "data", "index", "rows"]

Mutation = Callable[[bytes, random.Random], bytes]


def value(dtype: pl.DataType, dice: random.Random) -> Any:
    """One that such a column takes, as JSON has it."""
    if dtype.is_float():
        return dice.choice([dice.gauss(0, 100), dice.randrange(-1000, 1000), round(dice.random(), 3), -0.0])
    if (bits := BITS.get(type(dtype))) is not None:
        least = -(1 << (bits - 1)) if dtype.is_signed_integer() else 0
        return least + dice.randrange(1 << bits)
    if dtype == pl.Boolean:
        return dice.random() < 0.5
    return _text(dtype, dice)


def _text(dtype: pl.DataType, dice: random.Random) -> str:
    if isinstance(dtype, pl.Enum):
        return str(dice.choice(dtype.categories.to_list()))
    day = f"{dice.randrange(1700, 2200)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
    if dtype == pl.Date:
        return day + dice.choice(["", "", "T00:00:00", " 00:00:00.000Z"])
    if isinstance(dtype, pl.Datetime):
        fraction = dice.choice(["", ".5", ".123456", ".123456789"])
        zone = dice.choice(["", "Z", "+02:00", "-0330"])
        return f"{day}{dice.choice('T ')}{timedelta(seconds=dice.randrange(36_000, 86_400))}{fraction}{zone}"
    return dice.choice(["a", "", "b c", "é", "😀", "true", "1", 'say "x"', "back\\slash", "{", "[1, 2]", "\u2028"])


def record(contract: Contract, dice: random.Random) -> dict[str, Any]:
    """One row that keeps the contract."""
    return {
        name: None if name not in contract.required and dice.random() < 0.1 else value(dtype, dice)
        for name, dtype in contract.schema.items()
    }


def tree(contract: Contract, dice: random.Random) -> dict[str, Any]:
    """A request that keeps the contract, in one of the four formats."""
    rows = [record(contract, dice) for _ in range(dice.choice([1, 1, 1, 2, 5]))]
    left = {name for group in contract.groups if dice.random() < 0.3 for name in group}
    names = [name for name in contract.schema if name not in left]
    if dice.random() < 0.3:
        names.append("unknown")
    if dice.random() < 0.4:
        dice.shuffle(names)
    rows = [{name: row.get(name, [{"unknown": ["to the contract"]}]) for name in names} for row in rows]
    form = dice.choice(["split", "records", "rows", "lists"])
    if form == "split":
        data = [list(row.values()) for row in rows]
        index = {"index": list(range(len(rows)))} if dice.random() < 0.3 else {}
        return {"dataframe_split": {"columns": names, **index, "data": data}}
    if form == "records":
        return {"dataframe_records": rows}
    held: Any = rows if form == "rows" else {name: [row[name] for row in rows] for name in names}
    return {dice.choice(["inputs", "instances"]): held, **({"params": {}} if dice.random() < 0.1 else {})}


def text(request: Mapping[str, Any], dice: random.Random) -> bytes:
    """The request, written in one of the ways in which programs write JSON."""
    separators = dice.choice([(",", ":"), (", ", ": "), (" ,\n ", "\t: ")])
    return json.dumps(request, separators=separators, ensure_ascii=dice.random() < 0.5).encode()


def _bytes(body: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.choice([1, 1, 1, 3])):
        at, length = dice.randrange(len(body) + 1), dice.choice([0, 1, 1, 2, 8])
        some = dice.choice(
            [b"", bytes([dice.randrange(256)]), dice.choice([b'"', b"\\", b",", b"[", b"}", b"\x00", b"\xff"])]
        )
        body = body[:at] + some + body[at + length :]
    return body


def _cut(body: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(body) + 1)
    return dice.choice([body[:at], body[at:], body + body[:at], body + body])


def _tokens(body: bytes, dice: random.Random) -> bytes:
    found = TOKEN.findall(body)
    for _ in range(dice.choice([1, 1, 2])):
        at, other = dice.randrange(len(found)), dice.randrange(len(found))
        what = dice.randrange(5)
        if what == 0:
            found[at], found[other] = found[other], found[at]
        elif what == 1:
            found.insert(at, found[other])
        elif what == 2 and len(found) > 1:
            del found[at]
        else:
            found[at] = dice.choice([*NUMBERS, *TEXTS, *OTHERS]).encode()
    return b"".join(found)


def _values(body: bytes, dice: random.Random) -> bytes:
    """Another value in the place of one, so that the structure stays."""
    places = [place for place in TOKEN.finditer(body) if place[0][:1] not in b"[]{},: \n\t"]
    place = dice.choice(places or list(TOKEN.finditer(body)))
    told = dice.choice([*NUMBERS, *TEXTS, *OTHERS]).encode()
    return body[: place.start()] + told + body[place.end() :]


def _repeat(body: bytes, dice: random.Random) -> bytes:
    """A name a second time, perhaps written with escapes."""
    keys = list(re.finditer(rb'"((?:[^"\\]|\\.)*)"\s*:', body))
    place, target = dice.choice(keys), dice.choice(keys)
    name = place[0]
    if dice.random() < 0.3:
        name = b'"' + b"".join(b"\\u%04x" % byte for byte in place[1]) + b'":'
    told = dice.choice([*NUMBERS[:12], *TEXTS[:6], *OTHERS[:6]]).encode()
    return body[: target.start()] + name + told + b"," + body[target.start() :]


def _escape(body: bytes, dice: random.Random) -> bytes:
    """Names written with escapes: the same JSON."""
    return re.sub(
        rb'"([a-z_]+)"',
        lambda found: (
            b'"' + b"".join(b"\\u%04x" % byte for byte in found[1]) + b'"' if dice.random() < 0.2 else found[0]
        ),
        body,
    )


def _nest(body: bytes, dice: random.Random) -> bytes:
    """A value below many others."""
    depth = dice.choice([1, 2, 10, 100, 500, 5_000])
    opening, closing = dice.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"": ', b"}]"), (b"[", b"")])
    places = list(TOKEN.finditer(body))
    place = dice.choice(places)
    return body[: place.start()] + opening * depth + (place[0] or b"1") + closing * depth + body[place.end() :]


def _structure(body: bytes, dice: random.Random) -> bytes:
    request = json.loads(body)
    form = next(iter(request))
    held = request[form]
    what = dice.randrange(6)
    if what == 0:
        request[dice.choice(NAMES)] = dice.choice([[], {}, None, 1, "x", held])
    elif what == 1:
        request = {dice.choice(NAMES): held}
    elif what == 2:
        request = dice.choice([held, [request], {"a": request}, None])
    elif isinstance(held, list) and held:
        row = dice.choice(held)
        name = dice.choice(list(row))
        if what == 3:
            del row[name]
        elif what == 4:
            held[dice.randrange(len(held))] = dice.choice(
                [list(row.values()), None, [], {}, "x", row | {"more": [row]}]
            )
        else:
            request[form] = dice.choice([held * dice.choice([2, 3, 4, 20, 3000]), [], held[0], [held]])
    elif isinstance(held, dict) and held:
        name = dice.choice(list(held))
        if what == 3:
            del held[name]
        elif what == 4 and held[name]:
            held[name] = dice.choice([held[name][:-1], held[name] * 2, held[name][0], dict.fromkeys("ab", held[name])])
        else:
            held[dice.choice(NAMES)] = held[name]
    return json.dumps(request).encode()


def bodies(contract: Contract, *, seed: int, count: int) -> Iterator[bytes]:
    """So many bodies: some keep the contract, most do not, and many nearly do."""
    dice = random.Random(seed)
    kinds: list[Mutation] = [_bytes, _cut, _tokens, _values, _values, _repeat, _escape, _nest, _structure]
    for _ in range(count):
        body = text(tree(contract, dice), dice)
        for _ in range(dice.choice([0, 1, 1, 1, 1, 2])):
            mutate = dice.choice(kinds)
            try:
                body = mutate(body, dice)
            except (ValueError, IndexError, TypeError, AttributeError, RecursionError, KeyError):
                continue  # an earlier mutation left nothing that this one could work on
        yield body
