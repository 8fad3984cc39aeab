"""The three kinds of files that a pipeline takes in (labels, reference tables, rows): what each must keep, and where
it goes. Reads nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from andon.places import OnRepeat, Table
from andon.schemas import typed_columns
from registry.ledger import BatchKind
from storage.address import Address
from storage.quarantine import Quarantine
from tasks.site import Site
from validation.contract import Terms
from validation.durations import span
from validation.errors import DefinitionError
from validation.labels import label_contract

LABELS, ROWS = "labels", "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One kind of files of one pipeline. `key`: what makes a row in the table at `place` another one than before."""

    site: Site
    kind: BatchKind
    path: str
    terms: Terms
    schema: Mapping[str, pl.DataType]
    place: Address
    key: tuple[str, ...]
    time: str
    on_repeat: OnRepeat

    @property
    def quarantine(self) -> Quarantine:
        """Where this kind's bad rows and refused files are kept."""
        lake, name = self.site.lake, self.site.name
        staging = lake.root / "staged" / name / self.kind
        return Quarantine(folder=lake.quarantine(name, self.kind), staging=staging, objects=lake.objects)

    def subject(self, name: str) -> str:
        """How verdicts name a file; label files often have the names of the batches that they belong to."""
        return name if self.kind == ROWS else f"{self.kind} {name}"

    def marker(self, number: int) -> str:
        """The name under which the Delta table remembers a batch."""
        return f"{self.site.name}/{self.kind}/{number}"


def intakes(site: Site) -> tuple[Intake, ...]:
    """Labels first, since they belong to the past, then what rows look up, then rows."""
    return (_labels(site), *(_table(site, table) for table in site.pipeline.tables), _rows(site))


def intake_of(site: Site, kind: BatchKind) -> Intake:
    """One of them; DefinitionError when the pipeline has no such kind."""
    known = {intake.kind: intake for intake in intakes(site)}
    if kind not in known:
        raise DefinitionError(f"{site.name} takes in {', '.join(known)}, not {kind!r}; name one of these")
    return known[kind]


def _rows(site: Site) -> Intake:
    source, pipeline = site.pipeline.source, site.pipeline
    terms = Terms(
        contract=pipeline.contract,
        policy=pipeline.quarantine,
        key=pipeline.spec.key,
        time=source.time,
        max_age=None if source.max_age is None else span(source.max_age),
        max_ahead=span(source.max_ahead),
    )
    return Intake(
        site=site,
        kind=ROWS,
        path=source.path,
        terms=terms,
        schema=pipeline.source_schema,
        place=site.lake.curated(site.name),
        key=pipeline.spec.key,
        time=source.time,
        on_repeat=source.on_repeat,
    )


def _labels(site: Site) -> Intake:
    """A second label of a key, known later, is another row: a correction."""
    pipeline, labels = site.pipeline, site.pipeline.labels
    schema = {name: pipeline.source_schema[name] for name in pipeline.spec.key}
    contract = label_contract(key=schema, target=labels.target, task=pipeline.task, known_at=labels.known_at)
    return Intake(
        site=site,
        kind=LABELS,
        path=labels.path,
        terms=_terms(site, contract, key=(*pipeline.spec.key, labels.known_at), time=labels.known_at),
        schema=schema,
        place=site.lake.labels(site.name),
        key=(*pipeline.spec.key, labels.known_at),
        time=labels.known_at,
        on_repeat="last",
    )


def _table(site: Site, table: Table) -> Intake:
    """A second row of a key and time is a correction."""
    key = (*table.key, table.time, *([table.known_at] if table.known_at else []))
    return Intake(
        site=site,
        kind=table.name,
        path=table.path,
        terms=_terms(site, table.contract, key=key, time=table.time),
        schema=typed_columns(table.contract, field=f"contract of the table {table.name}"),
        place=site.lake.table(site.name, table.name),
        key=key,
        time=table.time,
        on_repeat="last",
    )


def _terms(site: Site, contract: object, *, key: tuple[str, ...], time: str) -> Terms:
    policy = replace(site.pipeline.quarantine, per_rule={})  # those limits are for rules of the rows' contract
    ahead = span(site.pipeline.source.max_ahead)
    return Terms(contract=contract, policy=policy, key=key, time=time, max_ahead=ahead)
