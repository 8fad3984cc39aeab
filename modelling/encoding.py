"""From inputs to the float64 matrix that LightGBM trains on: numbers as they are, categories as stable codes.

NOTE: LightGBM aborts the whole process (SIGABRT) on String, Categorical, Enum or Datetime columns, and codes of a
`pl.Categorical` differ from batch to batch. So it never sees a frame, only this matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from validation.errors import ContractError, DefinitionError

# A level with fewer training rows says more about chance than about the level: it is encoded like an unseen one.
MIN_LEVEL_ROWS = 20

_TEXTS = (pl.String, pl.Categorical, pl.Enum)


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


def fit_encoding(inputs: pl.DataFrame, *, min_rows: int = MIN_LEVEL_ROWS) -> Encoding:
    """The encoding of these training inputs: levels are those with at least `min_rows` rows."""
    return Encoding(columns=tuple(Column(series.name, _levels(series, min_rows)) for series in inputs))


def _levels(series: pl.Series, min_rows: int) -> tuple[str, ...] | None:
    dtype = series.dtype
    if dtype.is_numeric() or isinstance(dtype, pl.Boolean):
        return None
    if not isinstance(dtype, _TEXTS):
        raise DefinitionError(f"features returns {series.name!r} as {dtype}; convert it to a number or a string")
    counts = series.cast(pl.String).drop_nulls().rename("level").value_counts(name="rows")
    return tuple(counts.filter(pl.col("rows") >= min_rows)["level"].sort())


def _check(column: Column, dtype: pl.DataType | None) -> None:
    if dtype is None:
        raise DefinitionError(f"features no longer returns {column.name!r}, which the model was trained on; train anew")
    if not isinstance(dtype, pl.Null) and isinstance(dtype, _TEXTS) != (column.levels is not None):
        wanted = "a number" if column.levels is None else "a string"
        raise DefinitionError(f"features returns {column.name!r} as {dtype}, the model was trained on {wanted}")


@lru_cache(maxsize=4096)
def _expression(column: Column) -> pl.Expr:
    value = pl.col(column.name)
    if column.levels is None:
        return value.cast(pl.Float64)
    return value.cast(pl.String).cast(pl.Enum(column.levels), strict=False).to_physical().cast(pl.Float64)
