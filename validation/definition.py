"""Can this contract be kept at all? Asked once, when a pipeline is defined, so that no batch has to find out."""

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from validation.conversion import dtype_of
from validation.errors import DefinitionError
from validation.rules import schema_of


def check_contract(contract: Any) -> None:
    """DefinitionError unless `contract` is a pandera.polars DataFrameModel or DataFrameSchema that can be compiled."""
    import pandera.polars as pa
    from pandera.errors import SchemaInitError

    try:
        schema = schema_of(contract)
    except SchemaInitError as cause:  # a DataFrameModel is only read when it is asked for its schema
        raise DefinitionError(f"contract: {cause}; a contract judges rows and never changes them") from cause
    if not isinstance(schema, pa.DataFrameSchema):
        raise DefinitionError(
            f"contract must be a pandera.polars DataFrameModel or DataFrameSchema, got {contract!r}; "
            "import it from pandera.polars"
        )
    for fault in _faults(schema):
        raise DefinitionError(f"contract: {fault}")


def _faults(schema: Any) -> Iterator[str]:
    yield from _of_frame(schema)
    for name, column in schema.columns.items():
        yield from _of_column(name, column, schema)
        for check in column.checks:
            yield from _of_check(check, f"column {name!r}")
    for check in schema.checks:
        yield from _of_check(check, "the frame")


def _of_frame(schema: Any) -> Iterator[str]:
    if schema.parsers:
        yield "it has parsers, which Pandera does not run on Polars; convert upstream, or in features"
    if _is_pydantic(schema.dtype):
        yield f"{schema.dtype} is a pydantic model, which judges row by row in Python; write its fields as columns"


def _of_column(name: str, column: Any, schema: Any) -> Iterator[str]:
    where, dtype = f"column {name!r}", dtype_of(schema, column)
    if column.parsers:
        yield f"{where} has parsers, which Pandera does not run on Polars; convert upstream, or in features"
    if column.regex:
        yield from _of_pattern(name)
    if _is_pydantic(dtype):
        yield f"{where} is a pydantic model, which judges row by row in Python; write its fields as columns"
    elif dtype is not None and (schema.coerce or column.coerce) and not _converts_as_pandera_does(dtype):
        yield f"{where}: {dtype} converts in a way of its own, which cannot be compiled; convert upstream"
    if column.default is not None:
        yield from _of_default(where, column.default, dtype)


def _of_pattern(pattern: str) -> Iterator[str]:
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"column {pattern!r} is no regular expression ({error}); correct the pattern"


def _of_default(where: str, default: Any, dtype: Any) -> Iterator[str]:
    if dtype is None:
        yield f"{where} has a default and no type; name the type"
        return
    try:
        value = default if isinstance(default, pl.Expr) else pl.lit(default)
        filled = pl.DataFrame({"row": [1, 2, 3]}).select(value.cast(dtype.type)).to_series()
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        yield f"{where}: the default {default!r} is no {dtype} ({str(error).partition(chr(10))[0]}); correct it"
        return
    if len(filled) != 1:
        yield f"{where}: the default must be one value, {default!r} is {len(filled)}; write the value"


def _of_check(check: Any, where: str) -> Iterator[str]:
    if check.groupby is not None:
        yield f"the check {check.name!r} of {where} has groupby, which Pandera ignores on Polars; write it with .over()"


def _is_pydantic(dtype: Any) -> bool:
    return type(dtype).__name__ == "PydanticModel"


def _converts_as_pandera_does(dtype: Any) -> bool:
    from pandera.engines import polars_engine as engine

    known = (engine.DataType, engine.Decimal, engine.Category, engine.PanderaSchema)
    return type(dtype).coerce in [kind.coerce for kind in known]
