"""Rows whose key an earlier file has brought: left out, kept as corrections, or a reason to refuse, by policy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from registry.ledger import BatchState
from storage import tables
from tasks.intake import Intake
from tasks.judging import Judgement, refuse
from validation.failpoints import reached

_BATCH = "_batch"


def without_repeats(intake: Intake, judged: Sequence[Judgement], path: Path, work: Path) -> list[Judgement]:
    """The judgements as they are after the comparison with the table; each with the file that its rows are in: `path`,
    or a shorter one without the rows that are not taken.
    """
    numbers, rows = [item.batch.number for item in judged], pl.scan_parquet(path)
    found = tables.repeats(
        intake.place,
        rows,
        key=intake.key,
        batch_numbers=[*numbers, *_without_weight(intake)],
        remote=intake.site.lake.remote,
    )
    reached("ingest.compared")
    if found.is_empty():
        return [replace(item, part=path) for item in judged]
    left_out = found.filter(pl.col("same")) if intake.on_repeat == "last" else found
    rest = path
    if not left_out.is_empty():
        rest = path.with_stem(f"{path.stem}-once")
        tables.sink(rows.filter(~tables.among(left_out, key=intake.key)), rest)
    parts = found.partition_by(_BATCH, as_dict=True)
    return [_judged(intake, replace(item, part=rest), parts.get((item.batch.number,)), rows, work) for item in judged]


def _without_weight(intake: Intake) -> list[int]:
    """Batches whose rows do not count: nothing repeats what a person has dropped, or may drop yet."""
    states: tuple[BatchState, ...] = ("dropped", "refused", "suspect")
    return [batch.number for batch in intake.site.ledger.batches(intake.site.name, kind=intake.kind, states=states)]


def _judged(intake: Intake, judged: Judgement, found: pl.DataFrame | None, rows: pl.LazyFrame, work: Path) -> Judgement:
    if found is None:
        return judged
    same = int(found["same"].sum())
    changed = found.height - same
    if intake.on_repeat == "refuse":
        why = f"{found.height:,} rows have a key that an earlier file brought: source.on_repeat is refuse"
        return refuse(intake, judged, why)
    if intake.on_repeat == "last":
        return _counted(judged, left_out=same, corrected=changed)
    again = None
    if changed:
        again = work / f"{judged.batch.number}.repeated.parquet"
        tables.sink(rows.filter(tables.among(found.filter(~pl.col("same")), key=intake.key)), again)
    return replace(_counted(judged, left_out=found.height, corrected=0), again=again)


def _counted(judged: Judgement, *, left_out: int, corrected: int) -> Judgement:
    """Say what was not taken, and what corrects; where nothing new was in it, the file is a duplicate."""
    verdict, reasons = judged.verdict, []
    if left_out:
        what = f"{left_out:,} of {verdict.rows_in:,} rows have a key that an earlier file brought"
        reasons.append(f"{what}, which counts: not taken")
    if corrected:
        reasons.append(f"{corrected:,} rows correct what an earlier file brought: kept as further versions")
    accepted = verdict.rows_accepted - left_out
    outcome = "duplicate" if verdict.outcome == "accept" and not accepted else verdict.outcome
    verdict = replace(verdict, outcome=outcome, rows_accepted=accepted, reasons=(*reasons, *verdict.reasons))
    return replace(judged, verdict=verdict, repeated=left_out, part=judged.part if accepted else None)
