"""Taking in what has landed: claim it, judge it, set bad rows aside, append the good ones, and only then say so.

Every step can be repeated: the ledger knows the files' bytes, the Delta tables know the batches, and what was about to
be said stands staged in the quarantine. A process that dies anywhere leaves claimed batches, which the next finishes.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

from prefect import task

from registry.ledger import Batch, BatchState, Lease
from storage.landing import admitted
from storage.trial import deadly
from tasks import aside, writing
from tasks.arrivals import Group
from tasks.events import announce
from tasks.held import Held, held
from tasks.intake import Intake
from tasks.judging import Judgement, claim, gone, judge_all, left_for_later
from tasks.leases import holding
from tasks.policies import MISHAPS, PLAIN
from tasks.telling import log
from validation.contract import ContractVerdict
from validation.deeds import Skipped, skipped
from validation.errors import AndonError, RefusedError
from validation.failpoints import reached
from validation.verdict import Verdict

_PREFIX = "ingest-"
_OLD_SECONDS = 86_400
_STATE: dict[str, BatchState] = {
    "accept": "accepted",
    "quarantine": "accepted",
    "suspect": "suspect",
    "refuse": "refused",
    "duplicate": "duplicate",
}


@task(task_run_name="take in {group.title}", **PLAIN)
def take_in(group: Group, as_of: datetime) -> tuple[Verdict, ...]:
    """Take in a group of files under the pipeline's ingest lease; returns their verdicts."""
    site = group.intake.site
    with holding(site, "ingest") as lease:
        if lease is None:
            why = f"another process is taking in files; {group.title} is next"
            return (skipped("ingest", site.name, why, as_of),)
        return tuple(_take_safely(group, as_of, lease))


def _take_safely(group: Group, as_of: datetime, lease: Lease) -> Iterator[Verdict]:
    """One file that brings all down holds up none of the others: they are taken in one by one."""
    try:
        yield from take_group(group, as_of, lease)
    except AndonError:
        raise
    except MISHAPS as error:  # whatever it is, it is told, and tried again the next time
        if len(group.files) == 1 or not group.files:
            yield left_for_later(group.intake, group.title, error, as_of)
            return
        log.warning("%s: %s could not be taken in together: %s", group.intake.site.name, group.title, error)
        for alone in (replace(group, files=(file,), gone=()) for file in group.files):
            yield from _take_safely(alone, as_of, lease)


def take_group(group: Group, as_of: datetime, lease: Lease) -> tuple[Verdict, ...]:
    """The work itself, without Prefect: one verdict for each file that is finished or left for later."""
    intake, site = group.intake, group.intake.site
    # Polars would read many row groups ahead: three times the memory, and no less time.
    os.environ.setdefault("POLARS_ROW_GROUP_PREFETCH_SIZE", "2")
    now, settle = site.ledger.now(), site.settings.settle
    reached("ingest.listed")
    with (
        work_folder(site.work) as work,
        admitted(group.files, site.lake, work=work, now=now, settle=settle) as arrived,
    ):
        postponed = [skipped("ingest", site.name, f"{item.name}: {item.reason}", as_of) for item in arrived.postponed]
        reached("ingest.admitted")
        claimed = claim(intake, arrived.files)
        reached("ingest.claimed")
        batches = [*(batch for batch, _ in claimed), *group.gone]
        recovered = aside.recover(intake, batches, as_of)
        known = {judged.batch.number for judged in recovered}
        fresh = [(batch, file) for batch, file in claimed if batch.number not in known]
        tried = deadly([file for batch, file in fresh if batch.number in group.left], work)
        judged, later = _apart(judge_all(intake, fresh, as_of, work, before=recovered, deadly=tried))
        reached("ingest.judged")
        lost = [gone(intake, batch, as_of) for batch in group.gone if batch.number not in known]
        ready = [*lost, *writing.prepare(intake, judged, as_of, work)]
        reached("ingest.prepared")
        kept, unkept = _apart(aside.keep(intake, ready, as_of))
        reached("ingest.quarantined")
        done = writing.commit(intake, _founded(ready, kept), lease)
        reached("ingest.appended")
        verdicts = _finish(intake, _settled(intake, [*recovered, *done]), lease)
        reached("ingest.finished")
    return (*verdicts, *postponed, *later, *unkept)


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A folder for files that are being made, gone afterwards."""
    _remove_old(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_old(parent: Path) -> None:
    """What killed runs have left; whoever works in a folder for a day has used it meanwhile."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else removes it, too
            if time.time() - folder.stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _finish(intake: Intake, judged: Sequence[Judgement], lease: Lease) -> tuple[ContractVerdict, ...]:
    """Write all verdicts in one transaction, tell them, and forget what was staged."""
    site, there = intake.site, held(intake, [item.batch.number for item in judged if item.is_written])
    pairs = [(_finished(item, there.get(item.batch.number)), item.verdict) for item in judged]
    site.ledger.finish_batches(pairs, actor=site.actor, lease=lease)
    reached("ingest.recorded")
    aside.forget(intake)
    reached("ingest.forgotten")
    verdicts = tuple(verdict for _, verdict in pairs)
    for verdict in verdicts:
        log.info("%s", verdict)
    _announce(intake, verdicts)
    return verdicts


