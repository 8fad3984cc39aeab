"""Whether a batch that keeps its contract is strange against those before it: then it is held until a person looks."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from storage.address import Address
from tasks.intake import LABELS, Intake
from tasks.judging import Judgement
from validation.suspicion import BatchProfile, profile_batch, suspect

_SAMPLE_ROWS = 200_000
_SLICES = 10


def examined(intake: Intake, judged: Sequence[Judgement], work: Path) -> list[Judgement]:
    """The judgements, with outcome "suspect" where something is strange. Labels come late and are not looked at."""
    policy = intake.site.pipeline.suspicion
    if intake.kind == LABELS or not policy.enabled:
        return list(judged)
    previous = deque(_profiles(intake, policy.batches), maxlen=policy.batches)
    done = []
    for item in judged:
        if item.part is None or item.verdict.rows_accepted < policy.min_rows:
            done.append(item)
            continue
        profile = _profile(intake, item)
        said = suspect(profile, tuple(previous), policy=policy)
        _keep(intake, item.batch.number, profile, work)
        if not said:
            previous.append(profile)
        done.append(_held(item, said) if said else item)
    return done


def _held(judged: Judgement, said: tuple[str, ...]) -> Judgement:
    number, verdict = judged.batch.number, judged.verdict
    todo = f"held until a person looks: andon quarantine release {verdict.pipeline} {number}, or drop"
    held = replace(verdict, outcome="suspect", suspicions=said, reasons=(*said, todo, *verdict.reasons))
    return replace(judged, verdict=held)


def _profile(intake: Intake, judged: Judgement) -> BatchProfile:
    profile = profile_batch(
        _sample(judged), schema=intake.schema, key=intake.key, time=intake.time, name=judged.batch.name
    )
    return replace(profile, rows=judged.verdict.rows_accepted)


def _sample(judged: Judgement) -> pl.LazyFrame:
    """All rows of a small batch; of a large one slices from all over it. NOTE: a file that others may change is not
    read again.
    """
    count = judged.verdict.rows_accepted
    assert judged.good is not None  # noqa: S101 - rows were accepted
    assert judged.part is not None  # noqa: S101 - and written
    if count <= _SAMPLE_ROWS and judged.file is not None and judged.file.is_private:
        return judged.good
    rows = pl.scan_parquet(judged.part)
    if rows.select(pl.len()).collect().item() != count:  # others are in it, too
        rows = rows.filter(pl.col("_batch") == judged.batch.number)
    if count <= _SAMPLE_ROWS:
        return rows
    step = count // _SLICES
    return pl.concat([rows.slice(at * step, _SAMPLE_ROWS // _SLICES) for at in range(_SLICES)])


def _place(intake: Intake, number: int) -> Address:
    return intake.site.lake.profiles(intake.site.name, intake.kind) / f"{number}.json"


def _keep(intake: Intake, number: int, profile: BatchProfile, work: Path) -> None:
    file = work / f"profile-{number}.json"
    file.write_text(profile.to_json(), encoding="utf-8")
    intake.site.lake.objects.put(file, _place(intake, number))


def _profiles(intake: Intake, count: int) -> list[BatchProfile]:
    """The profiles of the newest accepted batches, oldest first."""
    site, objects = intake.site, intake.site.lake.objects
    accepted = {batch.number for batch in site.ledger.batches(site.name, kind=intake.kind) if batch.state == "accepted"}
    names = objects.names(site.lake.profiles(site.name, intake.kind))
    numbers = (name.removesuffix(".json") for name in names)  # beside them lie drafts that killed processes have left
    known = sorted({int(number) for number in numbers if number.isdecimal()} & accepted)[-count:]
    return [profile for number in known if (profile := _read(objects.read(_place(intake, number)))) is not None]


def _read(text: bytes) -> BatchProfile | None:
    """None for one that another version of Andon has written in words of its own."""
    try:
        return BatchProfile.from_json(text.decode())
    except (ValueError, TypeError, KeyError):
        return None
