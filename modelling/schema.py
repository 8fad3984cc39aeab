"""Column types: written as text and read back, and frames brought to them. Never guesses: "0.5" is not a number."""

import json
import re
from collections.abc import Mapping

import polars as pl

from validation.errors import ContractError, DefinitionError

_PLAIN: dict[str, pl.DataType] = {
    str(dtype): dtype
    for dtype in (
        *(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()),
        *(pl.Float32(), pl.Float64(), pl.Boolean(), pl.String(), pl.Date(), pl.Categorical()),
    )
}
_DATETIME = re.compile(r"Datetime\((ms|us|ns)(?:, ([\w+\-/]+))?\)")
_ENUM = re.compile(r"Enum\((\[.*\])\)", re.DOTALL)
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def dtype_name(dtype: pl.DataType) -> str:
    """`Int64`, `Datetime(us, UTC)`, `Enum(["a", "b"])`; DefinitionError for types that a raw column cannot have."""
    if isinstance(dtype, pl.Datetime):
        return f"Datetime({dtype.time_unit}{f', {dtype.time_zone}' if dtype.time_zone else ''})"
    if isinstance(dtype, pl.Enum):
        return f"Enum({json.dumps(dtype.categories.to_list())})"
    if str(dtype) not in _PLAIN:
        raise DefinitionError(
            f"a raw column cannot be {dtype}; use a number, Boolean, String, Date, Datetime, Categorical or Enum"
        )
    return str(dtype)


def parse_dtype(name: str) -> pl.DataType:
    """The inverse of `dtype_name`; DefinitionError for anything that it does not write."""
    if name in _PLAIN:
        return _PLAIN[name]
    if match := _DATETIME.fullmatch(name):
        return pl.Datetime(match[1], match[2])  # type: ignore[arg-type]  # the pattern allows the three units only
    if match := _ENUM.fullmatch(name):
        return pl.Enum(json.loads(match[1]))
    raise DefinitionError(f"{name!r} is no column type; known are {', '.join(_PLAIN)}, Datetime(us, UTC), Enum([...])")


def conform(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of `schema`, in its order and types; all others are dropped.

    Converts what loses nothing (text <-> category, integers and floats to wider numbers, the units of a Datetime, a
    column of nulls). ContractError, which names the column, for everything else.
    """
    found = frame.schema
    if found.names() == list(schema) and found.dtypes() == list(schema.values()):
        return frame
    for name, dtype in schema.items():
        if name not in found:
            raise ContractError(f"column {name!r} ({dtype}) is missing; got {', '.join(found) or 'no columns'}")
        if not _is_lossless(found[name], dtype):
            raise ContractError(f"column {name!r} must be {dtype}, got {found[name]}; correct it upstream")
    try:
        return frame.select(
            pl.col(name) if found[name] == dtype else pl.col(name).cast(dtype) for name, dtype in schema.items()
        )
    except pl.exceptions.InvalidOperationError as cause:
        raise ContractError(f"a value does not fit its column's type; correct it upstream: {cause}") from cause


def _is_lossless(found: pl.DataType, wanted: pl.DataType) -> bool:
    if found == wanted or isinstance(found, pl.Null):
        return True
    if isinstance(found, pl.Datetime) and isinstance(wanted, pl.Datetime):
        return found.time_zone == wanted.time_zone
    if found.is_integer():
        return wanted.is_numeric()
    if isinstance(found, pl.Float32):
        return isinstance(wanted, pl.Float64)
    return isinstance(found, _TEXTS) and isinstance(wanted, _TEXTS)
