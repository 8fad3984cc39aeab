"""Which rows repeat a value that an earlier row of the file has? Exact, with some eight bytes held of each row.

That is the value itself where it is a number, a hash where it is not; values whose hash is seen twice are looked at
again in full. Above a budget the file is read in several passes, a share of all values in each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from validation.errors import ContractError
from validation.positions import ROW, Marked, numbered
from validation.tracing import HELPER

ROWS_IN_MEMORY = 16_000_000  # 8 bytes each, and as much again to compare them
_MOSTLY = 64  # numbers count up "mostly" when at most one in so many does not
_AT_ONCE = 1 << 14
_PRINT = f"{HELPER}print"
Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """The values of `fields` in a frame with `rows` rows. `nulls_count`: null is a value like any other; otherwise rows
    with one are left out.
    """

    frame: pl.LazyFrame
    fields: tuple[str, ...]
    schema: pl.Schema
    rows: int
    nulls_count: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repeats:
    """`later`: positions of all rows but the first of each value, ascending; `sharing`: rows that share their value."""

    later: pl.Series
    sharing: int


def repeats(values: Values, *, in_memory: int = ROWS_IN_MEMORY) -> Repeats:
    """ContractError when fewer or more rows are read than the file says that it has."""
    parts = max(1, -(-values.rows // in_memory))
    told = _climbing(values) if parts > 1 and _is_number(values) else None
    if told is not None:
        return told
    seen, found = 0, list[Repeats]()
    for part in range(parts):
        prints = _prints(values, part=part, parts=parts)
        seen += prints.height
        twice = _twice(prints, nulls_count=values.nulls_count)
        if twice.height:
            found.append(_repeated(values, twice))
    _check_rows(seen, values)
    later = pl.concat([item.later for item in found]) if found else pl.Series(dtype=pl.get_index_type())
    return Repeats(later=later.sort(), sharing=sum(item.sharing for item in found))


def _check_rows(seen: int, values: Values) -> None:
    if seen != values.rows:
        raise ContractError(f"the file says that it has {values.rows:,} rows, {seen:,} were read; upload it again")


def _climbing(values: Values) -> Repeats | None:
    """Numbers that mostly count up, without holding them: only those that do not can repeat any. None for others."""
    late, seen, nulls, top = list[Numbers](), 0, 0, None
    printed = values.frame.select(_printed(values))
    for batch in printed.collect_batches(engine="streaming"):
        seen, nulls = seen + batch.height, nulls + batch[_PRINT].null_count()
        for part in _climbs(batch[_PRINT], top):
            top = part.highest[-1]
            late += [part.late] if len(part.late) else []
        if sum(map(len, late)) > values.rows // _MOSTLY:
            return None
    _check_rows(seen, values)
    with_nulls = nulls > 1 and values.nulls_count
    if not late and not with_nulls:
        return Repeats(later=pl.Series(dtype=pl.get_index_type()), sharing=0)
    suspects = pl.Series(np.unique(np.concatenate(late)) if late else [], dtype=printed.collect_schema()[_PRINT])
    looked_at = pl.col(_PRINT).is_in(suspects.implode()).fill_null(value=with_nulls)
    rows = printed.with_row_index(ROW).filter(looked_at).collect(engine="streaming")
    return _repeated(values, _twice(rows, nulls_count=values.nulls_count))


def _is_number(values: Values) -> bool:
    """Whether eight bytes hold the value itself."""
    dtype = values.schema[values.fields[0]]
    is_long = dtype in (pl.Int128, pl.UInt128)
    return len(values.fields) == 1 and (dtype.is_integer() or dtype.is_temporal()) and not is_long


def _printed(values: Values) -> pl.Expr:
    """Eight bytes that are the same for equal values; null for rows that are left out."""
    if _is_number(values):
        return pl.col(values.fields[0]).to_physical().alias(_PRINT)
    # Codes of categories are told apart by their text: they may differ between parts of a file.
    cells = [
        pl.col(name).cast(pl.String) if values.schema[name] == pl.Categorical else pl.col(name)
        for name in values.fields
    ]
    hashed = cells[0].hash() if len(cells) == 1 else pl.struct(cells).hash()
    if values.nulls_count:
        return hashed.alias(_PRINT)
    return pl.when(pl.all_horizontal(pl.col(name).is_not_null() for name in values.fields)).then(hashed).alias(_PRINT)


def _prints(values: Values, *, part: int, parts: int) -> pl.DataFrame:
    """The prints of a share of all values, with their positions where these do not follow from the order."""
    printed = values.frame.select(_printed(values))
    if parts == 1:
        return printed.collect(engine="streaming")
    mine = (pl.col(_PRINT) % parts).fill_null(0) == part
    return printed.with_row_index(ROW).filter(mine).collect(engine="streaming")


def _twice(prints: pl.DataFrame, *, nulls_count: bool) -> pl.DataFrame:
    """The rows whose print is there more than once, with their positions."""
    again = pl.Series(_again(prints[_PRINT]))
    nulls = prints[_PRINT].null_count() > 1 and nulls_count
    if not len(again) and not nulls:
        return prints.clear()
    placed = prints if ROW in prints.columns else prints.with_row_index(ROW)
    return placed.filter(pl.col(_PRINT).is_in(again.implode()).fill_null(value=nulls))


def _again(prints: pl.Series) -> Numbers:
    """The numbers that are there more than once, ascending.

    Ids mostly count up: then those that do not are few, and only they can repeat one another or one that does.
    """
    climbed, late, most = list[_Climb](), list[Numbers](), len(prints) // _MOSTLY
    for part in _climbs(prints):
        climbed.append(part)
        if len(part.late):
            late.append(part.late)
            most -= len(part.late)
        if most < 0:
            ordered = prints.drop_nulls().sort().to_numpy()
            return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return _again_of_few(climbed, np.concatenate(late)) if late else np.array([], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Climb:
    """A part of the numbers; for each the highest up to it; and those that are `late`: no higher than one before."""

    numbers: Numbers
    highest: Numbers
    late: Numbers


def _again_of_few(climbed: Sequence[_Climb], late: Numbers) -> Numbers:
    """Of `late` those that are there twice, or among the numbers that climb."""
    found, times = np.unique(late, return_counts=True)
    is_twice = times > 1
    part_of = np.searchsorted(np.array([part.highest[-1] for part in climbed]), found)  # the first to climb as high
    for at in np.unique(part_of):
        mine, part = np.flatnonzero(part_of == at), climbed[at]
        is_twice[mine] |= part.numbers[np.searchsorted(part.highest, found[mine])] == found[mine]
    return found[is_twice]


def _climbs(prints: pl.Series, top: Any = None) -> Iterator[_Climb]:
    for chunk in prints.get_chunks():
        for start in range(0, len(chunk), _AT_ONCE):
            piece = chunk.slice(start, _AT_ONCE)
            numbers = (piece.drop_nulls() if piece.null_count() else piece).to_numpy()
            if len(numbers):
                part = _climb(numbers, top)
                top = part.highest[-1]
                yield part


def _climb(numbers: Numbers, top: Any) -> _Climb:
    is_above = top is None or bool(numbers[0] > top)
    if is_above and bool((numbers[1:] > numbers[:-1]).all()):
        return _Climb(numbers=numbers, highest=numbers, late=numbers[:0])
    highest = np.maximum.accumulate(numbers)
    is_late = np.empty(len(numbers), dtype=np.bool_)
    is_late[0] = not is_above
    if not is_above:
        highest = np.maximum(highest, top)
    np.less_equal(numbers[1:], highest[:-1], out=is_late[1:])
    return _Climb(numbers=numbers, highest=highest, late=numbers[is_late])


def _repeated(values: Values, twice: pl.DataFrame) -> Repeats:
    if _is_number(values):
        later = twice.filter(~pl.col(_PRINT).is_first_distinct())[ROW]
        return Repeats(later=later, sharing=twice.height)
    return _looked_up(values, twice)


def _looked_up(values: Values, twice: pl.DataFrame) -> Repeats:
    """Look again at the rows whose hashes came twice: different values may have one."""
    fields = values.fields
    marked = Marked(name="twice", positions=twice[ROW], rows=values.rows)
    suspects = numbered(values.frame.select(*dict.fromkeys(fields)), marked).filter(marked.expr)
    value = pl.col(fields[0]) if len(fields) == 1 else pl.struct(*fields)
    later = suspects.filter(~value.is_first_distinct()).select(ROW).collect(engine="streaming").to_series()
    if twice.height - len(later) == twice[_PRINT].n_unique():  # as many firsts as hashes: no two values had one
        return Repeats(later=later, sharing=twice.height)
    groups = suspects.select(fields).group_by(fields).len(ROW).filter(pl.col(ROW) > 1)
    return Repeats(later=later, sharing=groups.select(pl.col(ROW).sum()).collect(engine="streaming").item())
