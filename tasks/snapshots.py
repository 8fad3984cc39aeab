"""What may be learned now: accepted rows with mature labels. Shared by the monitor, the governor and the retrain."""

from dataclasses import replace
from datetime import datetime

from prefect import task

from modelling.mapped import on_disk
from registry.ledger import Lease
from storage.snapshot import Snapshot
from tasks.policies import IDEMPOTENT_IO
from tasks.site import Site
from tasks.taking import label_rules, question, take
from tasks.telling import note
from validation.deeds import SnapshotTaken
from validation.training_set import Description, numbers_in

__all__ = ["BATCH_COLUMN", "label_rules", "record", "take_snapshot"]

BATCH_COLUMN = "_batch"


@task(task_run_name="snapshot", **IDEMPOTENT_IO)
def take_snapshot(site: Site, as_of: datetime) -> Snapshot | None:
    """All rows that may be learned from at `as_of`; None while no row was accepted."""
    taken = take(site, question(site, as_of))
    return taken and replace(taken, rows=on_disk(taken.rows))


def record(site: Site, description: Description, *, lease: Lease) -> None:
    """Write down which snapshot a retrain takes, once for each."""
    if not site.ledger.verdicts(site.name, kind="snapshot", subject=description.id, limit=1):
        note(site, _taken(description), lease=lease)


def _taken(description: Description) -> SnapshotTaken:
    left_out = f"; mature without a label: {description.unlabelled:,}" if description.unlabelled else ""
    span = f" from {description.since:%Y-%m-%d %H:%M} to {description.until:%Y-%m-%d %H:%M}" if description.rows else ""
    batches = len(numbers_in(description.batches.get("rows", "")))
    return SnapshotTaken(
        pipeline=description.pipeline,
        subject=description.id,
        outcome="taken",
        reasons=(f"{description.rows:,} rows of {batches:,} batches{span}{left_out}",),
        data_time=description.as_of,
        description=description,
    )
