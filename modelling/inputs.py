"""From raw rows to the model's inputs: the one place where `features` runs, for training, batch and REST alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from modelling.schema import conform
from modelling.spec import Spec
from validation.errors import DefinitionError


def inputs_of(spec: Spec, raw: pl.DataFrame) -> pl.DataFrame:
    """What `features` makes of the contract's columns, without key, time and target; row i belongs to row i of `raw`.

    ContractError when `raw` lacks a column or has it in another type; DefinitionError when `features` fails, or does
    not keep the rows and their order.
    """
    rows = conform(raw, spec.raw_schema)
    try:
        made = spec.features(rows.lazy()).collect()
    except Exception as cause:  # whatever user code raises becomes the author's error
        why = f"{type(cause).__name__}: {cause}"[:500]
        raise DefinitionError(f"features fails on {rows.height} rows; mend it: {why}") from cause
    if made.height != rows.height:
        raise DefinitionError(
            f"features made {made.height} rows of {rows.height}; it must work row by row: no filter, no join that drops"
        )
    keys = [name for name in spec.key if name in made.columns]
    if not made.select(keys).equals(rows.select(keys)):
        raise DefinitionError(f"features changed {', '.join(keys)} or the order of rows; it must keep both")
    return made.drop(*spec.key, spec.time, spec.target, strict=False)


def frame_of(columns: Sequence[Sequence[Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The frame of plain values, one sequence for each column of `schema`; moments are aware, also of naive columns."""
    return pl.DataFrame(
        [_series(name, values, dtype) for (name, dtype), values in zip(schema.items(), columns, strict=True)]
    )


def _series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    if not isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, dtype, strict=True)
    moments = pl.Series(name, values, pl.Datetime("us", "UTC"))
    return (moments if dtype.time_zone else moments.dt.replace_time_zone(None)).cast(dtype)
