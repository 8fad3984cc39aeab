"""From inputs to the numbers that LightGBM reads: numbers as they are, categories as stable codes.

NOTE: LightGBM aborts the whole process (SIGABRT) on String, Categorical, Enum or Datetime columns, and codes of a
`pl.Categorical` differ from batch to batch. So it never sees inputs, only what is made of them here: to learn from,
columns where they lie (`numbers`), or rows of them (`rows`); to be asked with, the float64 matrix (`encode`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from validation.errors import ContractError, DefinitionError

# A level with fewer training rows says more about chance than about the level: it is encoded like an unseen one.
MIN_LEVEL_ROWS = 20

_TEXTS = (pl.String, pl.Categorical, pl.Enum)
# Numbers that LightGBM reads from Arrow. NOTE: any other ends the process. A Boolean is not among them since its bits
# would have to be shifted where a frame is a slice of another one.
_EXACT_IN_FLOAT32 = frozenset({pl.Int8(), pl.Int16(), pl.UInt8(), pl.UInt16(), pl.Float32()})
_READABLE = _EXACT_IN_FLOAT32 | {pl.Int32(), pl.Int64(), pl.UInt32(), pl.UInt64(), pl.Float64()}


class UnknownLevelError(ContractError):
    """A level that is not one of the model's, unseen in training or rare there, where such rows are to be refused."""


@dataclass(frozen=True, slots=True)
class Column:
    """One input: a number (`levels` is None), or a category with its sorted levels; a level's code is its position."""

    name: str
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """The inputs in the model's order. A plain JSON-able value: the bundle carries it."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> list[int]:
        """Positions of the categories: LightGBM takes codes for numbers unless it is told."""
        return [position for position, column in enumerate(self.columns) if column.levels is not None]

    def encode(self, inputs: pl.DataFrame) -> NDArray[np.float64]:
        """The matrix (n, k), C-ordered; null, and a level that is unseen or rare, is nan.

        DefinitionError when an input is missing, or has changed between number and category.
        """
        matrix: NDArray[np.float64] = inputs.select(self.expressions(inputs.schema)).to_numpy(order="c")
        return matrix

    def numbers(self, inputs: pl.DataFrame) -> pl.DataFrame:
        """The values of `encode` as columns that LightGBM may read, null for nan: numbers are not copied, a category's
        code takes one to four bytes. DefinitionError as `encode`.
        """
        schema = inputs.schema
        self.expressions(schema)  # checks them
        return inputs.select(_number(column, schema[column.name]) for column in self.columns)

    def rows(self, inputs: pl.DataFrame) -> NDArray[np.float32] | NDArray[np.float64]:
        """The matrix of `encode`, in float32 where no input can lose anything by that."""
        found = self.numbers(inputs)
        exact = _EXACT_IN_FLOAT32.issuperset(found.dtypes)
        matrix: NDArray[np.float64] = found.cast(pl.Float32 if exact else pl.Float64).to_numpy(order="c")
        return matrix

    def expressions(self, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
        """What makes the matrix's columns of inputs of this schema; DefinitionError as `encode`."""
        for column in self.columns:
            _check(column, schema.get(column.name))
        return [_expression(column) for column in self.columns]

    def refuse_unknown(self, inputs: pl.DataFrame) -> None:
        """UnknownLevelError for the first level of these inputs that is not the model's; null is none."""
        for column in self.columns:
            if column.levels is not None and column.name in inputs.columns:
                values = inputs[column.name].cast(pl.String)
                for row in (values.is_not_null() & ~values.is_in(list(column.levels))).arg_true().head(1):
                    refuse_level(column.name, row)


def refuse_level(name: str, row: int) -> NoReturn:
    """UnknownLevelError that names column and row, but not the level, which is the caller's; rows count from 0."""
    raise UnknownLevelError(
        f"column {name!r}, row {row}: a level that the model does not know, or too few rows of it; send one that it "
        'was trained on, or null, or set Serving(on_unknown="missing")'
    )


def fit_encoding(inputs: pl.DataFrame | pl.LazyFrame, *, min_rows: int = MIN_LEVEL_ROWS) -> Encoding:
    """The encoding of these training inputs: levels are those with at least `min_rows` rows.

    Of a LazyFrame the categories alone are read, in parts. DefinitionError for inputs that are neither number nor text.
    """
    rows, schema = inputs.lazy(), inputs.collect_schema()
    counts = [_counts(rows, name, min_rows) for name, dtype in schema.items() if _is_category(name, dtype)]
    engine: Literal["streaming", "in-memory"] = "streaming" if isinstance(inputs, pl.LazyFrame) else "in-memory"
    found = {frame.columns[0]: frame.to_series() for frame in pl.collect_all(counts, engine=engine)}
    levels = {name: tuple(column.cast(pl.String).sort()) for name, column in found.items()}
    return Encoding(columns=tuple(Column(name, levels.get(name)) for name in schema))


def _is_category(name: str, dtype: pl.DataType) -> bool:
    if isinstance(dtype, _TEXTS):
        return True
    if _is_number(dtype):
        return False
    raise DefinitionError(f"features returns {name!r} as {dtype}; convert it to a number or a string")


def _counts(rows: pl.LazyFrame, name: str, min_rows: int) -> pl.LazyFrame:
    """The levels of a category that have enough rows."""
    count = f"{name}_rows"
    levels = rows.select(name).group_by(name).len(count)
    return levels.filter(pl.col(name).is_not_null() & (pl.col(count) >= min_rows)).select(name)


def _check(column: Column, dtype: pl.DataType | None) -> None:
    if dtype is None:
        raise DefinitionError(f"features no longer returns {column.name!r}, which the model was trained on; train anew")
    fits = _is_number(dtype) if column.levels is None else isinstance(dtype, _TEXTS)
    if not fits and not isinstance(dtype, pl.Null):
        wanted = "a number" if column.levels is None else "a string"
        raise DefinitionError(f"features returns {column.name!r} as {dtype}, the model was trained on {wanted}")


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or isinstance(dtype, pl.Boolean)


@lru_cache(maxsize=4096)
def _expression(column: Column) -> pl.Expr:
    value = pl.col(column.name)
    return (value if column.levels is None else _code(column)).cast(pl.Float64)


def _number(column: Column, dtype: pl.DataType) -> pl.Expr:
    if column.levels is not None:
        return _code(column)
    if isinstance(dtype, pl.Boolean):
        return pl.col(column.name).cast(pl.UInt8)
    return pl.col(column.name) if dtype in _READABLE else pl.col(column.name).cast(pl.Float64)


def _code(column: Column) -> pl.Expr:
    """The position of a level; null where it is null, unseen or rare."""
    return pl.col(column.name).cast(pl.Enum(column.levels or ()), strict=False).to_physical()
