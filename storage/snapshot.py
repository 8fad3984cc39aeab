"""The rows that a model may learn from: accepted batches, mature, with labels as they were known at a moment.

A snapshot is a filter on batch numbers and moments, never on a table's version: vacuum and compaction do not change
it, and the same question asked later gives the same rows in the same order, unless labels came in since that were known
by then. In that case the snapshot has another `id`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

_BATCH = "_batch"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """Which columns tie rows and labels together, and when a label can be trusted (see `andon.Labels`)."""

    time: str
    key: Sequence[str]
    target: str
    known_at: str
    matures_after: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`rows`: the contract's columns and the target, sorted by time and key.

    `unlabelled`: event times of the mature rows that have no label. `missing`: how many of them have none after the
    grace either. `until`: no row of this event time or later is in `rows`. `id` is the same for the same rows with the
    same labels, and for nothing else.
    """

    rows: pl.DataFrame
    unlabelled: pl.Series
    missing: int
    until: datetime
    id: str

    def coverage(self, *, since: datetime) -> float:
        """Labelled share of the mature rows from `since` on, in [0, 1]; nan when there are none.

        Of these alone: when labels stop coming, a year of good ones must not hide it.
        """
        labelled = int((self.rows[self.unlabelled.name] >= since).sum())
        mature = labelled + int((self.unlabelled >= since).sum())
        return labelled / mature if mature else float("nan")


def training_rows(
    curated: pl.LazyFrame, labels: pl.LazyFrame | None, *, rules: LabelRules, as_of: datetime, up_to_batch: int
) -> Snapshot:
    """The mature rows of the batches up to `up_to_batch` whose label was known at `as_of`.

    A row is mature `matures_after` its event time, not before, even if its label has come: early labels are a biased
    sample. Unlabelled rows are left out; those beyond the grace count as missing. Of several labels of a key the one
    that became known last holds.
    """
    mature = curated.filter(pl.col(_BATCH) <= up_to_batch, pl.col(rules.time) + rules.matures_after <= _moment(as_of))
    joined = _with_labels(mature, labels, rules, as_of).collect()
    labelled = joined.filter(pl.col(rules.target).is_not_null()).sort(rules.time, *rules.key)
    unlabelled = joined.filter(pl.col(rules.target).is_null())[rules.time]
    newest = labelled[rules.time].last() if labelled.height else None
    return Snapshot(
        rows=labelled.drop(_BATCH),
        unlabelled=unlabelled,
        missing=int((unlabelled < as_of - rules.matures_after - rules.grace).sum()),
        until=newest + _TICK if isinstance(newest, datetime) else as_of - rules.matures_after,
        id=_digest(labelled.select(*dict.fromkeys((_BATCH, rules.time, *rules.key, rules.target)))),
    )


def known_labels(labels: pl.LazyFrame, *, rules: LabelRules, as_of: datetime) -> pl.LazyFrame:
    """Key and target of each label that was known at `as_of`; of several of a key the newest, ties by batch."""
    return (
        labels.filter(pl.col(rules.known_at) <= _moment(as_of), pl.col(rules.target).is_not_null())
        .sort(rules.known_at, _BATCH, rules.target)
        .unique(list(rules.key), keep="last", maintain_order=True)
        .select(*rules.key, rules.target)
    )


def _with_labels(rows: pl.LazyFrame, labels: pl.LazyFrame | None, rules: LabelRules, as_of: datetime) -> pl.LazyFrame:
    if labels is None:
        return rows.with_columns(pl.lit(None).alias(rules.target))
    return rows.join(known_labels(labels, rules=rules, as_of=as_of), on=list(rules.key), how="left", nulls_equal=True)


def _moment(moment: datetime) -> pl.Expr:
    return pl.lit(moment, dtype=pl.Datetime("us", "UTC"))


def _digest(rows: pl.DataFrame) -> str:
    """NOTE: accepted rows never change, so key and batch stand for all their columns. CSV, since its bytes depend on
    the values only, not on how Arrow chunks them.
    """
    return hashlib.sha256(rows.write_csv(include_header=True).encode()).hexdigest()
