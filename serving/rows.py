"""The rows of one request as plain Python values, checked against the contract: a frame is made only where needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(slots=True)
class Rows:
    """`columns`: one list of values for each raw column, in the schema's order, each `height` long; null is None.

    Values are bool, int, float, str, date and datetime (aware, UTC), and certain to fit the type. `absent`: the
    looked-up columns that the request did not bring; they hold None until somebody looks them up.
    """

    columns: list[list[Any]]
    height: int
    absent: tuple[str, ...] = field(default=())

    def frame(self, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """The same as a frame of these columns, in their types."""
        return pl.DataFrame(
            [_series(name, values, dtype) for (name, dtype), values in zip(schema.items(), self.columns, strict=True)]
        )


def _series(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if not isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, dtype, strict=True)
    moments = pl.Series(name, values, pl.Datetime("us", "UTC"))
    return (moments if dtype.time_zone else moments.dt.replace_time_zone(None)).cast(dtype)
