"""A definition's values as JSON ones: durations in seconds, functions and classes by name."""

from dataclasses import fields
from datetime import timedelta
from typing import Any


def plain(value: Any) -> Any:
    """The value as JSON: parts of a definition field by field, and its `repr` for what JSON does not know."""
    found: Any = value if value is None or isinstance(value, str | int | float) else repr(value)
    if isinstance(value, timedelta):
        found = value.total_seconds()
    elif isinstance(value, tuple | list):
        found = [plain(item) for item in value]
    elif isinstance(value, dict):
        found = {key: plain(item) for key, item in value.items()}
    elif callable(value):
        found = getattr(value, "__qualname__", repr(value))
    elif hasattr(value, "__dataclass_fields__"):
        found = {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    return found
