"""From judged files to rows in the table: what repeats is left out, what is strange is held, all is one commit."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from registry.ledger import Lease
from storage import tables
from storage.landing import reading, still_the_same
from tasks import aside
from tasks.intake import Intake, intakes
from tasks.judging import Judgement, overwritten, refuse
from tasks.policies import MISHAPS
from tasks.repeats import without_repeats
from tasks.suspicion import examined
from validation.errors import ContractError
from validation.failpoints import reached

BATCH_COLUMN, KNOWN_COLUMN = "_batch", "_known_at"


def prepare(intake: Intake, judged: Sequence[Judgement], as_of: datetime, work: Path) -> list[Judgement]:
    """Write the accepted rows of all batches to files in `work`, without those that repeat; each judgement's `part` is
    the lot that its rows are in. Nothing is in the table yet.
    """
    rest = [item for item in judged if item.good is None]
    parts = [_prepared(intake, part, as_of, work) for part in _by_schema(judged)]
    done = [item for part in parts for item in part]
    return sorted([*rest, *done], key=lambda item: item.batch.number)


def commit(intake: Intake, judged: Sequence[Judgement], lease: Lease) -> list[Judgement]:
    """Append the prepared rows of these batches: one commit for each lot, exactly once for each batch."""
    lots: dict[Path | None, list[Judgement]] = {}
    for item in judged:
        lots.setdefault(item.part, []).append(item)
    done = [item for lot in lots.values() for item in _appended(intake, lot, lease)]
    return sorted(done, key=lambda item: item.batch.number)


def _by_schema(judged: Sequence[Judgement]) -> Iterator[list[Judgement]]:
    """NOTE: of labels, whose contract leaves the target's type open, two files can have two types."""
    found: dict[str, list[Judgement]] = {}
    for item in judged:
        if item.good is not None:
            found.setdefault(str(item.good.collect_schema()), []).append(item)
    yield from found.values()


def _prepared(intake: Intake, judged: list[Judgement], as_of: datetime, work: Path) -> list[Judgement]:
    """NOTE: whether a file was overwritten is asked after its last reading."""
    refused: list[Judgement] = []
    known_at = _known_at(intake, as_of)
    while judged:
        path = work / f"rows-{judged[0].batch.number}.parquet"
        try:
            changed = _sunk(judged, known_at, path)
        except ContractError as error:
            return [*refused, refuse(intake, judged[0], str(error))]
        refused += [overwritten(intake, item) for item in changed]
        judged = [item for item in judged if item not in changed]
        if not changed:
            return [*refused, *_weighed(intake, judged, path, work)]
    return refused


def _weighed(intake: Intake, judged: list[Judgement], path: Path, work: Path) -> list[Judgement]:
    """Compared with the table and with each other, and examined.

    NOTE: a row repeats nothing when its twin is in a file that is refused, or is held, as that one may be dropped: then
    the rest is compared again.
    """
    done: list[Judgement] = []
    while judged:
        lot = without_repeats(intake, judged, path, work)
        refused = [item for item in lot if item.is_refused]
        if len(refused) > 1:
            apart = refused[:1]
        else:
            lot = examined(intake, lot, work)
            apart = [item for item in lot if item.verdict.outcome == "suspect"]
            if not any(item.repeated for item in lot if apart and item.batch.number > apart[0].batch.number):
                return [*done, *lot]
        done += apart
        numbers = {item.batch.number for item in apart}
        judged = [item for item in judged if item.batch.number not in numbers]
        path = _only(path, judged, work)
    return done


def _only(path: Path, judged: Sequence[Judgement], work: Path) -> Path:
    """A file with the rows of these batches alone."""
    numbers = [item.batch.number for item in judged]
    rest = work / f"rows-{uuid.uuid4().hex}.parquet"
    tables.sink(pl.scan_parquet(path).filter(pl.col(BATCH_COLUMN).is_in(numbers)), rest)
    return rest


def _known_at(intake: Intake, as_of: datetime) -> datetime:
    """Since when the rows are known: never before anything that is known already, or a snapshot of then would change
    when somebody takes files in with an older `as_of`.
    """
    places = {other.place for other in intakes(intake.site)}
    found = [tables.scan(place, intake.site.lake.remote) for place in places]
    newest: list[datetime | None] = [
        rows.select(pl.col(KNOWN_COLUMN).max()).collect().item() for rows in found if rows is not None
    ]
    return max([as_of, *(moment for moment in newest if moment is not None)])


def _sunk(judged: Sequence[Judgement], known_at: datetime, path: Path) -> list[Judgement]:
    """Those that were overwritten while the rows were written; then nothing else counts, errors neither."""
    try:
        _sink(judged, known_at, path)
    except MISHAPS:
        if changed := _changed(judged):
            return changed
        raise
    reached("ingest.sunk")
    return _changed(judged)


def _changed(judged: Sequence[Judgement]) -> list[Judgement]:
    return [item for item in judged if item.file is not None and not still_the_same(item.file)]


def _sink(judged: Sequence[Judgement], known_at: datetime, path: Path) -> None:
    """NOTE: a column that no rule looks at is read for the first time here; ContractError when one file cannot be."""
    rows, file = pl.concat([_stamped(item, known_at) for item in judged]), judged[0].file
    with reading(file) if len(judged) == 1 and file is not None else nullcontext():
        tables.sink(rows, path)


def _stamped(judged: Judgement, known_at: datetime) -> pl.LazyFrame:
    assert judged.good is not None  # noqa: S101 - chosen by it
    return judged.good.with_columns(
        pl.lit(judged.batch.number, pl.Int64).alias(BATCH_COLUMN),
        pl.lit(known_at, pl.Datetime("us", "UTC")).alias(KNOWN_COLUMN),
    )


def _appended(intake: Intake, judged: list[Judgement], lease: Lease) -> list[Judgement]:
    path, site = judged[0].part, intake.site
    if path is None:
        return judged
    if pl.scan_parquet(path).select(pl.len()).collect().item() != sum(item.verdict.rows_accepted for item in judged):
        # Of a batch whose bad rows could not be kept, or that is refused, nothing may be committed.
        path = _only(path, judged, path.parent)
    aside.stage(intake, judged)
    reached("ingest.staged")
    # Whoever was paused for longer than its lease lived must not commit what others may have decided about since.
    site.ledger.heartbeat(lease, ttl=site.settings.lease_ttl)
    reached("ingest.committing")
    markers = [intake.marker(item.batch.number) for item in judged]
    try:
        if not tables.commit(intake.place, path, markers=markers, remote=site.lake.remote):
            return aside.recover(intake, [item.batch for item in judged], judged[0].verdict.data_time)
    except ContractError as error:  # the table holds other columns or types
        refused = [refuse(intake, item, str(error)) for item in judged]
        kept = aside.keep(intake, refused, judged[0].verdict.data_time)
        return [item for item in kept if isinstance(item, Judgement)]
    return [replace(item, is_written=True) for item in judged]
