"""Golden rows: a few raw rows with the predictions that the model gave for them, so that a copy can prove itself."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.model import Model
from validation.errors import ContractError, DefinitionError

GOLDEN_ROWS = 14  # and one of nulls, and one of unseen levels
TOLERANCE = 1e-9
UNSEEN = "andon: a level that no training row has"

Row = dict[str, Any]


def golden(model: Model, sample: pl.DataFrame) -> tuple[tuple[Row, ...], tuple[tuple[float, ...], ...]]:
    """Rows of `sample`, evenly spaced, as JSON values, with the model's predictions (each a tuple: k classes or one).

    DefinitionError when a row alone gets another prediction than among others: `features` looks at other rows.
    """
    if sample.is_empty():
        raise ContractError("a bundle's golden rows need at least one raw row; give some of the training rows")
    schema = model.spec.raw_schema
    rows = _json_rows(sample.select(*schema).gather_every(max(1, sample.height // GOLDEN_ROWS)).head(GOLDEN_ROWS))
    for edge in _edges(rows, model):
        try:
            model.predict(from_json([edge], schema))
        except DefinitionError:  # features may refuse what the contract refuses
            continue
        rows.append(edge)
    frame = from_json(rows, schema)
    predictions = as_table(model.predict(frame))
    if (worst := deviation(alone(model, frame), predictions)) > TOLERANCE:
        raise DefinitionError(
            f"a row alone gets a prediction {worst:.2g} away from the one it gets among others: "
            "features must work row by row, without aggregates or windows"
        )
    return tuple(rows), tuple(map(tuple, predictions.tolist()))


def from_json(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The frame of these rows, with moments and days read from ISO text."""
    return pl.DataFrame([_column(name, [row[name] for row in rows], dtype) for name, dtype in schema.items()])


def alone(model: Model, frame: pl.DataFrame) -> NDArray[np.float64]:
    """The predictions of the rows, each asked for by itself and by the path for single rows: shape (n, k)."""
    rows = [model.matrix(row)[0].tolist() for row in frame.iter_slices(1)]
    return np.array([model.one(row) for row in rows]).reshape(len(rows), -1)


def as_table(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predictions of any task as (n, k)."""
    return predictions.reshape(len(predictions), -1)


def deviation(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """The largest difference, relative to the expected value where that is above 1; inf when shapes or nan differ."""
    if found.shape != expected.shape:
        return float("inf")
    difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))


def _column(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Date:
        values = [None if value is None else date.fromisoformat(value) for value in values]
    elif isinstance(dtype, pl.Datetime):
        values = [None if value is None else datetime.fromisoformat(value) for value in values]
    return pl.Series(name, values, dtype=dtype)


def _json_rows(frame: pl.DataFrame) -> list[Row]:
    """JSON has neither nan nor infinity: they become null, before anything is predicted."""
    finite = [pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in _floats(frame.schema)]
    return [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        for row in frame.with_columns(finite).iter_rows(named=True)
    ]


def _floats(schema: Mapping[str, pl.DataType]) -> list[str]:
    return [name for name, dtype in schema.items() if dtype.is_float()]


def _edges(rows: list[Row], model: Model) -> list[Row]:
    spec = model.spec
    open_columns = [name for name in spec.raw_schema if name not in (*spec.key, spec.time)]
    texts = [name for name in open_columns if spec.raw_schema[name] in (pl.String, pl.Categorical)]
    return [rows[0] | dict.fromkeys(open_columns), rows[-1] | dict.fromkeys(texts, UNSEEN)]
