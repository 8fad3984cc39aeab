"""Which rows repeat a value that an earlier row of the file has? Exact, in memory that does not grow with the file.

Only eight bytes of each row are held: the value itself where it is a number, a hash where it is not. Values whose eight
bytes are seen twice are looked at again in full. Above a budget the file is read in several passes, a share of all
values in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from validation.errors import ContractError
from validation.tracing import HELPER

ROWS_IN_MEMORY = 16_000_000  # 8 bytes each, and as much again to sort them
_PRINT, _AT = f"{HELPER}print", f"{HELPER}at"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repeats:
    """`later`: positions of all rows but the first of each value, ascending; `sharing`: rows that share their value."""

    later: pl.Series
    sharing: int


def repeats(
    frame: pl.LazyFrame, fields: Sequence[str], *, schema: pl.Schema, rows: int, in_memory: int = ROWS_IN_MEMORY
) -> Repeats:
    """Of a frame with `rows` rows. Null is a value like any other. ContractError when fewer or more rows are read."""
    printed = _print(fields, schema)
    parts = max(1, -(-rows // in_memory))
    seen, found = 0, list[Repeats]()
    for part in range(parts):
        prints = _prints(frame, printed, part=part, parts=parts)
        seen += len(prints)
        if not _all_differ(prints):
            twice = prints.filter(prints.is_duplicated())
            found.append(_exact(frame, fields, printed, twice))
    if seen != rows:
        raise ContractError(f"the file says that it has {rows:,} rows, {seen:,} were read; upload it again")
    later = pl.concat([item.later for item in found]) if found else pl.Series(_AT, dtype=pl.get_index_type())
    return Repeats(later=later.sort(), sharing=sum(item.sharing for item in found))


def _print(fields: Sequence[str], schema: pl.Schema) -> pl.Expr:
    """Eight bytes that are the same for equal values."""
    whole = pl.struct(pl.col(name).cast(pl.String) if schema[name] == pl.Categorical else name for name in fields)
    if len(fields) > 1:
        return whole.hash().alias(_PRINT)
    dtype, cell = schema[fields[0]], pl.col(fields[0])
    if (dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128)) or dtype.is_temporal():
        return cell.to_physical().alias(_PRINT)
    return (cell.cast(pl.String) if dtype == pl.Categorical else cell).hash().alias(_PRINT)


def _prints(frame: pl.LazyFrame, printed: pl.Expr, *, part: int, parts: int) -> pl.Series:
    all_of_them = frame.select(printed)
    if parts > 1:
        all_of_them = all_of_them.filter((pl.col(_PRINT) % parts).fill_null(0) == part)
    return all_of_them.collect(engine="streaming").to_series()


def _all_differ(prints: pl.Series) -> bool:
    if prints.is_sorted():  # as numbers that are counted up often are
        return not bool((prints.eq_missing(prints.shift(1)))[1:].any())
    return prints.n_unique() == len(prints)


def _exact(frame: pl.LazyFrame, fields: Sequence[str], printed: pl.Expr, twice: pl.Series) -> Repeats:
    """Look again at the rows whose prints came twice: different values may have one hash."""
    prints = twice.unique()
    suspects = (
        frame.select(*dict.fromkeys(fields), printed)
        .with_row_index(_AT)
        .join(prints.to_frame().lazy(), on=_PRINT, how="semi", nulls_equal=True, maintain_order="left")
    )
    value = pl.col(fields[0]) if len(fields) == 1 else pl.struct(fields)
    later = suspects.filter(~value.is_first_distinct()).select(_AT).collect(engine="streaming").to_series()
    if len(twice) - len(later) == len(prints):  # as many firsts as prints: no two values had one hash
        return Repeats(later=later, sharing=len(twice))
    groups = suspects.select(fields).group_by(fields).len(_AT).filter(pl.col(_AT) > 1)
    return Repeats(later=later, sharing=groups.select(pl.col(_AT).sum()).collect(engine="streaming").item())
