"""Taking in one landed file: claim it, judge it, set bad rows aside, append the good ones, and only then say so.

Every step can be repeated: the ledger knows the file's bytes, the Delta tables know the batch. A process that dies
anywhere leaves a claimed batch, which the next ingest finishes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import polars as pl
from prefect import task

from andon.pipeline import Pipeline
from registry.ledger import Batch, BatchKind, BatchState
from storage import quarantine, tables
from storage.landing import LandedFile, arrived, missing, read
from storage.quarantine import Refusal
from tasks.events import announce
from tasks.failpoints import reached
from tasks.leases import holding
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.snapshots import BATCH_COLUMN
from tasks.telling import log
from validation.contract import ContractVerdict, Judged, duplicate, judge_batch, refused
from validation.deeds import failed, skipped
from validation.errors import AndonError, ContractError
from validation.labels import label_contract
from validation.verdict import Verdict

_DONE = ("accepted", "refused")
_STATE: Mapping[str, BatchState] = {
    "accept": "accepted",
    "quarantine": "accepted",
    "refuse": "refused",
    "duplicate": "duplicate",
}


def landed_files(site: Site) -> Iterator[tuple[BatchKind, LandedFile]]:
    """Files that the ledger has not finished yet: labels first, since they belong to the past, then rows, by name.

    A file that was claimed and then taken away is among them, to be told and closed.
    """
    kinds: tuple[tuple[BatchKind, str], ...] = (
        ("labels", site.pipeline.labels.path),
        ("rows", site.pipeline.source.path),
    )
    for kind, glob in kinds:
        known = {(batch.name, batch.sha256): _is_done(batch) for batch in site.ledger.batches(site.name, kind=kind)}
        files = {(file.name, file.sha256): file for file in arrived(site.lake.root, glob)}
        gone = [key for key, done in known.items() if not done and key not in files]
        yield from ((kind, missing(site.lake.root, glob, name=name, sha256=sha256)) for name, sha256 in gone)
        yield from ((kind, file) for key, file in files.items() if not known.get(key))


@task(task_run_name="take in {landed[1].name}", **PLAIN)
def take_in(site: Site, landed: tuple[BatchKind, LandedFile], as_of: datetime) -> Verdict:
    """Take in one file under the pipeline's ingest lease; returns its verdict."""
    kind, file = landed
    with holding(site, "ingest") as lease:
        if lease is None:
            return skipped("ingest", site.name, f"another process is taking in files; {file.name} is next", as_of)
        batch = site.ledger.claim_batch(site.name, kind, name=file.name, sha256=file.sha256)
        reached("ingest.claimed")
        try:
            verdict, span, repeated = _judge(site, batch, file, as_of)
        except AndonError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a file brings about, those behind it are taken in
            log.warning("%s: %s could not be taken in", site.name, file.name, exc_info=True)
            return failed("ingest", site.name, f"{file.name}: {type(error).__name__}: {error}", as_of)
        reached("ingest.appended")
        finished = replace(
            batch,
            state=_STATE[verdict.outcome],
            rows_in=verdict.rows_in,
            rows_accepted=verdict.rows_accepted,
            rows_quarantined=verdict.rows_quarantined,
            rows_duplicate=repeated,
            span=span,
        )
        site.ledger.finish_batch(finished, verdict, actor=site.actor, lease=lease)
        log.info("%s", verdict)
        _announce(batch, verdict)
    return verdict


Span = tuple[datetime, datetime] | None


def _announce(batch: Batch, verdict: ContractVerdict) -> None:
    came = verdict.outcome in ("accept", "quarantine")
    event = ("batch.accepted" if batch.kind == "rows" else "labels.accepted") if came else "batch.refused"
    announce(event, batch.pipeline, batch=verdict.subject, as_of=verdict.data_time.isoformat())


def _is_done(batch: Batch) -> bool:
    return batch.state in _DONE or batch.verdict_seq is not None


