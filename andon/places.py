"""The places of a pipeline: where batches, labels and reference tables land, and where predictions are delivered."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from validation.contract import MAX_AHEAD
from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types

OnRepeat = Literal["first", "last", "refuse"]

_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN_NAMES = ("rows", "labels")
# What each delivered row says of where it comes from (storage/publishing/stamp.py gives them their types).
STAMPED = (
    "prediction_id", "run_id", "pipeline", "partition", "sequence", "model_version", "epoch", "snapshot", "scored_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where batches land (`path`: a glob below the lake, or s3://bucket/...), the event-time column and the row's key.

    `on_repeat`: what counts when a later file brings a key again: the "first" row, the "last" one (kept as a further
    version, so that a snapshot of an earlier moment stays as it was), or none: "refuse" the file.
    `max_age`: a batch whose newest row is older than this (data time) is refused as stale; None checks nothing.
    `max_ahead`: rows (and labels' `known_at`) that lie further ahead of the data time than this are set aside.
    """

    path: str
    time: str
    key: str | tuple[str, ...]
    max_age: str | timedelta | None = None
    max_ahead: str | timedelta = MAX_AHEAD
    on_repeat: OnRepeat = "first"

    def __post_init__(self) -> None:
        check_types(self, part="source")
        object.__setattr__(self, "key", _columns(self.key, field="source.key"))
        _check_glob(self.path, field="source.path")
        if not self.key or not self.time:
            raise DefinitionError("source.key and source.time must name columns, got nothing")
        if self.max_age is not None:
            object.__setattr__(self, "max_age", duration(self.max_age, field="source.max_age"))
        object.__setattr__(self, "max_ahead", duration(self.max_ahead, field="source.max_ahead"))
        if self.on_repeat not in get_args(OnRepeat):
            raise DefinitionError(
                f"source.on_repeat must be one of {', '.join(get_args(OnRepeat))}, got {self.on_repeat!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Where labels land (files with the source's key, `target` and `known_at`) and when they can be trusted.

    A row is mature `matures_after` its event time. A label that has not come by then plus `grace` counts as missing;
    below `min_coverage` of labelled mature rows every verdict is "need evidence". `known_at` names the column that
    says when a label became known.
    """

    path: str
    target: str
    matures_after: str | timedelta = "1d"
    grace: str | timedelta = "7d"
    min_coverage: float = 0.8
    known_at: str = "known_at"

    def __post_init__(self) -> None:
        check_types(self, part="labels")
        _check_glob(self.path, field="labels.path")
        object.__setattr__(self, "matures_after", duration(self.matures_after, field="labels.matures_after"))
        object.__setattr__(self, "grace", duration(self.grace, field="labels.grace"))
        if self.known_at == self.target:
            raise DefinitionError(f"labels.known_at and labels.target must be two columns, both are {self.target!r}")
        if not 0 <= self.min_coverage <= 1:
            raise DefinitionError(f"labels.min_coverage must be a share in [0, 1], got {self.min_coverage}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A reference table, such as weather observations, fed from files of its own.

    `key`: the columns that say what a row is about, `time`: the moment it was observed; both together are its row key,
    of which a later file may bring a correction. A row is known from its column `known_at` on; without one, from
    `delay` after `time` on. `contract` as the pipeline's; `path` as the source's.
    """

    name: str
    path: str
    contract: Any
    key: str | tuple[str, ...]
    time: str
    known_at: str | None = None
    delay: str | timedelta = timedelta(0)

    def __post_init__(self) -> None:
        check_types(self, part="table")
        if not _TABLE_NAME.fullmatch(self.name) or self.name in _TAKEN_NAMES:
            raise DefinitionError(
                f"table.name must be lower-case letters, digits and _, and neither rows nor labels, got {self.name!r}"
            )
        object.__setattr__(self, "key", _columns(self.key, field="table.key"))
        object.__setattr__(self, "delay", duration(self.delay, field="table.delay", allow_zero=True))
        _check_glob(self.path, field="table.path")
        if not self.time or self.time in self.key:
            raise DefinitionError(f"table.time must name a column that is not in table.key, got {self.time!r}")
        if self.known_at is not None and self.delay:
            raise DefinitionError("table.delay must be left out where table.known_at says when a row became known")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What a row is told from a reference table: the newest row of the same `on` that was observed and known at
    `row[as_of] - before`; null when there is none, or it is older than `max_age`.

    `as_of`: the row's column with the moment of which it speaks; `columns`: what is taken over, all when empty. The
    same in training and in scoring: what Andon took in after the row itself is never looked up for it.
    """

    table: Table
    on: str | tuple[str, ...]
    as_of: str
    before: str | timedelta = timedelta(0)
    max_age: str | timedelta | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self, part="lookup")
        object.__setattr__(self, "on", _columns(self.on, field="lookup.on"))
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "before", duration(self.before, field="lookup.before", allow_zero=True))
        if self.max_age is not None:
            object.__setattr__(self, "max_age", duration(self.max_age, field="lookup.max_age"))
        if sorted(self.on) != sorted(self.table.key):
            raise DefinitionError(
                f"lookup.on must be the key of {self.table.name} ({', '.join(self.table.key)}), "
                f"got {', '.join(self.on)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where predictions go: a folder of Parquet files and a Delta table, both below the lake, and a table of the
    database that `ANDON_DELIVERY_DATABASE` names; None delivers none.
    """

    files: str | None = None
    table: str | None = None
    database: str | None = None

    def __post_init__(self) -> None:
        check_types(self, part="delivery")
        for name, place in (("files", self.files), ("table", self.table)):
            if place is not None:
                _check_place(place, field=f"delivery.{name}")
        if self.database is not None and not _TABLE_NAME.fullmatch(self.database):
            raise DefinitionError(
                f"delivery.database must be a table's name of lower-case letters, digits and _, got {self.database!r}"
            )


def _check_place(path: str, *, field: str) -> None:
    if path in ("", ".") or path.startswith("/") or ".." in Path(path).parts or "://" in path:
        raise DefinitionError(f"{field} must be a folder below the lake like 'scores/flights', got {path!r}")


def _columns(names: str | tuple[str, ...], *, field: str) -> tuple[str, ...]:
    if not isinstance(names, str | tuple | list):
        raise DefinitionError(f"{field} must name a column, or several in a tuple, got {names!r}")
    return (names,) if isinstance(names, str) else tuple(names)


def _check_glob(path: str, *, field: str) -> None:
    if not path or path.startswith("/") or ".." in Path(path).parts:
        raise DefinitionError(
            f"{field} must be a glob below the lake like 'landing/flights/*.parquet', or s3://bucket/..., got {path!r}"
        )
    if "://" in path and not path.startswith("s3://"):
        raise DefinitionError(f"{field}: folders below the lake and s3:// are read, others are not; got {path!r}")
