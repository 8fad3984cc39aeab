"""What may be strange about one column of a batch: its nulls, a value that sticks, or the way its values are written.

Each finding is a sentence that says what is strange, by how much, against which usual range, and the probable cause.
"""

from collections.abc import Callable, Sequence

import numpy as np

from validation.batch_profile import LEAST_SHARE, Shares
from validation.compared import Column, Limits, NullShare
from validation.likeness import NumberPast

NOISE = 3.0  # standard errors of a share that are chance
MANY = 5  # distinct values, from which on a column is no code with a few levels
FEW_LEVELS = 3  # a text with fewer is a code: a new level is nothing strange
UNSEEN_BEYOND = 3.0  # unseen values must be so many times as frequent as they ever were
UNKNOWN = 0.5  # share of values that nobody knows at all, in whatever way they are written
MOST = 0.9  # what makes up this share is all that counts


def find_nulls(share: NullShare, limits: Limits) -> str | None:
    """The share of nulls jumped far above its usual range."""
    if not _jumped(share.now, share.then, of=share.rows, least=limits.nulls, reach=limits.reach):
        return None
    usual = _range(share.then, nothing="none")
    return (
        f"{share.name}: {share.now:.1%} of its values are missing where {usual} were before; "
        "a part of the source was probably not delivered"
    )


def find_stuck(column: Column, limits: Limits) -> str | None:
    """One value makes up much more of the column than any did before."""
    tops = [each.top for each in column.then]
    many = np.median([each.distinct for each in column.then]) >= MANY
    if not many or not _jumped(column.now.top, tops, of=column.now.seen, least=limits.stuck, reach=limits.reach):
        return None
    value, usual = column.now.shares[0][0], _range(tops, nothing=f"less than {LEAST_SHARE:.1%}")
    return (
        f"{column.name}: {column.now.top:.1%} of its values are {value!r} where the most frequent value made up "
        f"{usual} before; a sensor or an export probably hangs at this value"
    )


def find_writing(column: Column, limits: Limits) -> str | None:
    """A text has values, or shapes of values, that it never had."""
    if isinstance(column.past, NumberPast):
        return None
    unseen = _unseen(column.now.shares, [each.shares for each in column.then], least=limits.unseen)
    if unseen:
        return _rewritten(column, unseen) or _new_values(column, unseen)
    unseen = _unseen(column.now.shapes, [each.shapes for each in column.then], least=limits.unseen)
    return _new_shapes(column, unseen) if unseen else None


def _jumped(share: float, before: Sequence[float], *, of: int, least: float, reach: float) -> bool:
    """Above all shares before, by more than they differ, and by more than the chance of a share of so many rows."""
    highest, by_chance = max(before), NOISE * float(np.sqrt(share * (1 - share) / of))
    return share - highest > max(least, by_chance, reach * (highest - float(np.median(before))))


def _unseen(shares: Shares, before: Sequence[Shares], *, least: float) -> Shares:
    """Values that occur for the first time, if they make up more of the column than first ones ever did."""
    known: set[str] = set()
    usual = 0.0
    for each in before:
        usual = max(usual, _total(each, known)) if known else usual
        known |= {value for value, _ in each}
    unseen = tuple((value, share) for value, share in shares if value not in known)
    return unseen if _total(unseen, known) > max(least, UNSEEN_BEYOND * usual) else ()


def _total(shares: Shares, known: set[str]) -> float:
    """Share of what is not known."""
    return sum(share for value, share in shares if value not in known)


def _rewritten(column: Column, unseen: Shares) -> str | None:
    """The known values, written in another way."""
    known = {value for each in column.then for value, _ in each.shares}
    total = _total(unseen, known)
    for how, plain in _WRITINGS:
        origins = {plain(value): value for value in sorted(known)}
        same = [(value, share) for value, share in unseen if plain(value) in origins]
        if sum(share for _, share in same) >= MOST * total:
            value = same[0][0]
            return (
                f"{column.name}: {total:.1%} of its values are known ones {how}, such as {value!r} where "
                f"{origins[plain(value)]!r} came before; the export has probably changed"
            )
    return None


def _new_values(column: Column, unseen: Shares) -> str | None:
    """Values that nobody knows, in a column that had several."""
    known = _known([each.shares for each in column.then])
    levels, top = np.median([[len(each.shares), each.top] for each in column.then], axis=0)
    total = sum(share for _, share in unseen)
    if levels < FEW_LEVELS or top > MOST or total < UNKNOWN:
        return None
    return (
        f"{column.name}: {total:.1%} of its values were never seen before, such as {unseen[0][0]!r} where "
        f"{known} came; another column's values, another source or another coding"
    )


def _new_shapes(column: Column, unseen: Shares) -> str:
    total = sum(share for _, share in unseen)
    return (
        f"{column.name}: {total:.1%} of its values have a shape that was never seen, "
        f"{unseen[0][0]!r} where {_known([each.shapes for each in column.then])} came (A: capitals, a: small letters, "
        "9: digits); another column's values, another source or another coding"
    )


def _known(before: Sequence[Shares]) -> str:
    """The most frequent value of the newest batch in which not all were rare."""
    return next((repr(shares[0][0]) for shares in reversed(before) if shares), "rare ones")


def _recoded(value: str) -> str:
    """UTF-8 that was read as Latin-1, read rightly."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


_WRITINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("with other spaces around them", str.strip),
    ("in another case", str.casefold),
    ("in another case and with other spaces around them", lambda value: value.strip().casefold()),
    ("with other leading zeros", lambda value: value.lstrip("0")),
    ("with or without decimals", lambda value: value.removesuffix(".0")),
    ("in other quotes", lambda value: value.strip("\"'")),
    ("in another encoding", _recoded),
)


def _range(shares: Sequence[float], *, nothing: str) -> str:
    """The usual range in words."""
    least, most = min(shares), max(shares)
    if most == 0:
        return nothing
    return f"{most:.1%}" if f"{least:.1%}" == f"{most:.1%}" else f"{least:.1%} to {most:.1%}"
