"""Is a batch that keeps its contract strange against the last ones? Names what is strange; a person then decides.

It never triggers a retrain, and it is no drift: drift asks whether the world has moved, this asks whether the file is
right. What moves by season, weekday or trend has moved before, and that is the measure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from validation.batch_profile import BatchProfile, profile_batch
from validation.compared import Limits, compare, null_shares
from validation.errors import DefinitionError
from validation.fields import check_types
from validation.oddities import find_nulls, find_stuck, find_writing
from validation.shifts import find_rings, tell_ring
from validation.units import find_unit

__all__ = ["BatchProfile", "Suspicion", "profile_batch", "suspect"]

MAX_TOLD = 20
FULL = 3  # so many batches must have brought a column before one without any value is strange
SIZE = 10.0  # times more or fewer rows, or time, than ever
REACH = 2.0  # how far a share must leave its range, as a multiple of the way from its median to its highest
FRAGMENT = 0.5  # of the smallest batch before: what is less need not look like a whole one, and limits are doubled
# Of fewer batches than 20 the range is known less well, and of more columns than 20 one is farther out by chance.
ENOUGH_BATCHES, ENOUGH_COLUMNS = 20, 20
WIDER_FOR_FEW, WIDER_FOR_MANY = 8.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """When a valid batch is held until a person releases it.

    `batches`: how many of the last accepted batches it is compared with. With fewer than `min_batches`, only a
    duplicate and a column without any value are named. Batches of fewer than `min_rows` rows are not compared.
    `distance`: how many times farther out than the farthest of the last batches a column must lie, in (1, inf).
    `nulls`, `stuck`, `unseen`: by how much the share of nulls, of the most frequent value, or of values never seen must
    rise above what it ever was, in (0, 1]. `ignore`: columns that are not looked at.
    """

    enabled: bool = True
    batches: int = 20
    min_batches: int = 8
    min_rows: int = 50
    distance: float = 2.25
    nulls: float = 0.1
    stuck: float = 0.3
    unseen: float = 0.3
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self, part="suspicion")
        object.__setattr__(self, "ignore", (self.ignore,) if isinstance(self.ignore, str) else tuple(self.ignore))
        if self.min_batches < 5:
            raise DefinitionError(f"suspicion.min_batches must be at least 5, got {self.min_batches}")
        if self.batches < self.min_batches:
            raise DefinitionError(
                f"suspicion.batches must be at least min_batches ({self.min_batches}), got {self.batches}"
            )
        if self.min_rows < 1:
            raise DefinitionError(f"suspicion.min_rows must be at least 1, got {self.min_rows}")
        if not self.distance > 1:
            raise DefinitionError(f"suspicion.distance must be above 1, got {self.distance}")
        for name in ("nulls", "stuck", "unseen"):
            if not 0 < getattr(self, name) <= 1:
                raise DefinitionError(f"suspicion.{name} must be a share in (0, 1], got {getattr(self, name)}")


def suspect(profile: BatchProfile, previous: Sequence[BatchProfile], *, policy: Suspicion) -> tuple[str, ...]:
    """Sentences that say what is strange; none: nothing. `previous`: the accepted batches before it, oldest first.

    A batch with the content of any of them is a duplicate; all else is judged by the last `policy.batches`.
    """
    if not policy.enabled or not profile.rows:
        return ()
    twin = next((batch for batch in reversed(previous) if batch.digest == profile.digest), None)
    if twin:
        return (_duplicate(profile, twin),)
    before = [batch for batch in previous[-policy.batches :] if batch.rows >= policy.min_rows]
    found = list(_empty(profile, before, policy)) if len(before) >= FULL else []
    if len(before) >= policy.min_batches:
        found += _size(profile, before)
    if len(before) >= policy.min_batches and profile.rows >= policy.min_rows:
        with np.errstate(all="ignore"):  # numbers near the ends of their range: what cannot be told is not strange
            found += _columns(profile, before, policy)
    more = len(found) - MAX_TOLD
    return (*found[:MAX_TOLD], f"and {more} findings more of this kind") if more > 0 else tuple(found)


def _duplicate(profile: BatchProfile, twin: BatchProfile) -> str:
    name = twin.name or "an earlier batch"
    return f"holds exactly the {profile.rows:,} rows of {name}; probably the same data under another name"


def _empty(profile: BatchProfile, before: Sequence[BatchProfile], policy: Suspicion) -> Iterator[str]:
    """Columns without any value that always had many."""
    for share in null_shares(profile, before, ignore=policy.ignore):
        if share.now == 1 and len(share.then) >= FULL and max(share.then) <= 0.5:
            yield (
                f"{share.name}: all of its values are missing where at most {max(share.then):.1%} were before; "
                "it was probably not delivered"
            )


def _size(profile: BatchProfile, before: Sequence[BatchProfile]) -> Iterator[str]:
    """Rows, or the time that they span, utterly unlike before."""
    why = "it is probably a part of a batch, or several in one"
    rows = [batch.rows for batch in before]
    if not min(rows) / SIZE <= profile.rows <= max(rows) * SIZE:
        yield f"has {profile.rows:,} rows where {min(rows):,} to {max(rows):,} were before; {why}"
    spans = [batch.span_seconds for batch in before]
    if min(spans) > 0 and not min(spans) / SIZE <= profile.span_seconds <= max(spans) * SIZE:
        now, least, most = (timedelta(seconds=round(span)) for span in (profile.span_seconds, min(spans), max(spans)))
        yield f"spans {now} (h:mm:ss) where batches spanned {least} to {most} before; {why}"


def _columns(profile: BatchProfile, before: Sequence[BatchProfile], policy: Suspicion) -> Iterator[str]:
    limits = _limits(profile, before, policy)
    columns = compare(profile, before, ignore=policy.ignore, min_batches=policy.min_batches, min_seen=policy.min_rows)
    rings = find_rings(columns, limits)
    yield from (tell_ring(ring) for ring in rings)
    moved = {name for ring in rings for name in ring}
    for share in null_shares(profile, before, ignore={*policy.ignore, *moved}):
        if share.now < 1 and len(share.then) >= policy.min_batches and (found := find_nulls(share, limits)):
            yield found
    for column in columns:
        finders = (find_stuck, find_unit, find_writing) if column.name not in moved else ()
        yield from [found for find in finders if (found := find(column, limits))][:1]


def _limits(profile: BatchProfile, before: Sequence[BatchProfile], policy: Suspicion) -> Limits:
    """The policy's limits; wider for few batches, for many columns, and doubled for a fragment of a batch."""
    few = (1 + WIDER_FOR_FEW / len(before)) / (1 + WIDER_FOR_FEW / ENOUGH_BATCHES)
    many = WIDER_FOR_MANY * float(np.log10(max(1.0, len(profile.columns) / ENOUGH_COLUMNS)))
    rows, span = min(batch.rows for batch in before), min(batch.span_seconds for batch in before)
    slack = 2.0 if profile.rows < FRAGMENT * rows or profile.span_seconds < FRAGMENT * span else 1.0
    return Limits(
        distance=policy.distance * (few + many) * slack,
        reach=REACH * (few + many) * slack,
        nulls=policy.nulls * slack,
        stuck=policy.stuck * slack,
        unseen=policy.unseen * slack,
    )
