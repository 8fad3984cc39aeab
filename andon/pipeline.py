"""The definition of one model: what it reads, what it predicts, and by which rules it lives. One Python file each.

An invalid definition cannot exist: every part is checked when it is made, and the error names field, value and what
is allowed.
"""

import hashlib
import inspect
import json
import re
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from modelling.spec import METRICS, Features, Retrain, Search, Spec, Task
from validation.contract import MAX_AHEAD, Quarantine, check_limits
from validation.drift import Drift
from validation.durations import duration
from validation.errors import DefinitionError
from validation.gate import Gate
from validation.governor import Governor
from validation.performance import Monitor
from validation.rules import schema_of

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = {"prediction", "prediction_id", "version", "logged_at"}  # the prediction log's own columns
_INPUT_DTYPES = (pl.Boolean, pl.String, pl.Categorical, pl.Enum)


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
        _check_glob(self.path, field="labels.path")
        object.__setattr__(self, "matures_after", duration(self.matures_after, field="labels.matures_after"))
        object.__setattr__(self, "grace", duration(self.grace, field="labels.grace"))
        if not 0 <= self.min_coverage <= 1:
            raise DefinitionError(f"labels.min_coverage must be a share in [0, 1], got {self.min_coverage}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where predictions go: a folder of Parquet files and/or a Delta table, both below the lake; None delivers none."""

    files: str | None = None
    table: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One model, from its data to its consumers. `contract` is a pandera.polars DataFrameModel or DataFrameSchema."""

    name: str
    source: Source
    labels: Labels
    contract: Any
    features: Features
    task: Task
    metric: str = ""
    owner: str = ""
    quarantine: Quarantine = field(default_factory=Quarantine)
    monitor: Monitor = field(default_factory=Monitor)
    retrain: Retrain = field(default_factory=Retrain)
    search: Search = field(default_factory=Search)
    gate: Gate = field(default_factory=Gate)
    drift: Drift = field(default_factory=Drift)
    governor: Governor = field(default_factory=Governor)
    delivery: Delivery = field(default_factory=Delivery)

    def __post_init__(self) -> None:
        try:
            self._check_names()
            self._check_contract()
            self._check_features()
        except DefinitionError as error:
            raise DefinitionError(f"pipeline {self.name!r}: {error}") from error.__cause__

    def _check_names(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DefinitionError("name must be lower-case letters, digits and _, at most 40, starting with a letter")
        if self.task not in METRICS:
            raise DefinitionError(f"task must be one of {', '.join(METRICS)}, got {self.task!r}")
        allowed = METRICS[self.task]
        if not self.metric:
            object.__setattr__(self, "metric", allowed[0])
        if self.metric not in allowed:
            raise DefinitionError(
                f"metric of a {self.task} task must be one of {', '.join(allowed)}, got {self.metric!r}"
            )

    def _check_contract(self) -> None:
        columns = self.raw_schema
        for name, field_name in ((self.source.time, "source.time"), *((key, "source.key") for key in self.source.key)):
            if name not in columns:
                raise DefinitionError(
                    f"{field_name} must be a column of the contract ({', '.join(columns)}), got {name!r}"
                )
        if columns[self.source.time] != pl.Datetime("us", "UTC"):
            raise DefinitionError(
                f"source.time must be Datetime('us', 'UTC'), {self.source.time!r} is {columns[self.source.time]}; "
                f"write {self.source.time}: Annotated[pl.Datetime, 'us', 'UTC'] and convert local time upstream"
            )
        if self.labels.target in columns:
            raise DefinitionError(
                f"labels.target {self.labels.target!r} must not be a contract's column: it would leak"
            )
        if taken := [name for name in columns if name in _RESERVED or name.startswith("_")]:
            raise DefinitionError(f"contract: {', '.join(taken)}: Andon's own columns have such names; rename them")
        check_limits(self.quarantine, self.contract, key=self.source.key, time=self.source.time)

    def _check_features(self) -> None:
        for name, dtype in self.inputs.items():
            if not (dtype.is_numeric() or isinstance(dtype, _INPUT_DTYPES)):
                raise DefinitionError(
                    f"features returns {name!r} as {dtype}; a model takes numbers, booleans and strings: "
                    "convert or drop it"
                )
        for name, why in ((self.labels.target, "the target: it would leak"), ("prediction", "the prediction's name")):
            if name in self.inputs:
                raise DefinitionError(f"features returns {name!r}, {why}; drop or rename it")
        for name in self.gate.slices:
            if name not in self.raw_schema:
                raise DefinitionError(
                    f"gate.slices must be columns of the contract ({', '.join(self.raw_schema)}), got {name!r}"
                )

    @cached_property
    def raw_schema(self) -> dict[str, pl.DataType]:
        """Column names and Polars dtypes that the contract asks for, in its order."""
        try:
            return dict(pl.Schema({name: col.dtype.type for name, col in schema_of(self.contract).columns.items()}))
        except AttributeError as cause:
            raise DefinitionError(
                "contract must be a pandera.polars DataFrameModel or DataFrameSchema with typed columns, "
                f"got {self.contract!r}"
            ) from cause

    @cached_property
    def inputs(self) -> dict[str, pl.DataType]:
        """The model's inputs: what `features` makes of the raw columns, without key and time."""
        empty = pl.LazyFrame(schema=self.raw_schema)
        try:
            schema = self.features(empty).collect_schema()
        except Exception as cause:  # whatever user code raises becomes the author's error
            raise DefinitionError(f"features fails on an empty frame of the contract's columns: {cause}") from cause
        found = {name: dtype for name, dtype in schema.items() if name not in (*self.source.key, self.source.time)}
        if not found:
            raise DefinitionError("features must return at least one column besides key and time")
        return found

    @cached_property
    def spec(self) -> Spec:
        """What the machine learning needs to know."""
        return Spec(
            features=self.features,
            raw_schema=self.raw_schema,
            key=tuple(self.source.key),
            time=self.source.time,
            target=self.labels.target,
            task=self.task,
            metric=self.metric,
        )

    @cached_property
    def module_source(self) -> str:
        """The text of the file that defines `features`; a model's bundle carries it."""
        path = inspect.getsourcefile(self.features)
        if path is None:
            raise DefinitionError(f"pipeline {self.name!r}: features must be defined in a file, to be bundled with it")
        return Path(path).read_text(encoding="utf-8")

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over definition, contract's rules, the plan of `features` on an empty frame, and module's source."""
        plan = self.features(pl.LazyFrame(schema=self.raw_schema)).explain(optimized=False)
        schema = schema_of(self.contract)
        rules = [f"{column!r} {column.checks} {column.unique} {column.nullable}" for column in schema.columns.values()]
        text = json.dumps([self.to_dict(), repr(schema), rules, plan, self.module_source], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The definition as JSON values: durations in seconds, functions and classes by name."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    def to_json(self) -> str:
        """The definition as indented JSON."""
        return json.dumps(self.to_dict(), indent=2)


def _check_glob(path: str, *, field: str) -> None:
    if not path or path.startswith("/") or ".." in Path(path).parts:
        raise DefinitionError(f"{field} must be a glob below the lake like 'landing/flights/*.parquet', got {path!r}")
    if "://" in path:
        raise DefinitionError(f"{field}: only local folders are read so far, s3:// and others not yet; got {path!r}")


def _plain(value: Any) -> Any:
    plain: Any = value if value is None or isinstance(value, str | int | float) else repr(value)
    if isinstance(value, timedelta):
        plain = value.total_seconds()
    elif isinstance(value, tuple | list):
        plain = [_plain(item) for item in value]
    elif isinstance(value, dict):
        plain = {key: _plain(item) for key, item in value.items()}
    elif callable(value):
        plain = getattr(value, "__qualname__", repr(value))
    elif hasattr(value, "__dataclass_fields__"):
        plain = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return plain
