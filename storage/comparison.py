"""What differs between two snapshots: rows that came and went, values that were corrected, labels that changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from storage.snapshot import Snapshot

SHOWN = 20  # batches, columns and values that are named; the rest is counted
_EXAMPLE_ROWS = 5
_LONGEST = 60
_AFTER = "_"  # no column of a contract begins with it

Span = tuple[datetime, datetime] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChange:
    """How many rows of a batch were in the one snapshot, and how many are in the other."""

    batch: int
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A value of one row that is another one now."""

    key: tuple[str, ...]
    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From one snapshot to another, by key.

    `corrected`: rows with another value than before, other than the target's, those are `relabelled`; `columns`: in how
    many rows each column's value is another one, most first. `columns_added`, `_removed`, `_retyped` are not compared.
    `batches`: those whose number of rows is another one. Of batches, columns and values the first 20 are named;
    `more_batches` and `more_columns` count the others. `span`s: event time of the first and the last row.
    """

    rows_before: int
    rows_after: int
    span_before: Span
    span_after: Span
    added: int
    removed: int
    corrected: int
    relabelled: int
    columns: Mapping[str, int]
    more_columns: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_retyped: tuple[str, ...]
    batches: tuple[BatchChange, ...]
    more_batches: int
    examples: tuple[Correction, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same rows with the same values."""
        changes = (self.added, self.removed, self.corrected, self.relabelled)
        return not any((*changes, self.columns_added, self.columns_removed, self.columns_retyped))


def compare(before: Snapshot, after: Snapshot, *, key: Sequence[str], time: str, target: str) -> Difference:
    """What one has to change in `before` to get `after`; both of one pipeline, each key once."""
    old, new = before.rows, after.rows
    common = [name for name in old.columns if old.schema[name] == new.schema.get(name) and name not in key]
    pairs = _pairs(old, new, key=key, columns=common)
    changed = {name: pl.col(name).ne_missing(pl.col(_AFTER + name)) for name in common}
    counts = _counts(pairs, changed, target=target)
    columns = sorted(
        ((name, counts[name]) for name in common if name != target and counts[name]),
        key=lambda item: (-item[1], item[0]),
    )
    batches = _batches(before.batch, after.batch)
    return Difference(
        rows_before=old.height,
        rows_after=new.height,
        span_before=_span(old[time]),
        span_after=_span(new[time]),
        added=new.height - pairs.height,
        removed=old.height - pairs.height,
        corrected=counts["_corrected"],
        relabelled=counts.get(target, 0),
        columns=dict(columns[:SHOWN]),
        more_columns=len(columns[SHOWN:]),
        columns_added=tuple(name for name in new.columns if name not in old.columns),
        columns_removed=tuple(name for name in old.columns if name not in new.columns),
        columns_retyped=tuple(
            name for name in old.columns if new.schema.get(name, old.schema[name]) != old.schema[name]
        ),
        batches=batches[:SHOWN],
        more_batches=len(batches[SHOWN:]),
        examples=_examples(pairs, changed, key=key),
    )


def _pairs(old: pl.DataFrame, new: pl.DataFrame, *, key: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
    """The rows of keys that are in both, in the order of `old`; what `new` says of each stands behind an underscore."""
    after = new.lazy().select(*key, *(pl.col(name).alias(_AFTER + name) for name in columns))
    wanted = old.lazy().select(*key, *columns)
    return wanted.join(after, on=list(key), how="inner", nulls_equal=True, maintain_order="left").collect()


def _counts(pairs: pl.DataFrame, changed: Mapping[str, pl.Expr], *, target: str) -> dict[str, int]:
    """In how many pairs each column differs; `_corrected`: in how many any but the target."""
    values = [expression for name, expression in changed.items() if name != target]
    corrected = pl.any_horizontal(values).sum() if values else pl.lit(0)
    each = (expression.sum().alias(name) for name, expression in changed.items())
    return pairs.select(corrected.alias("_corrected"), *each).row(0, named=True)


def _batches(before: pl.Series, after: pl.Series) -> tuple[BatchChange, ...]:
    counted = [dict(batch.value_counts().rows()) for batch in (before, after)]
    numbers = sorted({number for counts in counted for number in counts})
    found = (BatchChange(batch=n, before=counted[0].get(n, 0), after=counted[1].get(n, 0)) for n in numbers)
    return tuple(change for change in found if change.before != change.after)


def _examples(pairs: pl.DataFrame, changed: Mapping[str, pl.Expr], *, key: Sequence[str]) -> tuple[Correction, ...]:
    if not changed:
        return ()
    found = pairs.filter(pl.any_horizontal(list(changed.values()))).head(_EXAMPLE_ROWS)
    differs = found.select(expression.alias(name) for name, expression in changed.items())
    corrections = (
        Correction(
            key=tuple(_shown(row[name]) for name in key),
            column=name,
            before=_shown(row[name]),
            after=_shown(row[_AFTER + name]),
        )
        for row, is_other in zip(found.iter_rows(named=True), differs.iter_rows(named=True), strict=True)
        for name in changed
        if is_other[name]
    )
    return tuple(corrections)[:SHOWN]


def _span(moments: pl.Series) -> Span:
    return (moments[0], moments[-1]) if moments.len() else None


def _shown(value: Any) -> str:
    text = value.isoformat() if isinstance(value, datetime) else "null" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
