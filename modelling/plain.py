"""Predictions for plain Python values: what answers single requests. By the way without frames where there is one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelling.direct import Columns, Direct, direct
from modelling.inputs import frame_of
from modelling.model import Model

# So few rows cost less one by one than together, whose matrix takes 10 us and a call 10 more (benchmarks/engine.py).
_ONE_BY_ONE = 8

Answers = list[float] | list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """`way`: from values to inputs without a frame; None where `features` must run."""

    model: Model
    way: Direct | None

    def predict(self, columns: Columns, *, refuse: bool) -> Answers:
        """See `Bundle.predict_values`; `refuse`: levels that are not the model's."""
        if self.way is None:
            return self._by_frame(columns, refuse=refuse)
        if refuse:
            self.way.refuse_unknown(columns)
        rows = len(columns[0])
        if rows <= _ONE_BY_ONE:
            return self._singly([self.way.row(columns, at) for at in range(rows)])
        answers: Answers = self.model.answers(self.way.matrix(columns)).tolist()
        return answers

    def _by_frame(self, columns: Columns, *, refuse: bool) -> Answers:
        raw = frame_of(columns, self.model.spec.raw_schema)
        if refuse:
            self.model.encoding.refuse_unknown(self.model.inputs(raw))
        matrix = self.model.matrix(raw)
        if len(matrix) <= _ONE_BY_ONE:
            return self._singly(matrix.tolist())
        answers: Answers = self.model.answers(matrix).tolist()
        return answers

    def _singly(self, rows: list[list[float]]) -> Answers:
        one = self.model.one
        answers: Any = [one(row) for row in rows]  # all numbers, or all lists
        return answers  # type: ignore[no-any-return]


def plain(model: Model, proof: pl.DataFrame) -> Plain:
    """What answers for `model`; without a frame only if that makes the same inputs of the raw rows `proof`."""
    way = direct(model.spec, model.encoding)
    if way is not None and proof.height:
        by_frame = model.matrix(proof)
        columns = [series.to_list() for series in proof.select(*model.spec.raw_schema)]
        if not np.array_equal(way.matrix(columns), by_frame, equal_nan=True):
            way = None
    return Plain(model=model, way=way)
