"""Have columns of a batch changed places? Compares each strange column with the past of every other strange one.

Only rings are told: A looks like B did, B like C did, and C like A did. Columns that rise or fall together, such as the
temperatures of several depths, may each come to look like the next one did, but never all around.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from validation.compared import Column, Limits
from validation.likeness import NumberPast
from validation.units import FITS

MAX_NAMED = 10
MAX_PAIRED = 100
LAST = 5  # batches before, in which the columns must have been different
_ENOUGH = 1e9  # a distance that may as well be infinite

Ring = tuple[str, ...]


def find_rings(columns: Sequence[Column], limits: Limits) -> tuple[Ring, ...]:
    """Groups of columns, each of which looks like the next one did, and the last like the first."""
    strange = {column.name: column for column in columns if _strangeness(column) > 1}
    in_order = list(strange.values())
    like = {each.name: other for each in in_order if (other := _looks_like(each, _candidates(each, in_order)))}
    rings: list[Ring] = []
    for name in like:
        ring = () if any(name in found for found in rings) else _ring(name, like)
        if ring and np.log([_strangeness(strange[member]) for member in ring]).mean() > np.log(limits.distance):
            rings.append(ring)
    return tuple(rings)


def tell_ring(ring: Ring) -> str:
    """The sentence for a ring."""
    if len(ring) == 2:
        return f"{ring[0]} and {ring[1]} have probably changed places: each looks like the other did before"
    names = ", ".join(ring[:MAX_NAMED]) + (f" and {len(ring) - MAX_NAMED} more" if len(ring) > MAX_NAMED else "")
    return f"{names}: the columns have probably changed places, as each looks like the next one did before"


def _strangeness(column: Column) -> float:
    """The logarithm of the median is no sign here: it is far from everything when a temperature passes zero."""
    return min(max(column.distance.place, column.distance.spread), _ENOUGH)


def _candidates(column: Column, strange: Sequence[Column]) -> Sequence[Column]:
    """All strange columns; of very many, only the neighbours on either side, around the ends."""
    if len(strange) <= MAX_PAIRED:
        return strange
    place = strange.index(column)
    return strange[place - 1], strange[(place + 1) % len(strange)]


def _looks_like(column: Column, others: Iterable[Column]) -> str | None:
    """The strange column whose past this one fits best, if it fits any."""
    fitting = [
        (distance, other.name)
        for other in others
        if other is not column and (distance := _distance(column, other)) <= FITS and _differed(column, other)
    ]
    return min(fitting)[1] if fitting else None


def _distance(column: Column, other: Column) -> float:
    """How far a column is from another one's past; infinite between numbers and texts."""
    if isinstance(column.past, NumberPast) != isinstance(other.past, NumberPast):
        return np.inf
    return other.past.distance(column.now).most


def _differed(column: Column, other: Column) -> bool:
    """Whether the two could be told apart in each of the last batches."""
    return all(other.past.distance(each).most > FITS for each in column.then[-LAST:])


def _ring(name: str, like: Mapping[str, str]) -> Ring:
    """The ring that starts with this column; empty when it is in none."""
    ring, following = [name], like.get(name)
    while following and following not in ring:
        ring.append(following)
        following = like.get(following)
    return tuple(ring) if following == name else ()
