"""From raw rows to the model's inputs: the one place where `features` runs, for training, batch and REST alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import Encoding
from modelling.schema import conform
from modelling.spec import Spec
from validation.errors import DefinitionError

_MOMENT = pl.Datetime("us", "UTC")
_MISHAPS = (Exception, pl.exceptions.PanicException)  # NOTE: a panic in Polars is no Exception


def inputs_of(spec: Spec, raw: pl.DataFrame) -> pl.DataFrame:
    """What `features` makes of the contract's columns, without key, time and target; row i belongs to row i of `raw`.

    ContractError when `raw` lacks a column or has it in another type; DefinitionError when `features` fails, or does
    not keep the rows and their order.
    """
    rows = conform(raw, spec.raw_schema)
    try:
        made = spec.features(rows.lazy()).collect()
    except _MISHAPS as cause:  # whatever user code raises becomes the author's error
        raise _failed(rows, cause) from cause
    _check_rows(spec, rows, made)
    return made.drop(*spec.key, spec.time, spec.target, strict=False)


def matrix_of(spec: Spec, encoding: Encoding, raw: pl.DataFrame) -> NDArray[np.float64]:
    """The same, encoded: `encoding.encode(inputs_of(spec, raw))`, in one pass over the rows, which costs half of it.

    What `features` makes besides the model's inputs is not computed.
    """
    rows = conform(raw, spec.raw_schema)
    try:
        made = spec.features(rows.lazy())
        schema = made.collect_schema()
        wanted = [name for name in spec.key if name in schema]
        found = made.select(*wanted, *encoding.expressions(schema)).collect()
    except DefinitionError:
        raise
    except _MISHAPS as cause:  # whatever user code raises becomes the author's error
        raise _failed(rows, cause) from cause
    _check_rows(spec, rows, found)
    encoded = pl.DataFrame(found.get_columns()[len(wanted) :])  # a drop costs ten times as much
    matrix: NDArray[np.float64] = encoded.to_numpy(order="c")
    return matrix


def frame_of(columns: Sequence[Sequence[Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The frame of plain values, one sequence for each column of `schema`; moments are aware, also of naive columns."""
    moments = {name: dtype for name, dtype in schema.items() if isinstance(dtype, pl.Datetime) and dtype != _MOMENT}
    made = pl.DataFrame(list(zip(*columns, strict=True)), {**schema, **dict.fromkeys(moments, _MOMENT)}, orient="row")
    return made.with_columns(_moment(name, dtype) for name, dtype in moments.items()) if moments else made


def _moment(name: str, dtype: pl.Datetime) -> pl.Expr:
    moment = pl.col(name)
    return (moment if dtype.time_zone else moment.dt.replace_time_zone(None)).cast(dtype)


def _failed(rows: pl.DataFrame, cause: BaseException) -> DefinitionError:
    why = f"{type(cause).__name__}: {cause}"[:500]
    return DefinitionError(f"features fails on {rows.height} rows; mend it: {why}")


def _check_rows(spec: Spec, rows: pl.DataFrame, made: pl.DataFrame) -> None:
    if made.height != rows.height:
        raise DefinitionError(
            f"features made {made.height} rows of {rows.height}; it must work row by row: no filter, no join that drops"
        )
    keys = [name for name in spec.key if name in made.columns]
    if not all(made[name].equals(rows[name]) for name in keys):
        raise DefinitionError(f"features changed {', '.join(keys)} or the order of rows; it must keep both")
