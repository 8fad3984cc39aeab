"""What each landed file is worth: claimed in the ledger, judged against its contract. Writes nothing but the claim."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import polars as pl

from registry.ledger import GONE, Arrival, Batch
from storage.landing import LandedFile, reading, scan, still_the_same
from tasks.intake import Intake
from tasks.policies import MISHAPS
from tasks.telling import log
from validation.contract import ContractVerdict, contract_fingerprint, duplicate, judge_batch, refused
from validation.deeds import Skipped, failed
from validation.difference import compare_data
from validation.errors import AndonError, ContractError
from validation.rules import schema_of

_MAX_CHANGES = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """A batch with its verdict. `good`: its accepted rows, None where none is to be written; `bad`: the dead letter,
    `again`: rows whose key another file brought with other values; `repeated`: how many rows are not taken for that;
    `difference`: of a refused file's columns from the contract.
    `part`: the file that its rows are in, until they are in the table: `is_written`.
    """

    batch: Batch
    verdict: ContractVerdict
    file: LandedFile | None = None
    good: pl.LazyFrame | None = None
    bad: Path | None = None
    again: Path | None = None
    part: Path | None = None
    repeated: int = 0
    difference: tuple[str, ...] = ()
    is_written: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether nothing of the file is taken, as it is wrong."""
        return self.verdict.outcome == "refuse"


def claim(intake: Intake, files: Sequence[LandedFile]) -> tuple[tuple[Batch, LandedFile], ...]:
    """Each file with its batch; those that are finished already, such as a file that was touched, are left out."""
    site = intake.site
    arrivals = [Arrival(name=file.name, sha256=file.sha256, stamp=file.stamp) for file in files]
    batches = site.ledger.claim_batches(site.name, intake.kind, arrivals) if arrivals else ()
    return tuple(pair for pair in zip(batches, files, strict=True) if pair[0].verdict_seq is None)


def judge_all(
    intake: Intake,
    claimed: Sequence[tuple[Batch, LandedFile]],
    as_of: datetime,
    work: Path,
    *,
    before: Sequence[Judgement] = (),
    deadly: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Judgement | Skipped]:
    """One judgement for each file; a file that brings the judge down is told, and those behind it are judged.

    `before`: what was judged already, and the ledger does not know of yet; `deadly`: by name the files that bring the
    process down which reads them, and how; they are not read.
    """
    rows_of = _rows_by_digest(intake) if any(batch.state == "duplicate" for batch, _ in claimed) else {}
    rows_of |= {item.batch.sha256: item.verdict.rows_in for item in before}
    for batch, file in claimed:
        try:
            if file.name in deadly:
                judged = _deadly(intake, batch, file, deadly[file.name], as_of)
            else:
                judged = _as_it_was(intake, _judge(intake, batch, file, as_of, work))
        except AndonError:
            raise
        except MISHAPS as error:  # whatever a file brings about, those behind it are taken in
            yield left_for_later(intake, file.name, error, as_of)
            continue
        if batch.state == "duplicate":
            # Its rows are counted, so that each row that landed is accounted for.
            judged = replace(judged, verdict=replace(judged.verdict, rows_in=rows_of.get(batch.sha256, 0)))
        rows_of[batch.sha256] = judged.verdict.rows_in
        yield judged


def refuse(intake: Intake, judged: Judgement, reason: str) -> Judgement:
    """The same batch, of which nothing is taken."""
    verdict = replace(
        judged.verdict,
        outcome="refuse",
        reasons=(reason, *judged.verdict.reasons),
        rows_accepted=0,
        fingerprint=contract_fingerprint(intake.terms.contract),
    )
    return replace(judged, verdict=verdict, good=None, again=None, part=None, repeated=0)


def gone(intake: Intake, batch: Batch, as_of: datetime) -> Judgement:
    """A batch whose file was taken away, or overwritten, before it was taken in."""
    reason = f"{batch.name} was taken away or overwritten before it was taken in; let it land again"
    return Judgement(batch=replace(batch, stamp=GONE), verdict=_refusal(intake, batch, reason, as_of))


def overwritten(intake: Intake, judged: Judgement) -> Judgement:
    """A batch whose file became another one while it was read: its bytes are gone, and nothing of it is kept."""
    reason = f"{judged.batch.name} was overwritten while it was read; what it holds now is taken in next"
    verdict = _refusal(intake, judged.batch, reason, judged.verdict.data_time)
    return Judgement(batch=replace(judged.batch, stamp=GONE), verdict=verdict)


def left_for_later(intake: Intake, name: str, error: BaseException, as_of: datetime) -> Skipped:
    """What is said of a file that could not be taken in for no fault of its contract."""
    log.warning("%s: %s could not be taken in", intake.site.name, name, exc_info=error)
    return failed("ingest", intake.site.name, f"{name}: {type(error).__name__}: {error}", as_of)


def _judge(intake: Intake, batch: Batch, file: LandedFile, as_of: datetime, work: Path) -> Judgement:
    if batch.state == "duplicate":
        return Judgement(batch=batch, file=file, verdict=_same_bytes(intake, batch, as_of))
    try:
        rows, text = scan(file)
        with reading(file):
            judged = judge_batch(
                rows,
                intake.terms,
                pipeline=intake.site.name,
                batch=intake.subject(batch.name),
                as_of=as_of,
                dead_letter=work / f"{batch.number}.parquet",
                text=text,
            )
    except ContractError as error:
        return Judgement(batch=batch, file=file, verdict=_refusal(intake, batch, str(error), as_of))
    good = judged.good if judged.verdict.rows_accepted else None
    refused_for = _difference(intake, rows, text=text) if judged.verdict.outcome == "refuse" else ()
    return Judgement(batch=batch, file=file, verdict=judged.verdict, good=good, bad=judged.bad, difference=refused_for)


def _deadly(intake: Intake, batch: Batch, file: LandedFile, signal: str, as_of: datetime) -> Judgement:
    reason = f"{file.name} is damaged: reading it brings the process down ({signal}); upload it again"
    return Judgement(batch=batch, file=file, verdict=_refusal(intake, batch, reason, as_of))


def _as_it_was(intake: Intake, judged: Judgement) -> Judgement:
    """NOTE: what was overwritten in the middle of its reading looks broken."""
    if judged.is_refused and judged.file is not None and not still_the_same(judged.file):
        return overwritten(intake, judged)
    return judged


def _difference(intake: Intake, rows: pl.LazyFrame, *, text: bool) -> tuple[str, ...]:
    """NOTE: in CSV all is text; only which columns there are can be told."""
    changes = compare_data(schema_of(intake.terms.contract), rows.collect_schema())
    return tuple(str(change) for change in changes if not (text and change.what == "retyped"))[:_MAX_CHANGES]


def _same_bytes(intake: Intake, batch: Batch, as_of: datetime) -> ContractVerdict:
    reason = f"{batch.name} has the same bytes as a file that came before; nothing of it was taken again"
    return duplicate(pipeline=intake.site.name, batch=intake.subject(batch.name), reason=reason, as_of=as_of)


def _rows_by_digest(intake: Intake) -> dict[str, int]:
    batches = intake.site.ledger.batches(intake.site.name, kind=intake.kind)
    return {batch.sha256: batch.rows_in for batch in batches if batch.rows_in}


def _refusal(intake: Intake, batch: Batch, reason: str, as_of: datetime) -> ContractVerdict:
    verdict = refused(pipeline=intake.site.name, batch=intake.subject(batch.name), reason=reason, as_of=as_of)
    return replace(verdict, fingerprint=contract_fingerprint(intake.terms.contract))
