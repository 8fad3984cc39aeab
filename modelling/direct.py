"""From plain Python values to a model's inputs without a frame, where `features` only chooses columns.

Whether it does is read off its plan; Bundle proves on the golden rows that both ways give the same.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from modelling.encoding import Encoding, refuse_level
from modelling.spec import Spec

Columns = Sequence[Sequence[Any]]
Codes = Callable[[Any, float], float]  # of a level, or else the given value

# The lines of a plan in which the columns of a scan are chosen, and nothing else happens. Names with quotes are not
# worth the risk.
_CHOICE = re.compile(
    r'SELECT \[col\("[^"]*"\)(?:, col\("[^"]*"\))*\]|simple π \d+/\d+ \[[^\]]*\]'
    r"|PYTHON SCAN \[\]|PROJECT \*/\d+ COLUMNS"
)
_NAN = float("nan")
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """By input: the position of its raw column, and the codes of its levels (None: a number)."""

    steps: tuple[tuple[int, Codes | None], ...]
    categories: tuple[tuple[int, str, frozenset[str]], ...]

    def row(self, columns: Columns, at: int) -> list[float]:
        """The inputs of one row; None, and a level that the model does not know, is nan."""
        return [
            (_NAN if value is None else value) if codes is None else codes(value, _NAN)
            for position, codes in self.steps
            for value in (columns[position][at],)
        ]

    def matrix(self, columns: Columns) -> NDArray[np.float64]:
        """The inputs of all rows: (n, k), C-ordered."""
        made = np.empty((len(columns[0]), len(self.steps)))
        for number, (position, codes) in enumerate(self.steps):
            values = columns[position]
            made[:, number] = values if codes is None else [codes(value, _NAN) for value in values]
        return made

    def refuse_unknown(self, columns: Columns) -> None:
        """UnknownLevelError for the first level that the model does not know."""
        for position, name, levels in self.categories:
            for row, value in enumerate(columns[position]):
                if value is not None and value not in levels:
                    refuse_level(name, row)


def direct(spec: Spec, encoding: Encoding) -> Direct | None:
    """The way around frames; None where `features` does, or might do, more than choose and order columns."""
    chosen = _chosen(spec)
    positions = {name: position for position, name in enumerate(spec.raw_schema)}
    for column in encoding.columns:
        dtype = spec.raw_schema.get(column.name)
        if dtype is None or column.name not in chosen or isinstance(dtype, _TEXTS) != (column.levels is not None):
            return None
        if column.levels is None and not (dtype.is_numeric() or isinstance(dtype, pl.Boolean)):
            return None
    codes = {column.name: _codes(column.levels) for column in encoding.columns}
    categories = [(positions[c.name], c.name, frozenset(c.levels)) for c in encoding.columns if c.levels is not None]
    return Direct(steps=tuple((positions[name], codes[name]) for name in encoding.names), categories=tuple(categories))


def _codes(levels: Sequence[str] | None) -> Codes | None:
    return None if levels is None else {level: float(code) for code, level in enumerate(levels)}.get


def _chosen(spec: Spec) -> frozenset[str]:
    """The raw columns that `features` passes on as they are; none where it does anything else.

    NOTE: it is given a source that cannot be read, so that what it computes by itself (`.collect()`) fails here.
    """
    try:
        plan = spec.features(register_io_source(_unreadable, schema=spec.raw_schema, validate_schema=False))
        lines = plan.explain(optimized=False).splitlines()
        names = plan.collect_schema().names()
    except Exception:  # noqa: BLE001  # whatever it is, there is no plan that could be read
        return frozenset()
    return frozenset(names if all(_CHOICE.fullmatch(line.strip()) for line in lines) else ())


def _unreadable(*_: Any) -> NoReturn:
    raise TypeError("there are no rows")
