"""What a person decides about what was set aside: judged again by today's contract, or dropped. All is audited."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, count
from pathlib import Path

import polars as pl

from registry.ledger import GONE, Batch, Recorded
from storage.address import Address
from storage.objects import Found, objects_for
from storage.quarantine import Entry
from tasks.arrivals import Group
from tasks.events import announce
from tasks.ingest import take_group, work_folder
from tasks.intake import Intake, intake_of
from tasks.leases import holding
from tasks.site import Site
from tasks.telling import note
from validation.contract import Quarantine
from validation.deeds import Released
from validation.errors import DefinitionError, RefusedError
from validation.failpoints import reached
from validation.verdict import Verdict

_OWN_COLUMNS = ("_row", "_rules")
_CSV = ".csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something that waits for a person: a batch and what the quarantine holds of it (nothing of a suspect batch)."""

    batch: Batch
    entry: Entry | None


def held(site: Site) -> tuple[Held, ...]:
    """All that waits for a person: suspect batches, bad rows, repeated rows with other values, refused files."""
    found = []
    for intake in (intake_of(site, kind) for kind in _kinds(site)):
        entries = {entry.batch: entry for entry in intake.quarantine.entries()}
        batches = site.ledger.batches(site.name, kind=intake.kind)
        found += [
            Held(batch=batch, entry=entries.get(batch.number))
            for batch in batches
            if batch.state == "suspect" or batch.number in entries
        ]
    return tuple(found)


def release(site: Site, kind: str, number: int, *, why: str, as_of: datetime) -> tuple[Verdict, ...]:
    """Let a suspect batch into the snapshots; judge bad rows or a refused file again, and take in what passes.

    Returns the verdicts of what was judged again, and the audit entry; RefusedError when nothing of it is set aside.
    """
    intake, found = _found(site, kind, number)
    if found.batch.state == "suspect":
        return (_settle(site, found.batch, "released", why, as_of),)
    with holding(site, "ingest") as lease:
        if lease is None:
            raise RefusedError(f"another process takes in files of {site.name} just now; try again in a minute")
        with _anew(intake, found) as file:
            verdicts = take_group(Group(intake=_lenient(intake, found), files=(file,)), as_of, lease)
    reached("ingest.released")
    again = _named(site, kind, file.name)
    # A repetition has no verdict of its own: what became of the batch is what counts.
    is_taken = again is not None and again.verdict_seq is not None and again.state != "refused"
    told = _released(found, "released" if is_taken else "still refused", why, as_of)
    note(site, told)
    # What is refused again lies there twice: it stays under its old number.
    settled = found.entry if is_taken else intake.quarantine.entry(again.number) if again is not None else None
    if settled is not None:
        intake.quarantine.discard(settled)
    return (*verdicts, told)


def drop(site: Site, kind: str, number: int, *, why: str, as_of: datetime) -> Verdict:
    """Give up what was set aside of a batch, for good; RefusedError when there is nothing of it."""
    intake, found = _found(site, kind, number)
    if found.batch.state == "suspect":
        return _settle(site, found.batch, "dropped", why, as_of)
    told = _released(found, "dropped", why, as_of)
    note(site, told)
    if found.entry is not None:
        intake.quarantine.discard(found.entry)
    return told


def _lenient(intake: Intake, found: Held) -> Intake:
    """How many bad rows a file may have says nothing about a file of bad rows."""
    if found.entry is None or found.entry.copy is not None:
        return intake
    return replace(intake, terms=replace(intake.terms, policy=Quarantine(max_bad_share=1.0)))


def _named(site: Site, kind: str, name: str) -> Batch | None:
    found = [batch for batch in site.ledger.batches(site.name, kind=kind) if batch.name == name]
    return found[-1] if found else None


def _name(site: Site, batch: Batch) -> str:
    """What is judged again is a file of its own. NOTE: a name is used again after a kill, never after a refusal: the
    ledger does not look at the same bytes of the same name again.
    """
    batches = site.ledger.batches(site.name, kind=batch.kind, states=("refused",))
    spent = {item.name for item in batches if item.stamp != GONE}
    first = f"released {batch.number} {batch.name}"
    again = (f"released {batch.number} ({attempt}) {batch.name}" for attempt in count(2))
    return next(name for name in chain([first], again) if name not in spent)


def _kinds(site: Site) -> tuple[str, ...]:
    return ("rows", "labels", *(table.name for table in site.pipeline.tables))


