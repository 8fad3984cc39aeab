"""Made-up orders: 20 columns of all common kinds, one row in a thousand breaks exactly one of the 36 rules.

The same rows for the same file number on every machine. Beside each file stands what is broken in it, counted where it
was broken: the truth that every tool's answer is held against.

python -m benchmarks.orders FILE ROWS NUMBER, or FOLDER many FILES: so many files of 100 to 1,000 rows.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from benchmarks.peers import terms

Numbers = npt.NDArray[Any]

ROW_GROUP = 250_000
_MOST = 1 << 32  # rows in a file
BAD_EVERY = 1_000
_SEED = 2026
_DAY_MS = 86_400_000
_NAMES = ("anna", "ben", "carla", "david", "elif", "femke", "georg", "hanna", "ivan", "jana", "kai", "lea", "mats")
_WORDS = ("bell", "door", "early", "fragile", "garden", "gate", "late", "leave", "near", "please", "ring", "twice")
_DOMAINS = ("example.com", "mail.net", "post.org", "web.com")
_PREFIXES = tuple(f"{first}{second}X" for first in "ABCDEFGH" for second in "KLMNOP")
_SKU_NUMBERS = tuple(f"{number:06}" for number in range(0, 1_000_000, 50))
_DEVICES = tuple(f"{kind}-{number}" for kind in ("android", "ios", "web", "till") for number in range(1, 40))

_WRONG: dict[str, Any] = {
    "id": None, "customer": 5_000_001, "quantity": 0, "price": 0.0, "discount": 0.95, "temperature": 99.0, "score": 1.5,
    "amount": -0.01, "country": "XX", "status": "lost", "device": "web-", "email": "nobody", "sku": "abc-000001",
    "note": "", "priority": 9, "warehouse": 401, "created_at": terms.EPOCH - timedelta(days=1),
}  # fmt: skip


def write_orders(path: Path, *, rows: int, number: int) -> Path:
    """Write `rows` orders to a zstd Parquet file, unless it is there; ids from number * 2^32."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    broken: Counter[str] = Counter()
    beside, writer = path.with_suffix(".part"), None
    for start in range(0, rows, ROW_GROUP):
        height = min(ROW_GROUP, rows - start)
        chance = np.random.default_rng([_SEED, number, start])
        frame, counts = _break_some(_good(chance, height=height, first=number * _MOST + start), chance)
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(beside, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=ROW_GROUP)
        broken.update(counts)
    if writer is not None:
        writer.close()
    path.with_suffix(".json").write_text(json.dumps({"rows": rows, "counts": broken}), encoding="utf-8")
    return beside.rename(path)


def _good(chance: np.random.Generator, *, height: int, first: int) -> pl.DataFrame:
    """Orders without a fault."""
    price = chance.lognormal(3, 1, height) + 0.01
    quantity = chance.integers(1, 12, height, dtype=np.int32)
    created = chance.integers(0, 600 * _DAY_MS, height) * 1_000
    shipped = created + chance.integers(0, 5 * _DAY_MS, height) * 1_000
    return pl.DataFrame(
        {
            "id": np.arange(first, first + height),
            "customer": chance.integers(1, 5_000_001, height),
            "quantity": quantity,
            "price": price,
            "discount": _with_holes(chance, chance.uniform(0, 0.9, height), share=0.4),
            "temperature": _with_holes(chance, chance.normal(12, 9, height).clip(-60, 60), share=0.05),
            "score": chance.random(height, dtype=np.float32),
            "amount": price * quantity,
            "country": _drawn(chance, terms.COUNTRIES, height),
            "status": _drawn(chance, terms.STATES, height),
            "device": _drawn(chance, _DEVICES, height),
            "email": _texts(chance, "{}{}@{}", (_NAMES, 10_000_000, _DOMAINS), height),
            "sku": _texts(chance, "{}-{}", (_PREFIXES, _SKU_NUMBERS), height),
            "note": _texts(chance, "{} {} {} {}-{}", (*3 * (_WORDS,), 1_000_000_000, 10_000_000), height),
            "created_at": _moments(created),
            "shipped_at": _moments(shipped),
            "gift": chance.random(height) < 0.1,
            "priority": chance.integers(1, 6, height, dtype=np.int8),
            "warehouse": chance.integers(1, 401, height, dtype=np.int16),
            "weight": chance.gamma(2, 1.5, height),
        }
    )


def _with_holes(chance: np.random.Generator, values: Numbers, *, share: float) -> pl.Series:
    return pl.Series(values).set(pl.Series(chance.random(len(values)) < share), None)


def _drawn(chance: np.random.Generator, values: Sequence[str], height: int) -> pl.Series:
    return pl.Series(values).gather(chance.integers(0, len(values), height))


def _texts(chance: np.random.Generator, form: str, parts: Sequence[tuple[str, ...] | int], height: int) -> pl.Series:
    """`form` filled with words from the lists and numbers below the bounds."""
    drawn = [
        pl.lit(pl.Series(chance.integers(0, part, height)) if isinstance(part, int) else _drawn(chance, part, height))
        for part in parts
    ]
    return pl.select(pl.format(form, *drawn)).to_series()


def _moments(microseconds: Numbers) -> pl.Series:
    start = pl.lit(terms.EPOCH).cast(pl.Datetime("us", "UTC"))
    return pl.select(start + pl.Series(microseconds).cast(pl.Duration("us"))).to_series()


def _break_some(frame: pl.DataFrame, chance: np.random.Generator) -> tuple[pl.DataFrame, Counter[str]]:
    """One row in a thousand breaks one rule, each rule as likely; and how many rows break which."""
    broken = (frame.height + int(chance.integers(BAD_EVERY))) // BAD_EVERY
    rows = pl.Series(chance.choice(frame.height, broken, replace=False))
    rules = chance.integers(0, len(terms.RULES), len(rows))
    for number, rule in enumerate(terms.RULES):
        hit = rows.filter(pl.Series(rules == number))
        column, value = _wrong(rule)
        if rule == "id.value":
            value = -1 - frame["id"].gather(hit)  # not the same twice: it breaks this rule alone
        frame = frame.with_columns(frame[column].scatter(hit, value))
    return frame, Counter(terms.RULES[number] for number in rules)


def _wrong(rule: str) -> tuple[str, Any]:
    """The column that has to change, and its value, for a row to break the rule and no other."""
    if rule == terms.CROSS:
        return "shipped_at", terms.EPOCH - timedelta(days=9)
    column, _, asks = rule.partition(".")
    return column, None if asks == "not_null" else _WRONG[column]


def write_many(folder: Path, *, files: int) -> None:
    """Files of 100 to 1,000 rows each; ids are all different."""
    heights = np.random.default_rng(_SEED).integers(100, 1_001, files)
    for number, height in enumerate(heights.tolist()):
        write_orders(folder / f"{number:06}.parquet", rows=height, number=number)


if __name__ == "__main__":
    place, rows, number = sys.argv[1:]
    if rows == "many":
        write_many(Path(place), files=int(number))
    else:
        write_orders(Path(place), rows=int(rows), number=int(number))
