"""Made-up rows of any columns, for looks at what a query does that need no data."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

_PLAIN: dict[Any, tuple[Any, Any]] = {
    pl.String: ("", "a"),
    pl.Boolean: (False, True),
    pl.Date: (date(1970, 1, 1), date(2000, 2, 29)),
    pl.Time: (time(0), time(12, 30)),
    pl.Duration: (timedelta(0), timedelta(hours=1)),
}
_MOMENTS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 2, 29, 12, tzinfo=UTC))
_NULLS = 2  # rows of nothing but nulls: two, so that uniqueness can be broken


def made_up(schema: pl.Schema) -> pl.DataFrame:
    """Two rows of nothing but nulls, then two of plain values, and the last of them once more."""
    return pl.DataFrame([pl.Series(name, _cells(dtype), dtype=dtype) for name, dtype in schema.items()])


def _cells(dtype: pl.DataType) -> list[Any]:
    plain: tuple[Any, Any] = (None, None)
    if dtype.is_numeric() and not isinstance(dtype, pl.Decimal):
        plain = (0, 1)
    elif isinstance(dtype, pl.Datetime):
        plain = _MOMENTS if dtype.time_zone else (_MOMENTS[0].replace(tzinfo=None), _MOMENTS[1].replace(tzinfo=None))
    else:
        plain = _PLAIN.get(type(dtype), plain)
    return [*[None] * _NULLS, *plain, plain[1]]