def _judge(site: Site, batch: Batch, file: LandedFile, as_of: datetime) -> tuple[ContractVerdict, Span, int]:
    if batch.state == "duplicate":
        reason = f"{file.name} has the same bytes as a file that came before; nothing of it was taken again"
        return duplicate(pipeline=site.name, batch=_subject(batch), reason=reason, as_of=as_of), None, 0
    try:
        verdict, span, repeated = _take(site, batch, file, as_of)
    except ContractError as error:
        verdict, span, repeated = (
            refused(pipeline=site.name, batch=_subject(batch), reason=str(error), as_of=as_of),
            None,
            0,
        )
    if verdict.outcome == "refuse":
        refusal = Refusal(batch=batch.number, name=file.name, sha256=file.sha256, reasons=verdict.reasons)
        quarantine.keep_refused(site.lake.quarantine(site.name, batch.kind), file.path, refusal=refusal)
    return verdict, span, repeated


def _take(site: Site, batch: Batch, file: LandedFile, as_of: datetime) -> tuple[ContractVerdict, Span, int]:
    pipeline = site.pipeline
    asked, keep = (_ask_of_rows, _keep_rows) if batch.kind == "rows" else (_ask_of_labels, _keep_labels)
    judged = judge_batch(
        read(file, schema=pipeline.raw_schema),
        pipeline=site.name,
        batch=_subject(batch),
        as_of=as_of,
        **asked(pipeline),
    )
    if judged.bad.height:
        quarantine.set_aside(site.lake.quarantine(site.name, batch.kind), judged.bad, batch=batch.number)
    reached("ingest.quarantined")
    if judged.verdict.outcome == "refuse":
        return judged.verdict, None, 0
    return keep(site, batch, judged)


def _subject(batch: Batch) -> str:
    """How verdicts name the file; label files often have the names of the batches that they belong to."""
    return batch.name if batch.kind == "rows" else f"labels {batch.name}"


def _ask_of_rows(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "contract": pipeline.contract,
        "policy": pipeline.quarantine,
        "key": pipeline.source.key,
        "time": pipeline.source.time,
        "max_age": pipeline.source.max_age,
        "max_ahead": pipeline.source.max_ahead,
    }


def _ask_of_labels(pipeline: Pipeline) -> dict[str, Any]:
    key = {name: pipeline.raw_schema[name] for name in pipeline.spec.key}
    contract = label_contract(
        key=key, target=pipeline.spec.target, task=pipeline.task, known_at=pipeline.labels.known_at
    )
    known_at = pipeline.labels.known_at  # a second label of a key, known later, is a correction
    policy = replace(pipeline.quarantine, per_rule={})  # those limits are for rules of the rows' contract
    ahead = pipeline.source.max_ahead
    return {"contract": contract, "policy": policy, "key": (*key, known_at), "time": known_at, "max_ahead": ahead}


def _keep_rows(site: Site, batch: Batch, judged: Judged) -> tuple[ContractVerdict, Span, int]:
    """Append to the curated table, without rows whose key another batch has brought: the first one counts."""
    folder, time = site.lake.curated(site.name), site.pipeline.source.time
    repeated = tables.known_keys(folder, judged.good, site.pipeline.spec.key, batch=batch.number)
    fresh = judged.good.filter(~repeated)
    _append(folder, fresh, batch)
    span = (fresh[time].min(), fresh[time].max()) if fresh.height else None
    verdict = replace(judged.verdict, rows_accepted=fresh.height)
    return _with_repeated(verdict, int(repeated.sum())), cast("Span", span), int(repeated.sum())


def _with_repeated(verdict: ContractVerdict, repeated: int) -> ContractVerdict:
    """Say that rows were not taken; where none was, the file is a duplicate: a corrected file changes no row."""
    if not repeated:
        return verdict
    why = f"{repeated:,} of {verdict.rows_in:,} rows have a key that an earlier file brought, which counts: not taken"
    outcome = "duplicate" if verdict.outcome == "accept" and not verdict.rows_accepted else verdict.outcome
    return replace(verdict, outcome=outcome, reasons=(why, *verdict.reasons))


def _keep_labels(site: Site, batch: Batch, judged: Judged) -> tuple[ContractVerdict, Span, int]:
    """Append to the label table: a corrected label is one more version, the newest known one counts."""
    _append(site.lake.labels(site.name), judged.good, batch)
    return judged.verdict, None, 0


def _append(folder: Path, rows: pl.DataFrame, batch: Batch) -> None:
    numbered = rows.with_columns(pl.lit(batch.number, pl.Int64).alias(BATCH_COLUMN))
    tables.append(folder, numbered, app_id=f"{batch.pipeline}/{batch.kind}", version=batch.number)
