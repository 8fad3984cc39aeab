"""Do the fields of a definition hold what they declare? Told with field, value and what is allowed."""

import types
from collections.abc import Sequence
from dataclasses import Field, fields
from datetime import timedelta
from typing import Any, ClassVar, Protocol, Union, get_args, get_origin, get_type_hints

from validation.errors import DefinitionError

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False", type(None): "None"}


class _Part(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def check_types(definition: _Part, *, part: str) -> None:
    """DefinitionError when a field of a dataclass, such as `gate.alpha`, holds another type than it declares.

    Only plain types are looked at, alone or as alternatives; what is inside a tuple or mapping is not, nor is a field
    of another kind. A whole number is a number; True is none.
    """
    hints = get_type_hints(type(definition))
    for item in fields(definition):
        allowed, value = _plain_types(hints[item.name]), getattr(definition, item.name)
        if allowed and not any(_is(value, kind) for kind in allowed):
            words = " or ".join(_WORDS.get(kind, f"a {kind.__name__}") for kind in allowed)
            field = f"{part}.{item.name}" if part else item.name
            raise DefinitionError(f"{field} must be {words}, got {value!r}")


def _plain_types(hint: Any) -> Sequence[type]:
    """The types that a declaration allows; none when it says more than types can tell, or is a duration."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    plain = all(isinstance(kind, type) and get_origin(kind) is None for kind in kinds)
    return kinds if plain and not {Any, timedelta} & set(kinds) else ()


def _is(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
