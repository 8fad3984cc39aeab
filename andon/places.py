"""The places of a pipeline: where batches and labels land, and where predictions are delivered; all below the lake."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from validation.contract import MAX_AHEAD
from validation.durations import duration
from validation.errors import DefinitionError
from validation.fields import check_types


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where batches land: a glob below the lake (`path`), the event-time column and the column(s) of the row key.

    `max_age`: a batch whose newest row is older than this (data time) is refused as stale; None checks nothing.
    `max_ahead`: rows (and labels' `known_at`) that lie further ahead of the data time than this are set aside.
    """

    path: str
    time: str
    key: str | tuple[str, ...]
    max_age: str | timedelta | None = None
    max_ahead: str | timedelta = MAX_AHEAD

    def __post_init__(self) -> None:
        check_types(self, part="source")
        if not isinstance(self.key, str | tuple | list):
            raise DefinitionError(f"source.key must name a column, or several in a tuple, got {self.key!r}")
        object.__setattr__(self, "key", (self.key,) if isinstance(self.key, str) else tuple(self.key))
        _check_glob(self.path, field="source.path")
        if not self.key or not self.time:
            raise DefinitionError("source.key and source.time must name columns, got nothing")
        if self.max_age is not None:
            object.__setattr__(self, "max_age", duration(self.max_age, field="source.max_age"))
        object.__setattr__(self, "max_ahead", duration(self.max_ahead, field="source.max_ahead"))


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
class Delivery:
    """Where predictions go: a folder of Parquet files and/or a Delta table, both below the lake; None delivers none."""

    files: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        check_types(self, part="delivery")
        for name, place in (("files", self.files), ("table", self.table)):
            if place is not None:
                _check_place(place, field=f"delivery.{name}")


def _check_place(path: str, *, field: str) -> None:
    if path in ("", ".") or path.startswith("/") or ".." in Path(path).parts or "://" in path:
        raise DefinitionError(f"{field} must be a folder below the lake like 'scores/flights', got {path!r}")


def _check_glob(path: str, *, field: str) -> None:
    if not path or path.startswith("/") or ".." in Path(path).parts:
        raise DefinitionError(f"{field} must be a glob below the lake like 'landing/flights/*.parquet', got {path!r}")
    if "://" in path:
        raise DefinitionError(f"{field}: only local folders are read so far, s3:// and others not yet; got {path!r}")