def _founded(ready: Sequence[Judgement], kept: Sequence[Judgement]) -> list[Judgement]:
    """NOTE: rows that repeat those of a file that is left for later repeat nothing yet; they wait with it."""
    left = {item.batch.number for item in ready} - {item.batch.number for item in kept}
    return [item for item in kept if not item.repeated or item.batch.number < min(left, default=item.batch.number + 1)]


def _settled(intake: Intake, judged: Sequence[Judgement]) -> list[Judgement]:
    """NOTE: where a file was refused, or is left for later, the one with the same bytes is no duplicate of anything
    yet; it is judged next.
    """
    if all(item.batch.state != "duplicate" for item in judged):
        return list(judged)
    site, states = intake.site, cast("tuple[BatchState, ...]", ("accepted", "suspect"))
    taken = {batch.sha256 for batch in site.ledger.batches(site.name, kind=intake.kind, states=states)}
    taken |= {item.batch.sha256 for item in judged if item.batch.state != "duplicate" and not item.is_refused}
    return [item for item in judged if item.batch.state != "duplicate" or item.batch.sha256 in taken]


def _finished(judged: Judgement, there: Held | None) -> Batch:
    verdict, number = judged.verdict, judged.batch.number
    if judged.is_written and (there is None or there.rows != verdict.rows_accepted):
        told = f"{verdict.subject}: {verdict.rows_accepted:,} rows were to be taken in as batch {number}"
        found = there.rows if there else 0
        raise RefusedError(f"{told}, the table holds {found:,}; another process wrote them meanwhile: run it again")
    return replace(
        judged.batch,
        state=_STATE[verdict.outcome],
        rows_in=verdict.rows_in,
        rows_accepted=verdict.rows_accepted,
        rows_quarantined=verdict.rows_quarantined,
        rows_duplicate=verdict.rows_in if judged.batch.state == "duplicate" else judged.repeated,
        span=there.span if there else None,
    )


def _announce(intake: Intake, verdicts: Sequence[ContractVerdict]) -> None:
    """One event for all that came, so that one flow answers it; one for each file that did not."""
    came = [verdict for verdict in verdicts if verdict.outcome in ("accept", "quarantine")]
    if came:
        event = {"rows": "batch.accepted", "labels": "labels.accepted"}.get(intake.kind, "table.accepted")
        named = came[0].subject if len(came) == 1 else f"{came[0].subject} and {len(came) - 1} others"
        announce(event, intake.site.name, batch=named, as_of=came[0].data_time.isoformat())
    for verdict in verdicts:
        if verdict.outcome in ("refuse", "duplicate", "suspect"):
            event = "batch.suspected" if verdict.outcome == "suspect" else "batch.refused"
            announce(event, intake.site.name, batch=verdict.subject, as_of=verdict.data_time.isoformat())


def _apart(found: Iterator[Judgement | Skipped]) -> tuple[list[Judgement], list[Skipped]]:
    parts: tuple[list[Judgement], list[Skipped]] = ([], [])
    for item in found:
        if isinstance(item, Judgement):
            parts[0].append(item)
        else:
            parts[1].append(item)
    return parts
