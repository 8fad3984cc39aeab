"""Requests as JSON Schema (draft 2020-12): what it allows is answered, what it forbids is refused.

It says less than is answered in four places that it cannot express: a dataframe_split may have its columns in any order
and more of them than are known, objects of columns may bring more than one row, a whole number may not be written 3.0,
and no name may be given twice. Descriptions say so. A category that no training row had is allowed here, also where the
pipeline's definition refuses it.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any

import polars as pl

from serving.requests.columns import FLOAT32_MAX, integer_bounds

FLOAT64_MAX = 1.7976931348623157e308
MOST_GROUPS = 3  # of looked-up columns, told in all combinations; of more, only all and none

Json = dict[str, Any]

_ORDER = "In this order or any other, known columns and others, which are ignored; each name once."
_LISTS = "One row is shown: lists of any length are answered, when all of them are as long."
_LISTED = "Objects with the names of the columns; lists of plain values are refused."
_PARAMS = {"type": ["object", "null"], "maxProperties": 0, "description": "Models take no params."}
_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_BY_FOUR = "(?:0[48]|[2468][048]|[13579][26])"
_INNER_YEARS = "(?:000[2-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])"
_LEAP_YEARS = f"(?:[0-9]{{2}}{_BY_FOUR}|{_BY_FOUR}00)"
_NS_YEARS = "(?:167[89]|16[89][0-9]|(?:1[7-9]|2[01])[0-9]{2}|22[0-5][0-9]|226[01])"  # columns.YEARS_NS
_NS_LEAP_YEARS = f"(?:16(?:8[048]|9[26])|(?:1[7-9]|2[01]){_BY_FOUR}|2000|22(?:0[48]|[24][048]|[135][26]|60))"
_TIME = r"[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_OFFSET = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
_NO_OFFSET = "(?:[Zz]|[+-]00:?00)?"
_MIDNIGHT = rf"(?:[Tt ]00:00:00(?:\.0+)?{_NO_OFFSET})?"


def request_schemas(
    schema: Mapping[str, pl.DataType], *, required: Collection[str], groups: Sequence[Collection[str]], rows: int
) -> Json:
    """For each of the four formats its schema; `rows`: the most that a request may bring."""
    values = {name: _value(dtype, null=name not in required) for name, dtype in schema.items()}
    variants = [{name: values[name] for name in values if name not in left} for left in _left_out(groups)]
    records = {"type": "array", "minItems": 1, "maxItems": rows, "description": _LISTED}
    lists = _any_of([_columns(variant, values) for variant in variants])
    either = [_any_of([{**records, "items": _record(variant, values)} for variant in variants]), lists]
    return {
        "dataframe_split": _body("dataframe_split", _any_of([_split(variant, rows) for variant in variants])),
        "dataframe_records": _body("dataframe_records", either[0]),
        "inputs": _body("inputs", {"anyOf": either}),
        "instances": _body("instances", {"anyOf": either}),
    }


def moment_pattern(dtype: pl.Datetime) -> str:
    """What is read as a moment of such a column. The first and the last year take no offset: it could lead beyond."""
    if dtype.time_unit == "ns":
        return f"^(?:{_NS_YEARS}-{_DAY}|{_NS_LEAP_YEARS}-02-29){_TIME}{_OFFSET}$"
    inner = f"(?:{_INNER_YEARS}-{_DAY}|{_LEAP_YEARS}-02-29){_TIME}{_OFFSET}"
    return f"^(?:{inner}|(?:0001|9999)-{_DAY}{_TIME}{_NO_OFFSET})$"


def day_pattern() -> str:
    """What is read as a day: also its midnight."""
    return f"^(?:(?:{_INNER_YEARS}|0001|9999)-{_DAY}|{_LEAP_YEARS}-02-29){_MIDNIGHT}$"


def _value(dtype: pl.DataType, *, null: bool) -> Json:
    if isinstance(dtype, pl.Enum):
        return {"enum": [*dtype.categories, *([None] if null else [])]}
    told: Json = {"type": "string"}
    if bounds := integer_bounds(dtype):
        told = {"type": "integer", "minimum": bounds[0], "maximum": bounds[1]}
    elif dtype.is_float():
        most = FLOAT32_MAX if isinstance(dtype, pl.Float32) else FLOAT64_MAX
        told = {"type": "number", "minimum": -most, "maximum": most}
    elif isinstance(dtype, pl.Boolean):
        told = {"type": "boolean"}
    elif isinstance(dtype, pl.Datetime):
        zone = "A moment; without an offset it is UTC"
        told |= {"pattern": moment_pattern(dtype), "description": zone, "examples": ["2013-01-31T06:15:00Z"]}
    elif isinstance(dtype, pl.Date):
        told |= {"pattern": day_pattern(), "description": "A day", "examples": ["2013-01-31"]}
    return {**told, "type": [told["type"], "null"]} if null else told


def _left_out(groups: Sequence[Collection[str]]) -> list[set[str]]:
    """The sets of columns that a request may leave out."""
    if len(groups) > MOST_GROUPS:
        return [set(), {name for group in groups for name in group}]
    return [{name for group in chosen for name in group} for chosen in product(*[((), group) for group in groups])]


def _record(variant: Json, values: Json) -> Json:
    absent = {name: False for name in values if name not in variant}
    return {"type": "object", "properties": {**variant, **absent}, "required": list(variant)}


def _columns(variant: Json, values: Json) -> Json:
    lists = {name: {"type": "array", "minItems": 1, "maxItems": 1, "items": value} for name, value in variant.items()}
    return {**_record(lists, values), "description": _LISTS}


def _split(variant: Json, rows: int) -> Json:
    row = {"type": "array", "prefixItems": list(variant.values()), "items": False, "minItems": len(variant)}
    return {
        "type": "object",
        "properties": {
            "columns": {"const": list(variant), "description": _ORDER},
            "data": {"type": "array", "minItems": 1, "maxItems": rows, "items": row},
            "index": {"description": "pandas' own; ignored"},
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    }


def _body(form: str, schema: Json) -> Json:
    return {
        "type": "object",
        "properties": {form: schema, "params": _PARAMS},
        "required": [form],
        "additionalProperties": False,
    }


def _any_of(schemas: list[Json]) -> Json:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
