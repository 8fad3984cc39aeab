"""A history as it would have arrived: weekly files of rows, and the labels one step later, as they became known."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from storage.lake import write_whole

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week from Monday 00:00 UTC, named like "2013-W05": `batch` holds its rows, `labels` what became known between
    the start of the week before and its own; None for the first.
    """

    label: str
    starts_at: datetime
    batch: Path
    labels: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All weeks that have rows, in order. The last one ends at `ends_at`; `closing_labels` became known after it had
    begun.
    """

    weeks: tuple[Week, ...]
    closing_labels: Path
    ends_at: datetime


def write_weeks(
    rows: pl.DataFrame, labels: pl.DataFrame, *, key: str, time: str, batches: Path, arrivals: Path
) -> Replay:
    """Write `rows` by their `time`, and `labels` by their `known_at`; the same input gives the same bytes."""
    rows = rows.sort(time, key).with_columns(_week=pl.col(time).dt.truncate("1w"))
    parts = rows.partition_by("_week", as_dict=True, include_key=False, maintain_order=True)
    by_start = {start.astimezone(UTC): part for (start,), part in parts.items()}
    labels = labels.sort("known_at", key)
    weeks: list[Week] = []
    for start, part in by_start.items():
        file = f"{_label(start)}.parquet"
        before = _known(labels, since=weeks[-1].starts_at, until=start) if weeks else None
        weeks.append(
            Week(
                label=_label(start),
                starts_at=start,
                batch=write_whole(batches / file, part.write_parquet),
                labels=None if before is None else write_whole(arrivals / file, before.write_parquet),
            )
        )
    last, ends_at = weeks[-1].starts_at, weeks[-1].starts_at + _WEEK
    closing = _known(labels, since=last, until=None)
    path = write_whole(arrivals / f"{_label(ends_at)}.parquet", closing.write_parquet)
    return Replay(weeks=tuple(weeks), closing_labels=path, ends_at=ends_at)


def _label(start: datetime) -> str:
    return f"{start:%G-W%V}"


def _known(labels: pl.DataFrame, *, since: datetime, until: datetime | None) -> pl.DataFrame:
    known_at = pl.col("known_at")
    return labels.filter(known_at >= since, known_at < until if until else pl.lit(value=True))
