"""Rows of a file by their position: marked in a scan, or left out of it, in memory of one bit for each row at most."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from validation.tracing import HELPER

ROW = "_row"  # position in the file, beside a bad row
_FEW = 10_000  # positions that are looked up one by one


@dataclass(frozen=True, kw_only=True, eq=False)
class Marked:
    """The rows at `positions` (ascending) of a file with `rows` rows."""

    name: str
    positions: pl.Series
    rows: int

    @property
    def expr(self) -> pl.Expr:
        """Is the row one of them? In a scan with row numbers, with `column` beside it where there is one."""
        if self.column is None:
            return pl.col(ROW).is_in(self.positions.implode())
        return pl.col(self.column)

    @property
    def column(self) -> str | None:
        """The column that marks them; None when they are so few that their numbers do."""
        return None if len(self.positions) <= _FEW else f"{HELPER}mark {self.name}"

    @cached_property
    def mask(self) -> pl.LazyFrame:
        """`column` alone: one bit for each row, to be put beside a scan."""
        marks = np.zeros(self.rows, dtype=np.bool_)
        marks[self.positions.to_numpy()] = True
        return pl.LazyFrame({f"{HELPER}mark {self.name}": marks})


def numbered(scan: pl.LazyFrame, *marked: Marked) -> pl.LazyFrame:
    """A scan with row numbers, and with the columns that mark rows. Cheaper than joins, and in the file's order."""
    masks = [item.mask for item in marked if item.column is not None]
    return pl.concat([scan.with_row_index(ROW), *masks], how="horizontal") if masks else scan.with_row_index(ROW)


def without(scan: pl.LazyFrame, marked: Marked) -> pl.LazyFrame:
    """A scan without the marked rows."""
    return numbered(scan, marked).filter(~marked.expr).drop(ROW, *([marked.column] if marked.column else []))
