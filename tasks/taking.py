"""Taking a snapshot: which batches counted at a moment, what is looked up, and why there may be nothing.

Without Prefect: the command line takes snapshots as well. Writes nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from storage import tables
from storage.snapshot import LABELS, ROWS, LabelRules, Question, Snapshot, training_rows
from tasks.accepted import accepted
from tasks.lookups import looked_up
from tasks.site import Site
from validation.durations import span
from validation.errors import ContractError
from validation.training_set import Description, numbers_in

_BATCH, _KNOWN_AT = "_batch", "_known_at"


def label_rules(site: Site) -> LabelRules:
    """The pipeline's rules for when a label can be trusted."""
    labels, spec = site.pipeline.labels, site.pipeline.spec
    return LabelRules(
        time=spec.time,
        key=spec.key,
        target=spec.target,
        known_at=labels.known_at,
        matures_after=span(labels.matures_after),
        grace=span(labels.grace),
    )


def question(site: Site, as_of: datetime, *, as_known_at: datetime | None = None) -> Question:
    """What may be learned at `as_of`, of what Andon knew by `as_known_at` (the same moment when left out)."""
    known_at = as_known_at or as_of
    kinds = (ROWS, LABELS, *(table.name for table in site.pipeline.tables))
    return Question(
        as_of=as_of,
        as_known_at=known_at,
        batches={
            kind: tuple(item.batch for item in _taken_in(site, kind) if item.known_at <= known_at) for kind in kinds
        },
        definition=site.pipeline.fingerprint,
    )


def take(site: Site, asked: Question) -> Snapshot | None:
    """The snapshot as the pipeline defines it; None where no row was accepted and known."""
    curated = _table(site, ROWS)
    if curated is None or not asked.batches[ROWS]:
        return None
    wanted = [*site.pipeline.source_schema, _BATCH, _KNOWN_AT]
    if lost := [name for name in wanted if name not in curated.collect_schema()]:
        raise ContractError(
            f"the rows of {site.name} that were taken in have no column {', '.join(lost)}, which the contract asks "
            "for: take it out of the contract, or let the batches land again for a pipeline of another name"
        )
    return _taken(site, curated.select(wanted), asked, label_rules(site))


def take_again(site: Site, description: Description) -> Snapshot | None:
    """The snapshot that was described, with its columns of then, out of the lake as it is now; None when there is no
    table any more.
    """
    curated = _table(site, ROWS)
    if curated is None:
        return None
    asked = Question(
        as_of=description.as_of,
        as_known_at=description.as_known_at,
        batches={kind: numbers_in(ranges) for kind, ranges in description.batches.items()},
        definition=description.definition,
    )
    matures_after, grace = description.matures_after_seconds, description.grace_seconds
    rules = replace(label_rules(site), matures_after=timedelta(seconds=matures_after), grace=timedelta(seconds=grace))
    taken = _taken(site, curated, asked, rules)
    kept = [name for name in taken.rows.columns if name in description.columns]
    return replace(taken, rows=taken.rows.select(kept), columns={name: taken.columns[name] for name in kept})


def why_nothing(site: Site, asked: Question) -> str:
    """Why there is nothing to learn from, and what to do."""
    for kind, what in ((ROWS, "row"), (LABELS, "label")):
        found = _taken_in(site, kind)
        if not found:
            break
        if not asked.batches[kind]:
            rows, since = sum(item.rows for item in found), min(item.known_at for item in found)
            return (
                f"no {what} was known at {asked.as_known_at:%Y-%m-%d %H:%M}: {rows:,} {what}s are known only since "
                f"{since:%Y-%m-%d %H:%M}, when they were taken in; ask for that moment or later (--as-of), or, to "
                f"replay the past, take files in as of then: andon ingest {site.name} --as-of MOMENT"
            )
    return f"no accepted row has a mature label yet; land batches and labels, then: andon ingest {site.name}"


def _taken(site: Site, curated: pl.LazyFrame, asked: Question, rules: LabelRules) -> Snapshot:
    look_up = partial(looked_up, site, as_known_at=asked.as_known_at, batches=asked.batches)
    return training_rows(curated, _table(site, LABELS), rules=rules, question=asked, look_up=look_up)


def _table(site: Site, kind: str) -> pl.LazyFrame | None:
    own = {ROWS: site.lake.curated(site.name), LABELS: site.lake.labels(site.name)}
    return tables.scan(own.get(kind) or site.lake.table(site.name, kind), site.lake.remote)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TakenIn:
    """A batch that was accepted, and from which moment on: a suspect one not before a person released it."""

    batch: int
    rows: int
    known_at: datetime


def _taken_in(site: Site, kind: str) -> tuple[_TakenIn, ...]:
    """The accepted batches that brought rows, by number."""
    table, released = _table(site, kind), accepted(site, kind)
    if table is None or not released:
        return ()
    of_batch = table.filter(pl.col(_BATCH).is_in(list(released))).group_by(_BATCH)
    found = of_batch.agg(pl.len(), pl.col(_KNOWN_AT).min()).sort(_BATCH).collect(engine="streaming")
    return tuple(
        _TakenIn(batch=number, rows=rows, known_at=max(known_at, released[number] or known_at))
        for number, rows, known_at in found.rows()
    )