def _found(site: Site, kind: str, number: int) -> tuple[Intake, Held]:
    intake = intake_of(site, kind)
    batch = next((item for item in site.ledger.batches(site.name, kind=kind) if item.number == number), None)
    if batch is None:
        raise DefinitionError(f"{site.name} has no batch {number} of {kind}; see: andon quarantine list {site.name}")
    entry = intake.quarantine.entry(number)
    if batch.state != "suspect" and entry is None:
        raise RefusedError(
            f"nothing of batch {number} ({batch.name}) is set aside; see: andon quarantine list {site.name}"
        )
    return intake, Held(batch=batch, entry=entry)


def _settle(site: Site, batch: Batch, outcome: str, why: str, as_of: datetime) -> Verdict:
    told = _released(Held(batch=batch, entry=None), outcome, why, as_of)
    site.ledger.settle_batch(batch, told, state="accepted" if outcome == "released" else "dropped", actor=site.actor)
    if outcome == "released" and batch.kind == "rows":
        announce("batch.accepted", site.name, batch=batch.name, as_of=as_of.isoformat())
    return told


def _released(found: Held, outcome: str, why: str, as_of: datetime) -> Released:
    return Released(
        pipeline=found.batch.pipeline,
        subject=_subject(found.batch),
        outcome=outcome,
        reasons=(why,),
        data_time=as_of,
        batch=found.batch.number,
        batch_kind=found.batch.kind,
    )


def _subject(batch: Batch) -> str:
    return batch.name if batch.kind == "rows" else f"{batch.kind} {batch.name}"


@contextmanager
def _anew(intake: Intake, found: Held) -> Iterator[Found]:
    """The file that is judged again: the refused one, or the bad rows without what the quarantine wrote to them."""
    entry, name = found.entry, _name(intake.site, found.batch)
    assert entry is not None  # noqa: S101 - the caller has found it
    if entry.copy is None and _CSV in name:
        name = name.partition(_CSV)[0] + _CSV  # what was compressed is written plain
    with work_folder(intake.site.work) as work:
        yield replace(_look(intake, entry, work, name), name=name)


def _look(intake: Intake, entry: Entry, work: Path, name: str) -> Found:
    place = entry.copy or _stripped(intake, entry, work, name)
    looked = objects_for(place, intake.site.lake.remote).look(place)
    if looked is None:
        raise RefusedError(f"{place} is not there any more; drop it: andon quarantine drop {intake.site.name}")
    return looked


def _stripped(intake: Intake, entry: Entry, work: Path, name: str) -> Address:
    """NOTE: rows of a CSV file were kept as text, and are read as text again."""
    place = entry.rows or entry.repeated
    assert place is not None  # noqa: S101 - an entry holds something
    rows = work / "rows.parquet"
    intake.site.lake.objects.fetch(place, rows)
    clean = pl.scan_parquet(rows).drop(*_OWN_COLUMNS, strict=False)
    if name.endswith(_CSV):
        clean.sink_csv(work / "again.csv")
        return Address.of(work / "again.csv")
    clean.sink_parquet(work / "again.parquet")
    return Address.of(work / "again.parquet")


def verdict_of(site: Site, kind: str, number: int) -> Recorded:
    """What ingest said of a batch that something of is set aside."""
    _, found = _found(site, kind, number)
    subject = _subject(found.batch)
    verdicts = site.ledger.verdicts(site.name, kind="contract", subject=subject)
    mine = [item for item in verdicts if item.seq == found.batch.verdict_seq]
    if not mine:
        raise DefinitionError(f"{subject} is being taken in just now; ask again in a minute")
    return mine[0]


def differences(site: Site, kind: str, number: int) -> tuple[str, ...]:
    """How the columns of a refused file differ from the contract that it was held against."""
    _, found = _found(site, kind, number)
    return found.entry.refusal.difference if found.entry and found.entry.refusal else ()


def rows_aside(site: Site, kind: str, number: int, *, limit: int) -> pl.DataFrame | None:
    """The first of the rows that are set aside of a batch, with `_row` and `_rules`; None for a file or a batch."""
    intake, found = _found(site, kind, number)
    place = found.entry.rows or found.entry.repeated if found.entry else None
    if place is None:
        return None
    with work_folder(site.work) as work:
        intake.site.lake.objects.fetch(place, work / "rows.parquet")
        return pl.scan_parquet(work / "rows.parquet").head(limit).collect()
