"""Keeping what the loop leaves behind small: tables of many files, and what killed processes have half written. No row
of any table changes.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from prefect import task

from registry.ledger import Lease
from storage import tables
from storage.address import Address
from tasks.ingest import work_folder
from tasks.intake import ROWS, Intake, intakes
from tasks.leases import holding
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.telling import note
from validation.deeds import Repair

BATCHES = 32
PATIENCE = timedelta(days=7)
_DRAFT_SECONDS = 86_400


def look_after(site: Site, as_of: datetime) -> tuple[Repair, ...]:
    """Tidy up what is due."""
    kinds = due(site)
    return tidy_up(site, kinds, as_of) if kinds else ()


def due(site: Site) -> tuple[Intake, ...]:
    """The kinds that had 32 batches since they were tidied up, or that were not for a week. Cheap to ask: the ledger
    alone knows.
    """
    return tuple(intake for intake in intakes(site) if _is_due(intake))


@task(task_run_name="tidy up", **PLAIN)
def tidy_up(site: Site, kinds: Sequence[Intake], as_of: datetime) -> tuple[Repair, ...]:
    """Do it under the ingest lease; while somebody else holds it, it is left to the next sweep."""
    with holding(site, "ingest") as lease:
        return tuple(_tidied(intake, as_of, lease) for intake in kinds) if lease else ()


def _subject(intake: Intake) -> str:
    return f"upkeep of {intake.kind}"


def _is_due(intake: Intake) -> bool:
    site = intake.site
    batches = site.ledger.batches(site.name, kind=intake.kind, states=("accepted", "suspect"))
    if not batches:
        return False
    last = site.ledger.verdicts(site.name, kind="repair", subject=_subject(intake), limit=1)
    seen = last[0].seq if last else 0
    since = sum((batch.verdict_seq or 0) > seen for batch in batches)
    at = last[0].recorded_at if last else min(batch.recorded_at for batch in batches)
    return since >= BATCHES or site.ledger.now() - at >= PATIENCE


def _tidied(intake: Intake, as_of: datetime, lease: Lease) -> Repair:
    site = intake.site
    with work_folder(site.work) as work:
        done = [tables.maintain(place, site.lake.remote, work=work) for place in _tables(intake)]
    drafts = sum(_remove_drafts(folder) for folder in _folders(intake) if not folder.is_remote)
    told = [
        *(f"{item.compacted} files became {item.into}" for item in done if item.compacted),
        *(f"{item.deleted} old files were deleted" for item in done if item.deleted),
        *([f"{drafts} half-written files were deleted"] if drafts else []),
    ]
    why = "; ".join(told) or "there was nothing to do"
    subject = _subject(intake)
    verdict = Repair(pipeline=site.name, subject=subject, outcome="repaired", reasons=(why,), data_time=as_of)
    note(site, verdict, lease=lease)
    return verdict


def _tables(intake: Intake) -> Iterator[Address]:
    yield intake.place
    delivered = intake.site.pipeline.delivery.table
    if intake.kind == ROWS and delivered:
        yield intake.site.lake.delivery(delivered)


def _folders(intake: Intake) -> Iterator[Address]:
    yield from (intake.quarantine.folder, intake.quarantine.staging)
    yield intake.site.lake.profiles(intake.site.name, intake.kind)


def _remove_drafts(folder: Address) -> int:
    """NOTE: only LocalObjects leaves any; a day is longer than any of its copies takes."""
    removed = 0
    for draft in folder.path.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > _DRAFT_SECONDS:
                draft.unlink()
                removed += 1
    return removed
