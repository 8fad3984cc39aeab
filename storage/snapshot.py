"""The rows that a model may learn from: accepted batches, mature, with labels, as they were known at a moment.

A snapshot is a filter on batch numbers and moments, never on a table's version: vacuum and compaction do not change
it. What Andon took in later is not in it, a backfill, a correction or a late label neither: the same question asked
later gives the same rows in the same order, for ever.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from storage.digest import column_digests, frame_digest
from storage.tables import newest

ROWS, LABELS = "rows", "labels"
_BATCH, _KNOWN_AT = "_batch", "_known_at"
_TICK = timedelta(microseconds=1)
_MOMENT = pl.Datetime("us", "UTC")

LookUp = Callable[[pl.LazyFrame], pl.LazyFrame]


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
class Question:
    """What a snapshot is asked for.

    By `as_of` rows must be mature and labels known; by `as_known_at` Andon must have taken both in. `batches`: by kind
    ("rows", "labels", reference tables) the accepted batches that count. `definition`: the pipeline's fingerprint.
    """

    as_of: datetime
    as_known_at: datetime
    batches: Mapping[str, tuple[int, ...]]
    definition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """`rows`: the contract's columns, what was looked up and the target, sorted by time and key; `batch`: the number
    of the batch that brought each of them.

    `unlabelled`: event times of the mature rows that have no label. `missing`: how many of them have none after the
    grace either. `until`: no row of this event time or later is in `rows`. `columns`: the digest of each column.
    """

    question: Question
    rows: pl.DataFrame
    batch: pl.Series
    unlabelled: pl.Series
    missing: int
    until: datetime
    columns: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The same for the same rows with the same labels, and for nothing else (see storage/digest.py)."""
        return frame_digest(self.rows.height, self.columns)

    @property
    def id(self) -> str:
        """Of the digest and the definition: the same rows under another definition are another training set."""
        return hashlib.sha256(f"{self.digest}{self.question.definition}".encode()).hexdigest()

    def coverage(self, *, since: datetime) -> float:
        """Labelled share of the mature rows from `since` on, in [0, 1]; nan when there are none.

        Of these alone: when labels stop coming, a year of good ones must not hide it.
        """
        labelled = int((self.rows[self.unlabelled.name] >= since).sum())
        mature = labelled + int((self.unlabelled >= since).sum())
        return labelled / mature if mature else float("nan")


def training_rows(
    curated: pl.LazyFrame,
    labels: pl.LazyFrame | None,
    *,
    rules: LabelRules,
    question: Question,
    look_up: LookUp | None = None,
) -> Snapshot:
    """The mature rows of the question's batches whose label was known; of several versions of a row the newest.

    A row is mature `matures_after` its event time, not before, even if its label has come: early labels are a biased
    sample. Unlabelled rows are left out; those beyond the grace count as missing. Of several labels of a key the one
    that became known last holds. `look_up` is given the labelled rows with `_known_at` and adds columns to them.
    """
    accepted = question.batches.get(ROWS, ())
    known = newest(curated, key=rules.key, accepted=accepted, as_known_at=question.as_known_at)
    mature = known.filter(pl.col(rules.time) <= _moment(question.as_of - rules.matures_after))
    joined = _with_labels(mature, labels, rules, question).sort(rules.time, *rules.key).collect(engine="streaming")
    has_label = pl.col(rules.target).is_not_null()
    unlabelled, labelled = joined.filter(~has_label)[rules.time], joined.filter(has_label)
    told = look_up(labelled.lazy()).collect() if look_up else labelled
    rows = told.drop(_BATCH, _KNOWN_AT, rules.target).with_columns(told[rules.target])
    last = rows[rules.time].last() if rows.height else None
    return Snapshot(
        question=question,
        rows=rows,
        batch=told[_BATCH],
        unlabelled=unlabelled,
        missing=int((unlabelled < question.as_of - rules.matures_after - rules.grace).sum()),
        until=last + _TICK if isinstance(last, datetime) else question.as_of - rules.matures_after,
        columns=column_digests(rows),
    )


def known_labels(
    labels: pl.LazyFrame, *, rules: LabelRules, as_of: datetime, question: Question | None = None
) -> pl.LazyFrame:
    """Key and target of each label that was known at `as_of` (with a question: and was taken in by its moment, by its
    batches); of several of a key the one known last, ties by batch.
    """
    taken_in = labels if question is None else _taken_in(labels, LABELS, question)
    return (
        taken_in.filter(pl.col(rules.known_at) <= _moment(as_of), pl.col(rules.target).is_not_null())
        .sort(rules.known_at, _BATCH, rules.target)
        .unique(list(rules.key), keep="last", maintain_order=True)
        .select(*rules.key, rules.target)
    )


def _with_labels(
    rows: pl.LazyFrame, labels: pl.LazyFrame | None, rules: LabelRules, question: Question
) -> pl.LazyFrame:
    if labels is None:
        return rows.with_columns(pl.lit(None).alias(rules.target))
    known = known_labels(labels, rules=rules, as_of=question.as_of, question=question)
    return rows.join(known, on=list(rules.key), how="left", nulls_equal=True)


def _taken_in(rows: pl.LazyFrame, kind: str, question: Question) -> pl.LazyFrame:
    accepted = question.batches.get(kind, ())
    return rows.filter(pl.col(_BATCH).is_in(accepted), pl.col(_KNOWN_AT) <= _moment(question.as_known_at))


def _moment(moment: datetime) -> pl.Expr:
    return pl.lit(moment, dtype=_MOMENT)
