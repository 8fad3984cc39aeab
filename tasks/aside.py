"""What ingest leaves in the quarantine: bad rows, refused files, and the verdicts that are about to be written."""

import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from registry.ledger import Batch
from storage import tables
from storage.landing import LandedFile
from storage.quarantine import Refusal
from tasks.held import held
from tasks.intake import Intake
from tasks.judging import Judgement, left_for_later
from tasks.policies import MISHAPS
from validation.contract import ContractVerdict
from validation.deeds import Skipped
from validation.errors import AndonError


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What is to be said of a batch when its rows are in the table."""

    batch: int
    verdict: ContractVerdict
    repeated: int


def keep(intake: Intake, judged: Sequence[Judgement], as_of: datetime) -> Iterator[Judgement | Skipped]:
    """Keep what is not taken of each batch; one whose rows cannot be kept is left for later, as a whole."""
    for item in judged:
        try:
            _keep(intake, item)
        except AndonError:
            raise
        except MISHAPS as error:  # the batches behind it are taken in
            yield left_for_later(intake, item.batch.name, error, as_of)
        else:
            yield item


def stage(intake: Intake, judged: Sequence[Judgement]) -> None:
    """Write down what the ledger is about to hear of batches whose rows are about to be committed.

    NOTE: under a name of its own, since a process that lost its lease may be about to commit the same batches.
    """
    staged = [Staged(batch=item.batch.number, verdict=item.verdict, repeated=item.repeated) for item in judged]
    intake.quarantine.stage(f"{staged[0].batch}-{uuid.uuid4().hex[:8]}", msgspec.json.encode(staged))


def recover(intake: Intake, batches: Sequence[Batch], as_of: datetime) -> list[Judgement]:
    """Batches whose rows were committed by a process that died before it could say so: as it would have said it."""
    markers = {intake.marker(batch.number): batch for batch in batches if batch.state == "claimed"}
    found = tables.committed(intake.place, list(markers), intake.site.lake.remote) if markers else frozenset()
    mine = sorted((markers[name] for name in found), key=lambda batch: batch.number)
    there = held(intake, [batch.number for batch in mine])
    staged = [item for items in _staged(intake).values() for item in items] if mine else []
    rows = {number: found.rows for number, found in there.items()}
    return [_recovered(intake, batch, rows.get(batch.number, 0), staged, as_of) for batch in mine]


def forget(intake: Intake) -> None:
    """Forget what was staged of batches that the ledger has heard of."""
    staged = _staged(intake)
    if staged:
        batches = intake.site.ledger.batches(intake.site.name, kind=intake.kind)
        untold = {batch.number for batch in batches if batch.verdict_seq is None}
        told = [name for name, items in staged.items() if untold.isdisjoint(item.batch for item in items)]
        intake.quarantine.unstage(*told)


def _staged(intake: Intake) -> dict[str, list[Staged]]:
    """By name; nothing of what another version of Andon has staged, in words that are not known."""
    found: dict[str, list[Staged]] = {}
    for name, text in intake.quarantine.staged().items():
        try:
            found[name] = msgspec.json.decode(text, type=list[Staged])
        except msgspec.DecodeError:
            found[name] = []
    return found


def _keep(intake: Intake, judged: Judgement) -> None:
    place, number = intake.quarantine, judged.batch.number
    if judged.bad is not None:
        place.keep_rows(judged.bad, batch=number)
    if judged.again is not None:
        place.keep_repeated(judged.again, batch=number)
    if judged.is_refused and judged.file is not None:
        refusal = Refusal(
            batch=number,
            name=judged.batch.name,
            sha256=judged.batch.sha256,
            reasons=judged.verdict.reasons,
            difference=judged.difference,
        )
        with _whole(judged.file) as file:
            place.keep_refused(file, refusal=refusal)


@contextmanager
def _whole(file: LandedFile) -> Iterator[Path]:
    """The bytes that were judged. NOTE: where a small file lies, another one may lie by now."""
    if not isinstance(file.content, bytes) or file.is_packed:
        yield file.path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "file"
        copy.write_bytes(file.content)
        yield copy


def _recovered(intake: Intake, batch: Batch, rows: int, staged: Sequence[Staged], as_of: datetime) -> Judgement:
    for item in staged:
        if item.batch == batch.number and item.verdict.rows_accepted == rows:
            return Judgement(batch=batch, verdict=item.verdict, repeated=item.repeated, is_written=True)
    # What was staged was removed by hand meanwhile: the rows are there, what was found with them is not known.
    verdict = ContractVerdict(
        pipeline=intake.site.name,
        subject=intake.subject(batch.name),
        outcome="accept",
        reasons=("its rows were taken in by a process that died; what else it had found was lost",),
        data_time=as_of,
        rows_in=rows,
        rows_accepted=rows,
    )
    return Judgement(batch=batch, verdict=verdict, is_written=True)
