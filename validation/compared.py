"""A column of a batch beside the same column of the batches before, and how far it may be from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from validation.batch_profile import BatchProfile, ColumnProfile
from validation.likeness import Distance, NumberPast, TextPast, number_past, text_past


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far is too far. `distance`: a multiple of what is usual; `reach`: by how much of the way from its median to
    its highest a share must leave its range; `nulls`, `stuck`, `unseen`: the least rise of such a share.
    """

    distance: float
    reach: float
    nulls: float
    stuck: float
    unseen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NullShare:
    """The share of nulls of a column, now (of so many rows) and in the batches before, oldest first."""

    name: str
    rows: int
    now: float
    then: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column of the batch, and of the batches before in which enough of it was seen, oldest first."""

    now: ColumnProfile
    then: tuple[ColumnProfile, ...]
    past: NumberPast | TextPast
    distance: Distance

    @property
    def name(self) -> str:
        """The column's name."""
        return self.now.name


def null_shares(profile: BatchProfile, before: Sequence[BatchProfile], *, ignore: Iterable[str]) -> list[NullShare]:
    """Of all columns of the batch but these."""
    then: dict[str, list[float]] = {}
    for batch in before:
        for column in batch.columns:
            then.setdefault(column.name, []).append(column.nulls / batch.rows)
    return [
        NullShare(
            name=column.name,
            rows=profile.rows,
            now=column.nulls / profile.rows,
            then=tuple(then.get(column.name, ())),
        )
        for column in profile.columns
        if column.name not in set(ignore)
    ]


def compare(
    profile: BatchProfile, before: Sequence[BatchProfile], *, ignore: Iterable[str], min_batches: int, min_seen: int
) -> list[Column]:
    """The columns of which at least `min_seen` values were seen, now and in at least `min_batches` batches before."""
    then: dict[tuple[str, str], list[ColumnProfile]] = {}
    for batch in before:
        for column in batch.columns:
            if column.seen >= min_seen:
                then.setdefault((column.name, column.kind), []).append(column)
    return [
        _compared(now, past)
        for now in profile.columns
        if now.seen >= min_seen
        and now.name not in set(ignore)
        and len(past := then.get((now.name, now.kind), [])) >= min_batches
    ]


def _compared(now: ColumnProfile, then: Sequence[ColumnProfile]) -> Column:
    past = text_past(then, seen=now.seen) if now.kind == "text" else number_past(then, seen=now.seen)
    return Column(now=now, then=tuple(then), past=past, distance=past.distance(now))
