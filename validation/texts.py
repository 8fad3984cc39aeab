"""How the text of a CSV cell becomes a value: one expression for each type, null where the text is none of it."""

import polars as pl

_WITH_ZONE = ("%+", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z")  # %+ is ISO 8601 with seconds, fraction and offset
_WITHOUT_ZONE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_NO_TEXT = (pl.Duration, pl.Binary, pl.List, pl.Array, pl.Struct, pl.Object)


def read_text(text: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """The cells of `text` as `dtype`; None when the type has no text form.

    Booleans are true or false in any case. Moments are ISO 8601: with an offset where the type has a time zone (a bare
    local time could be any moment), without one where it has none.
    """
    if isinstance(dtype, _NO_TEXT):
        return None
    if dtype == pl.Boolean:
        return _boolean(text)
    if isinstance(dtype, pl.Datetime):
        return _moment(text, dtype)
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    if dtype == pl.Time:
        return pl.coalesce(text.str.to_time(form, strict=False) for form in ("%H:%M:%S%.f", "%H:%M"))
    return text.cast(dtype, strict=False)


def read_number(text: pl.Expr) -> pl.Expr:
    """A number, or true and false as 1 and 0: a label whose type its contract leaves open."""
    return pl.coalesce(text.cast(pl.Float64, strict=False), _boolean(text).cast(pl.Float64))


def _boolean(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)


def _moment(text: pl.Expr, dtype: pl.Datetime) -> pl.Expr:
    unit = dtype.time_unit
    if dtype.time_zone is None:
        return pl.coalesce(text.str.to_datetime(form, time_unit=unit, strict=False) for form in _WITHOUT_ZONE)
    utc = [text.str.to_datetime(form, time_unit=unit, time_zone="UTC", strict=False) for form in _WITH_ZONE]
    return pl.coalesce(utc).dt.convert_time_zone(dtype.time_zone)
