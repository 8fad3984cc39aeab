"""The contract that every label file keeps: a key, a usable target, and since when it is known."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import polars as pl

from validation.conversion import AS_TEXT

Task = Literal["binary", "multiclass", "regression"]


def label_contract(*, key: Mapping[str, pl.DataType], target: str, task: Task, known_at: str) -> Any:
    """A pandera.polars DataFrameSchema. A binary target is true/false or 0/1, a regression's is a finite number.

    The same one for the same arguments, so that it is compiled once.
    """
    return _contract(tuple(key.items()), target, task, known_at)


@lru_cache
def _contract(key: tuple[tuple[str, pl.DataType], ...], target: str, task: Task, known_at: str) -> Any:
    import pandera.polars as pa

    def usable(data: pa.PolarsData) -> pl.LazyFrame:
        number = pl.col(data.key).cast(pl.Float64, strict=False)
        allowed = number.is_in([0.0, 1.0]) if task == "binary" else number.is_finite()
        return data.lazyframe.select(allowed.fill_null(value=False))

    wanted = {"binary": "0 or 1", "regression": "a finite number"}.get(task)
    checks = [pa.Check(usable, name=f"is {wanted}", error=f"{target} is {wanted}")] if wanted else []
    columns = {name: pa.Column(dtype) for name, dtype in key}
    columns[target] = pa.Column(None, checks=checks, metadata={AS_TEXT: "number"} if wanted else None)
    columns[known_at] = pa.Column(pl.Datetime("us", "UTC"))
    return pa.DataFrameSchema(columns)
