"""A history as it would have arrived: weekly files of rows, with them what they look up, and the labels one step later,
as they became known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from andon import Lookup
from storage.lake import write_whole
from storage.lookup import look_up

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week from Monday 00:00 UTC, named like "2013-W05": `batch` holds its rows, `labels` what became known between
    the start of the week before and its own; None for the first. `tables`: of each reference table by name, what became
    known in the course of the week; the first has what was known before as well.
    """

    label: str
    starts_at: datetime
    batch: Path
    labels: Path | None
    tables: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All weeks that have rows, in order. The last one ends at `ends_at`; `closing_labels` became known after it had
    begun.
    """

    weeks: tuple[Week, ...]
    closing_labels: Path
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A reference table: its rows, and for each when it became known; `folder` is to hold its weekly files."""

    rows: pl.DataFrame
    known_at: pl.Expr
    folder: Path


def write_weeks(
    rows: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    key: str,
    time: str,
    batches: Path,
    arrivals: Path,
    tables: Mapping[str, Reference] | None = None,
) -> Replay:
    """Write `rows` by their `time`, `labels` by their `known_at`, and `tables` by name, as their rows became known; the
    same input gives the same bytes.
    """
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
                tables=_written(tables or {}, file, since=start if weeks else None, until=start + _WEEK),
            )
        )
    last, ends_at = weeks[-1].starts_at, weeks[-1].starts_at + _WEEK
    closing = _known(labels, since=last, until=None)
    path = write_whole(arrivals / f"{_label(ends_at)}.parquet", closing.write_parquet)
    return Replay(weeks=tuple(weeks), closing_labels=path, ends_at=ends_at)


def asked(replay: Replay, number: int, lookups: Sequence[Lookup]) -> pl.DataFrame:
    """The rows of a week as an application asks for them: with what had become known of what they look up."""
    week, so_far = replay.weeks[number], replay.weeks[: number + 1]
    rows = pl.scan_parquet(week.batch)
    for lookup in lookups:
        files = [one.tables[lookup.table.name] for one in so_far if lookup.table.name in one.tables]
        came = {"_batch": pl.lit(0), "_known_at": pl.lit(week.starts_at, pl.Datetime("us", "UTC"))}
        table = pl.scan_parquet(files).with_columns(**came) if files else None
        rows = look_up(rows, table, lookup, as_known_at=week.starts_at)
    return rows.collect()


def _label(start: datetime) -> str:
    return f"{start:%G-W%V}"


def _known(labels: pl.DataFrame, *, since: datetime, until: datetime | None) -> pl.DataFrame:
    known_at = pl.col("known_at")
    return labels.filter(known_at >= since, known_at < until if until else pl.lit(value=True))


def _written(tables: Mapping[str, Reference], file: str, *, since: datetime | None, until: datetime) -> dict[str, Path]:
    """The week's file of each table, without those that nothing was added to."""
    found: dict[str, Path] = {}
    for name, table in tables.items():
        after = table.known_at >= since if since else pl.lit(value=True)
        part = table.rows.filter(after, table.known_at < until)
        if part.height:
            found[name] = write_whole(table.folder / file, part.write_parquet)
    return found
