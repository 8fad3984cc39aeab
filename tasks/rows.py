"""A verdict as it was before the ledger wrote it down."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from math import nan
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from registry.ledger import Recorded
from validation.verdict import Verdict

V = TypeVar("V", bound=Verdict)


def as_verdict(row: Recorded, kind: type[V]) -> V:
    """The row as a verdict of its kind; what an older Andon did not write has its default.

    NOTE: JSON has no nan, the ledger holds null for it.
    """
    body = _with_nan(row.body, kind)
    return msgspec.convert({**body, "reasons": row.reasons, "data_time": row.data_time}, kind)


def _with_nan(body: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The body with nan where a number must be, also in the values that it holds a list of."""
    filled = dict(body)
    for name, hint in _hints(kind).items():
        value, held = filled.get(name, ...), next(iter(get_args(hint)), None)
        if value is None and hint is float:
            filled[name] = nan
        elif isinstance(value, list) and isinstance(held, type) and is_dataclass(held):
            filled[name] = [_with_nan(item, held) for item in value]
    return filled


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
