"""The definition of one model: what it reads, what it predicts, and by which rules it lives. One Python file each.

An invalid definition cannot exist: every part is checked when it is made, and the error names field, value and what
is allowed.
"""

import hashlib
import inspect
import json
import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from andon import notebook
from andon.places import STAMPED, Delivery, Labels, Lookup, Source, Table
from andon.plain_values import plain
from andon.schemas import check_log, check_lookup, check_moment, check_table, looked_up_schema, typed_columns
from andon.training_checks import check_deadline, check_training
from modelling.spec import Features, Retrain, Search, Spec, Task, Training, metric_of
from validation.behaviour import check_columns
from validation.contract import Quarantine, check_limits
from validation.definition import check_contract
from validation.errors import DefinitionError
from validation.fields import check_types
from validation.gate import Gate
from validation.governor import Governor
from validation.rollout import Rollout
from validation.rules import schema_of
from validation.serving import Serving
from validation.suspicion import Suspicion
from validation.watch.drift import Drift
from validation.watch.performance import Monitor

if TYPE_CHECKING:
    from modelling.evaluation import Evaluation
    from modelling.model import Model
    from modelling.recipes import Recipe

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = {"prediction", "prediction_id", "version", "logged_at"}  # the prediction log's own columns
_INPUT_DTYPES = (pl.Boolean, pl.String, pl.Categorical, pl.Enum)


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
    description: str = ""
    lookups: tuple[Lookup, ...] = ()
    quarantine: Quarantine = field(default_factory=Quarantine)
    suspicion: Suspicion = field(default_factory=Suspicion)
    monitor: Monitor = field(default_factory=Monitor)
    retrain: Retrain = field(default_factory=Retrain)
    training: Training = field(default_factory=Training)
    search: Search = field(default_factory=Search)
    gate: Gate = field(default_factory=Gate)
    drift: Drift = field(default_factory=Drift)
    governor: Governor = field(default_factory=Governor)
    delivery: Delivery = field(default_factory=Delivery)
    serving: Serving = field(default_factory=Serving)
    rollout: Rollout = field(default_factory=Rollout)

    def __post_init__(self) -> None:
        try:
            self._check_names()
            self._check_contract()
            self._check_features()
        except DefinitionError as error:
            raise DefinitionError(f"pipeline {self.name!r}: {error}") from error.__cause__

    def _check_names(self) -> None:
        check_types(self, part="")
        if not _NAME.fullmatch(self.name):
            raise DefinitionError("name must be lower-case letters, digits and _, at most 40, starting with a letter")
        object.__setattr__(self, "metric", metric_of(self.task, self.metric))

    def _check_contract(self) -> None:
        check_contract(self.contract)
        for table in self.tables:
            check_table(table)
        columns = self.source_schema
        for name, field_name in ((self.source.time, "source.time"), *((key, "source.key") for key in self.source.key)):
            if name not in columns:
                raise DefinitionError(
                    f"{field_name} must be a column of the contract ({', '.join(columns)}), got {name!r}"
                )
        check_moment(columns, self.source.time, field="source.time")
        if self.labels.path == self.source.path:
            raise DefinitionError(f"labels.path must be another one than source.path, both are {self.source.path!r}")
        brought = dict.fromkeys(columns, "the contract")
        for lookup in self.lookups:
            check_lookup(lookup, columns, brought)
        if self.labels.target in self.raw_schema:
            raise DefinitionError(
                f"labels.target {self.labels.target!r} must not be a contract's column: it would leak"
            )
        columns = self.raw_schema
        if taken := [name for name in columns if name in _RESERVED or name.startswith("_")]:
            raise DefinitionError(f"contract: {', '.join(taken)}: Andon's own columns have such names; rename them")
        check_limits(self.quarantine, self.contract, key=self.source.key, time=self.source.time)
        check_log(self.serving, self.raw_schema, kept=(*self.source.key, self.source.time))
        if taken := [name for name in (*self.source.key, self.source.time) if name in STAMPED and self._delivers]:
            raise DefinitionError(
                f"{taken[0]!r} is what a delivered row says of its origin; rename the key or time column"
            )

    @property
    def _delivers(self) -> bool:
        return any((self.delivery.files, self.delivery.table, self.delivery.database))

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
        if self.gate.by == "auc" and self.task != "binary":
            raise DefinitionError(f'gate.by = "auc" needs a binary task, this one is {self.task}; leave it "loss"')
        check_training(self.training, task=self.task, metric=self.metric, raw=self.raw_schema, inputs=self.inputs)
        check_deadline(self.training, self.search)
        check_columns(self.gate.checks, self.raw_schema, task=self.task)
        for name in self.gate.slices:
            if name not in self.raw_schema:
                raise DefinitionError(
                    f"gate.slices must be columns of the contract ({', '.join(self.raw_schema)}), got {name!r}"
                )

    @cached_property
    def source_schema(self) -> dict[str, pl.DataType]:
        """Column names and Polars dtypes that the contract asks for, in its order: what a batch file holds."""
        return typed_columns(self.contract, field="contract")

    @cached_property
    def raw_schema(self) -> dict[str, pl.DataType]:
        """The contract's columns and those that are looked up: all that `features`, and a request, can see."""
        looked_up = {name: dtype for lookup in self.lookups for name, dtype in looked_up_schema(lookup).items()}
        return {**self.source_schema, **looked_up}

    @property
    def tables(self) -> tuple[Table, ...]:
        """The reference tables that the lookups ask, each once."""
        return tuple({lookup.table.name: lookup.table for lookup in self.lookups}.values())

    @cached_property
    def inputs(self) -> dict[str, pl.DataType]:
        """The model's inputs: what `features` makes of the raw columns, without key and time."""
        empty = pl.LazyFrame(schema=self.raw_schema)
        try:
            made = self.features(empty)
            schema = made.collect_schema()
        except Exception as cause:  # whatever user code raises becomes the author's error
            raise DefinitionError(f"features fails on an empty frame of the contract's columns: {cause}") from cause
        if not isinstance(made, pl.LazyFrame):
            raise DefinitionError(
                f"features must return a LazyFrame, got a {type(made).__name__}; leave out .collect()"
            )
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
            training=self.training,
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
        contracts = [self.contract, *(table.contract for table in self.tables)]
        rules = [
            f"{column!r} {column.checks} {column.unique} {column.nullable}"
            for contract in contracts
            for column in schema_of(contract).columns.values()
        ]
        schemas = [repr(schema_of(contract)) for contract in contracts]
        text = json.dumps([self.to_dict(), schemas, rules, plan, self.module_source], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The definition as JSON values: durations in seconds, functions and classes by name."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}

    def to_json(self) -> str:
        """The definition as indented JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def snapshot(self, as_of: datetime | str | None = None) -> pl.DataFrame:
        """The rows that a retrain would learn from (at `as_of`; now), with the target; RefusedError for none."""
        return notebook.snapshot(self, as_of)

    def champion(self) -> notebook.Standing | None:
        """What serves now; None while nothing does, RegistryError for one that cannot be loaded."""
        return notebook.champion(self)

    def fit(
        self,
        rows: pl.DataFrame,
        *,
        champion: notebook.Standing | None = None,
        recipe: "Recipe | None" = None,
        search: notebook.When = "if needed",
    ) -> "Model":
        """A challenger of `champion`, as the flow makes one of such a snapshot's `rows`: the newest are held out."""
        return notebook.fit(self, rows, champion=champion, recipe=recipe, search=search)

    def evaluate(
        self, model: "Model", rows: pl.DataFrame, *, against: "Model | notebook.Standing | None" = None
    ) -> "Evaluation":
        """How `model` does on those of `rows` that neither it nor the one `against` which it is held has seen."""
        return notebook.evaluate(self, model, rows, against=against)
