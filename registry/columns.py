"""Column types that mean the same on every database: moments, texts, and JSON as it was hashed."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text, TypeDecorator

from registry.chain import canonical, clean


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond: timestamptz on PostgreSQL, sortable text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given
        """To UTC; what has no time zone was refused before."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given
        """SQLite forgets the time zone, PostgreSQL answers in the session's."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Words(TypeDecorator[str]):
    """Text that every database can hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - given
        """PostgreSQL refuses NUL, both refuse lone surrogates."""
        return value and clean(value)


class Json(TypeDecorator[Any]):
    """Canonical JSON as text: what was hashed is what is stored."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - given
        """Write the text that the hash was taken of."""
        return canonical(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - given
        """Read it."""
        return json.loads(value or "null")
