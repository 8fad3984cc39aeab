"""Taking in what has landed: claim it, judge it, set bad rows aside, append the good ones, and only then say so.

Every step can be repeated: the ledger knows the files' bytes, the Delta tables know the batches, and what was about to
be said stands staged in the quarantine. A process that dies anywhere leaves claimed batches, which the next finishes.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from prefect import task

from registry.ledger import Batch, BatchState, Lease
from storage.landing import admitted
from tasks import aside, writing
from tasks.arrivals import Group
from tasks.events import announce
from tasks.failpoints import reached
from tasks.intake import Intake
from tasks.judging import Judgement, claim, gone, judge_all, left_for_later
from tasks.leases import holding
from tasks.policies import PLAIN
from tasks.telling import log
from validation.contract import ContractVerdict
from validation.deeds import Skipped, skipped
from validation.errors import AndonError
from validation.verdict import Verdict

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
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and tried again the next time
        if len(group.files) == 1 or not group.files:
            yield left_for_later(group.intake, group.title, error, as_of)
            return
        log.warning("%s: %s could not be taken in together: %s", group.intake.site.name, group.title, error)
        for alone in (replace(group, files=(file,), gone=()) for file in group.files):
            yield from _take_safely(alone, as_of, lease)


def take_group(group: Group, as_of: datetime, lease: Lease) -> tuple[Verdict, ...]:
    """The work itself, without Prefect: one verdict for each file that is finished or left for later."""
    intake, site = group.intake, group.intake.site
    now, settle = site.ledger.now(), site.settings.settle
    with (
        work_folder(site.work) as work,
        admitted(group.files, site.lake, work=work, now=now, settle=settle) as arrived,
    ):
        postponed = [skipped("ingest", site.name, f"{item.name}: {item.reason}", as_of) for item in arrived.postponed]
        claimed = claim(intake, arrived.files)
        reached("ingest.claimed")
        batches = [*(batch for batch, _ in claimed), *group.gone]
        recovered = aside.recover(intake, batches, as_of)
        known = {judged.batch.number for judged in recovered}
        fresh = [(batch, file) for batch, file in claimed if batch.number not in known]
        judged, later = _apart(judge_all(intake, fresh, as_of, work))
        reached("ingest.judged")
        lost = [gone(intake, batch, as_of) for batch in group.gone if batch.number not in known]
        kept, unkept = _apart(aside.keep(intake, [*lost, *writing.prepare(intake, judged, as_of, work)], as_of))
        reached("ingest.quarantined")
        done = writing.commit(intake, kept)
        reached("ingest.appended")
        verdicts = _finish(intake, [*recovered, *_settled(done)], lease)
        reached("ingest.finished")
    return (*verdicts, *postponed, *later, *unkept)


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A folder for files that are being made, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _finish(intake: Intake, judged: Sequence[Judgement], lease: Lease) -> tuple[ContractVerdict, ...]:
    """Write all verdicts in one transaction, tell them, and forget what was staged."""
    site, spans = intake.site, writing.spans(intake, [item.batch.number for item in judged if item.is_written])
    pairs = [(_finished(item, spans.get(item.batch.number)), item.verdict) for item in judged]
    site.ledger.finish_batches(pairs, actor=site.actor, lease=lease)
    reached("ingest.recorded")
    intake.quarantine.unstage()
    verdicts = tuple(verdict for _, verdict in pairs)
    for verdict in verdicts:
        log.info("%s", verdict)
    _announce(intake, verdicts)
    return verdicts


def _settled(judged: Sequence[Judgement]) -> list[Judgement]:
    """NOTE: where a file was refused, the one with the same bytes is no duplicate of anything; it is judged next."""
    refused = {item.batch.sha256 for item in judged if item.is_refused}
    return [item for item in judged if item.batch.state != "duplicate" or item.batch.sha256 not in refused]


def _finished(judged: Judgement, span: tuple[datetime, datetime] | None) -> Batch:
    verdict = judged.verdict
    return replace(
        judged.batch,
        state=_STATE[verdict.outcome],
        rows_in=verdict.rows_in,
        rows_accepted=verdict.rows_accepted,
        rows_quarantined=verdict.rows_quarantined,
        rows_duplicate=verdict.rows_in if judged.batch.state == "duplicate" else judged.repeated,
        span=span,
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
