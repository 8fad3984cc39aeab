"""Random Pandera contracts and frames for the proof of equivalence: every feature that a contract may use, small frames
and some of a thousand rows, values that often sit on a check's boundary. One seed, one case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.extensions import register_check_method  # type: ignore[attr-defined]  # not in its list of exports

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
KEY, TIME = "k", "at"
DTYPES: dict[str, Any] = {
    "i": pl.Int64,
    "s": pl.Int16,
    "f": pl.Float64,
    "g": pl.Float32,
    "t": pl.String,
    "b": pl.Boolean,
    "d": pl.Datetime("us"),
    "e": pl.Date,
}
_TEXTS = ("", "a", "b", "ab", "abc", "zz9", "x1", "é", "日本", "12", "3.5")
_FLOATS = (0.0, -0.0, float("inf"), float("nan"), 1.0, 2.0, -1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A frame, and the contract that it is held against; key and time are always whole."""

    frame: pl.DataFrame
    schema: pa.DataFrameSchema


def draw(seed: int) -> Case:
    """The case of this seed."""
    return _Maker(Random(seed)).case()


@register_check_method(statistics=["least"])  # type: ignore[untyped-decorator]
def at_least_twice(data: Any, *, least: int) -> Any:
    """A check that somebody registered: twice the value is not below `least`."""
    return data.lazyframe.select(pl.col(data.key) * 2 >= least)


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def case(self) -> Case:
        rows = self._random.choice([1, 2, 3, 5, 8, 12, self._random.randint(1, 60)])
        if self.chance(0.03):
            rows = self._random.randint(200, 1_000)
        kinds = [self._random.choice(list(DTYPES)) for _ in range(self._random.randint(1, 4))]
        names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
        frame = self._frame(names, rows)
        schema = pa.DataFrameSchema(
            self._columns(names),
            checks=self._frame_checks(names),
            unique=self._unique(names),
            strict=self._random.choice([False, False, False, True, "filter"]),
            ordered=self.chance(0.1),
            coerce=self.chance(0.1),
            add_missing_columns=self.chance(0.2),
        )
        return Case(frame=frame, schema=schema)

    def _frame(self, names: Sequence[str], rows: int) -> pl.DataFrame:
        data: dict[str, list[Any]] = {KEY: list(range(rows)), TIME: [NOON] * rows}
        for name in names:
            nulls = self._random.choice([0, 0, 0.15, 0.5])
            data[name] = [None if self.chance(nulls) else self._value(name[0]) for _ in range(rows)]
        types = {KEY: pl.Int64, TIME: pl.Datetime("us", "UTC"), **{name: DTYPES[name[0]] for name in names}}
        frame = pl.DataFrame(data, schema=types, strict=False)
        return frame.select(self._random.sample(frame.columns, frame.width)) if self.chance(0.1) else frame

    def _value(self, kind: str) -> Any:
        random = self._random
        made: dict[str, Callable[[], Any]] = {
            "i": lambda: random.randint(-4, 4),
            "s": lambda: random.randint(-4, 4),
            "f": lambda: random.choice([*_FLOATS, random.uniform(-4, 4)]),
            "g": lambda: random.choice([0.5, 1.0, -2.0]),
            "t": lambda: random.choice(_TEXTS),
            "b": lambda: random.random() < 0.5,
            "d": lambda: datetime(2026, 1, 1) + timedelta(days=random.randint(0, 4)),  # noqa: DTZ001 - a local clock
            "e": lambda: date(2026, 1, 1) + timedelta(days=random.randint(0, 3)),
        }
        return made[kind]()

    def _columns(self, names: Sequence[str]) -> dict[str, pa.Column]:
        columns = {KEY: pa.Column(pl.Int64), TIME: pa.Column(pl.Datetime("us", "UTC"), nullable=True)}
        columns.update({name: self._column(name[0]) for name in names})
        if self.chance(0.1):
            pattern = self._random.choice([f"^{names[0][0]}.*$", r"^[is]\d$"])
            kind = pattern[1] if pattern[1] in DTYPES else "i"
            columns[pattern] = pa.Column(
                DTYPES[kind], [self._check(kind)], regex=True, required=self.chance(0.5), nullable=self.chance(0.5)
            )
            if self.chance(0.6):
                columns.pop(names[0])
        if self.chance(0.1):
            columns["missing"] = pa.Column(
                pl.Int64,
                pa.Check.gt(0),
                required=self.chance(0.5),
                nullable=self.chance(0.5),
                default=self._default("i"),
            )
        if self.chance(0.1):
            columns.pop(list(columns)[-1])
        return columns

    def _column(self, kind: str) -> pa.Column:
        wanted, coerce = kind, False
        if self.chance(0.08):
            wanted, coerce = self._random.choice("istf"), self.chance(0.8)
        return pa.Column(
            DTYPES[wanted],
            [self._check(wanted) for _ in range(self._random.randint(0, 3))],
            nullable=self.chance(0.5),
            unique=self.chance(0.15),
            coerce=coerce,
            default=self._default(wanted) if self.chance(0.08) else None,
        )

    def _default(self, kind: str) -> Any:
        value = self._value(kind)
        return None if value != value else value  # noqa: PLR0124 - NaN

    def _check(self, kind: str) -> pa.Check:
        made: dict[str, Callable[[], pa.Check]] = {
            "t": self._of_text,
            "b": lambda: pa.Check.eq(self.chance(0.5)),
            "d": lambda: pa.Check.ge(datetime(2026, 1, 2)),  # noqa: DTZ001 - a local clock
            "e": lambda: pa.Check.ge(date(2026, 1, 2)),
        }
        check = made.get(kind, self._of_number)()
        check.ignore_na, check.raise_warning = self.chance(0.6), self.chance(0.1)
        return check

    def _of_number(self) -> pa.Check:
        value = self._random.randint(-3, 3)
        low, high = sorted([value, self._random.randint(-3, 3)])
        some = [self._random.randint(-3, 3) for _ in range(self._random.randint(1, 5))]
        check, col = pa.Check, pl.col
        includes = {"include_min": self.chance(0.7), "include_max": self.chance(0.7)}
        made: list[Callable[[], pa.Check]] = [
            lambda: check.gt(value),
            lambda: check.ge(value),
            lambda: check.lt(value),
            lambda: check.le(value),
            lambda: check.eq(value),
            lambda: check.ne(value),
            lambda: check.in_range(low, high + 1, **includes),
            lambda: check.isin(some),
            lambda: check.notin(some),
            lambda: check.at_least_twice(least=value),
            lambda: check(lambda data: data.lazyframe.select(col(data.key) > 0), name="custom"),
            lambda: check(lambda data: data.lazyframe.select(col(data.key) > col(data.key).mean()), name="above mean"),
            lambda: check(lambda data: data.lazyframe.select(col(data.key).shift(1) <= col(data.key)), name="rising"),
            lambda: check(lambda data: data.lazyframe.select(col(data.key).rank() < 3), name="rank"),
            lambda: check(lambda data: data.lazyframe.select(pl.len().over(data.key) < 3), name="seldom"),
            lambda: check(lambda data: data.lazyframe.select(col(data.key).cum_sum() < 4), name="sum so far"),
            lambda: check(lambda data: data.lazyframe.select(col(data.key).max() < 3), name="largest"),
            lambda: check(lambda data: data.lazyframe.select(col(data.key).null_count() < 2), name="few nulls"),
            lambda: check(lambda cell: cell > 1, element_wise=True, name="cell by cell"),
            lambda: check(
                lambda data: data.lazyframe.with_columns(z=col(data.key) * 2).select(col("z") < 6), name="with_columns"
            ),
            lambda: check(lambda data: data.lazyframe.select(pl.len()).collect().item() > 3, name="one answer"),
            lambda: check(
                lambda data: data.lazyframe.select(pl.when(col(data.key) > 0).then(statement=True)), name="null or true"
            ),
            lambda: check(lambda data: col(data.key) > 1, name="an expression"),
            lambda: check(lambda data: data.lazyframe.select(1 / 0), name="raises"),
            lambda: check(lambda data: data.lazyframe.filter(col(data.key) > 0).select(pl.len() > 1), name="filtered"),
        ]
        return self._random.choice(made)()

    def _of_text(self) -> pa.Check:
        random, check = self._random, pa.Check
        made: list[Callable[[], pa.Check]] = [
            lambda: check.isin(random.sample(_TEXTS, 3)),
            lambda: check.notin(["a", "zz9"]),
            lambda: check.str_matches(random.choice([r"a", r"^[ab]+$", r"z|b", r"\d"])),
            lambda: check.str_contains(random.choice(["a", "b$"])),
            lambda: check.str_startswith("a"),
            lambda: check.str_endswith("b"),
            lambda: check.str_length(random.randint(0, 2), random.randint(2, 4)),
            lambda: check.eq("a"),
            lambda: check.unique_values_eq({"a", "b"}),
            lambda: check(lambda cell: len(cell) < 3, element_wise=True, name="short"),
            lambda: check(
                lambda data: data.lazyframe.select(pl.col(data.key).str.to_integer(strict=True) > 0), name="a number"
            ),
        ]
        return random.choice(made)()

    def _frame_checks(self, names: Sequence[str]) -> list[pa.Check]:
        first, last = names[0], names[-1]
        checks = []
        if self.chance(0.3):
            implied = pl.col(first).is_null() | pl.col(last).is_not_null()
            checks.append(pa.Check(lambda data: data.lazyframe.select(implied), name="implied"))
        if self.chance(0.1):
            checks.append(pa.Check(lambda data: data.lazyframe.select(pl.all().is_not_null()), name="no nulls"))
        if self.chance(0.1):
            checks.append(pa.Check(lambda data: data.lazyframe.select(pl.len() > 3), name="rows"))
        for check in checks:
            check.ignore_na = self.chance(0.6)
        return checks

    def _unique(self, names: Sequence[str]) -> Any:
        if not self.chance(0.15):
            return None
        return list(names[:2]) if self.chance(0.5) else [list(names[:1]), list(names[:3])]
