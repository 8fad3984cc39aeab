"""What may be learned now: accepted rows with mature labels. Shared by the monitor, the governor and the retrain."""

import hashlib
from dataclasses import replace
from datetime import datetime

import polars as pl
from prefect import task

from storage import tables
from storage.snapshot import LabelRules, Snapshot, training_rows
from tasks.policies import IDEMPOTENT_IO
from tasks.site import Site
from validation.durations import span

BATCH_COLUMN = "_batch"


@task(task_run_name="snapshot", **IDEMPOTENT_IO)
def take_snapshot(site: Site, as_of: datetime) -> Snapshot | None:
    """All rows that may be learned from at `as_of`; None while no row was accepted."""
    accepted = [batch.number for batch in site.ledger.batches(site.name, kind="rows") if batch.state == "accepted"]
    curated = tables.scan(site.lake.curated(site.name))
    if not accepted or curated is None:
        return None
    finished = curated.filter(pl.col(BATCH_COLUMN).is_in(accepted))
    labels = tables.scan(site.lake.labels(site.name))
    taken = training_rows(finished, labels, rules=label_rules(site), as_of=as_of, up_to_batch=max(accepted))
    # The same rows under another definition are another training set.
    identity = hashlib.sha256(f"{taken.id}{site.pipeline.fingerprint}".encode()).hexdigest()
    return replace(taken, id=identity)


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
