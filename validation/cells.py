"""Cells of any type as short text, for verdicts: printable, bounded, and never an error."""

import polars as pl

MAX_VALUE_LENGTH = 60  # characters shown of a cell
_UNSHOWABLE = "(cannot be shown)"


def told(rows: pl.DataFrame) -> tuple[str, ...]:
    """One line for each row: its position in the file (the first column), then name=cell for all others."""
    position, *names = rows.columns
    cells = [_texts(rows[name]) for name in names]
    return tuple(
        ", ".join([f"row {row}", *(f"{name}={cell[at]}" for name, cell in zip(names, cells, strict=True))])
        for at, row in enumerate(rows[position])
    )


def _texts(column: pl.Series) -> list[str]:
    try:
        # Moments as text: Python cannot hold all of them. Spans of time have no text form.
        is_moment = column.dtype.is_temporal() and column.dtype != pl.Duration
        values = (column.cast(pl.String) if is_moment else column).to_list()
    except (ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        values = [_UNSHOWABLE] * len(column)
    return [_printable(str(value)[:MAX_VALUE_LENGTH]) for value in values]


def _printable(text: str) -> str:
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown[:MAX_VALUE_LENGTH]
