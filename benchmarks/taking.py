"""The way of one file through arrival and judge, as ingest goes it, without ledger and table."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from storage.address import Address
from storage.admission import admitted
from storage.digest import column_digests, frame_digest
from storage.lake import Lake
from storage.landing import LandedFile, reading, scan
from storage.local import LocalObjects
from storage.trial import deadly
from tasks.policies import MISHAPS
from validation.contract import Terms, judge_batch
from validation.errors import ContractError
from validation.rules import schema_of

_AS_OF = datetime(2013, 6, 1, tzinfo=UTC)  # after the weeks that are damaged
_LATER = timedelta(hours=1)  # long after its arrival: what is not whole by then will never be


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What files of this kind must keep; `schema`: the same as pandera's own."""

    terms: Terms
    schema: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """`outcome`: the verdict's, or "left for later"; `good`: what is accepted, None when nothing is."""

    outcome: str
    reason: str
    digest: str = ""
    good: pl.DataFrame | None = None


def kinds() -> dict[str, Kind]:
    """Flights, and what they look up, by the pipeline's own contracts."""
    from pipelines.flights import PIPELINE

    source = PIPELINE.source
    asked = {"flights": (PIPELINE.contract, PIPELINE.spec.key, source.time)}
    asked |= {table.name: (table.contract, (*table.key, table.time), table.time) for table in PIPELINE.tables}
    return {
        name: Kind(
            terms=Terms(contract=contract, policy=PIPELINE.quarantine, key=tuple(key), time=time),
            schema=schema_of(contract),
        )
        for name, (contract, key, time) in asked.items()
    }


def take(kind: Kind, path: Path, work: Path, *, tries: int = 1) -> Taken:
    """What becomes of the file at `path`; drafts and the dead letter go to `work`. From the second try on it is known
    that a process died over it.
    """
    address = Address.of(path)
    found = LocalObjects().look(address)
    if found is None:
        raise FileNotFoundError(path)
    with admitted((found,), Lake(path.parent), work=work, now=found.modified_at + _LATER) as arrived:
        if arrived.postponed:
            return Taken(outcome="left for later", reason=arrived.postponed[0].reason)
        (file,) = arrived.files
        if tries > 1 and deadly([file], work):
            return Taken(outcome="refuse", reason="reading it brings the process down")
        try:
            return _judged(kind, file, work)
        except ContractError as error:
            return Taken(outcome="refuse", reason=str(error))
        except MISHAPS as error:  # ingest says so too, and goes on with the next file
            return Taken(outcome="left for later", reason=f"{type(error).__name__}: {error}")


def _judged(kind: Kind, file: LandedFile, work: Path) -> Taken:
    rows, text = scan(file)
    with reading(file):
        judged = judge_batch(
            rows,
            kind.terms,
            pipeline="flights",
            batch=file.name,
            as_of=_AS_OF,
            dead_letter=work / "bad.parquet",
            text=text,
        )
    verdict = judged.verdict
    if not verdict.rows_accepted:
        return Taken(outcome=verdict.outcome, reason=verdict.reasons[0])
    with reading(file):
        good = judged.good.collect(engine="streaming")
    digest = frame_digest(good.height, column_digests(good))
    return Taken(outcome=verdict.outcome, reason=verdict.reasons[0], digest=digest, good=good)
