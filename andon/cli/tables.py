"""`andon catalogue`: which tables there are, what they promise, and how fresh they are. Reads no rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from andon.cli.options import AnyPipeline, AsOf, Json
from andon.cli.output import grid, moment, people, print_json, working
from andon.cli.setup import data_time, settings
from registry.ledger import Batch

if TYPE_CHECKING:
    from storage.extent import Extent
    from tasks.intake import Intake

_SHORT = 12  # characters of a fingerprint
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """One table of a pipeline: the curated rows, the labels, or a reference table (`kind`: its name).

    `rows` counts what models may learn from, `rows_set_aside` what was quarantined. `newest`: event time of the newest
    row; `age_seconds` before the moment that was asked for, `is_stale` when that is more than `max_age_seconds`.
    `bytes` and `table_version` are of the Delta table, None before its first commit.
    """

    pipeline: str
    kind: str
    owner: str
    description: str
    contract: str
    fingerprint: str
    columns: Mapping[str, str]
    place: str
    rows: int
    batches: int
    newest: datetime | None
    age_seconds: float | None
    max_age_seconds: float | None
    is_stale: bool
    rows_set_aside: int
    suspect: int
    refused: int
    claimed: int
    bytes: int | None
    table_version: int | None


def catalogue(pipeline: AnyPipeline = None, *, as_of: AsOf = None, json: Json = False) -> None:
    """The tables of each pipeline: owner, contract, rows, freshness; with a name, the columns as well."""
    from storage.extent import extent_of
    from tasks.intake import intakes
    from tasks.site import open_sites

    with working("looking at the tables"):
        entries = []
        for site in open_sites(pipeline, settings()):
            batches, now = site.ledger.batches(site.name), data_time(as_of) or site.ledger.now()
            for intake in intakes(site):
                mine = [batch for batch in batches if batch.kind == intake.kind]
                entries.append(entry_of(intake, mine, extent_of(intake.place, site.lake.remote), now=now))
    if json:
        print_json(entries)
        return
    for name in dict.fromkeys(entry.pipeline for entry in entries):
        _print_pipeline([entry for entry in entries if entry.pipeline == name], with_columns=pipeline is not None)
    if not entries:
        people().print("there are no pipelines yet; write one into pipelines/ (see the README)")


def entry_of(intake: "Intake", batches: Sequence[Batch], extent: "Extent | None", *, now: datetime) -> TableEntry:
    """What the ledger's `batches` of one kind, its contract and its table's log say."""
    from validation.contract import contract_fingerprint
    from validation.rules import schema_of

    pipeline, contract = intake.site.pipeline, intake.terms.contract
    accepted = [batch for batch in batches if batch.state == "accepted"]
    newest = max((batch.span[1] for batch in accepted if batch.span), default=None)
    age, max_age = now - newest if newest else None, intake.terms.max_age
    return TableEntry(
        pipeline=pipeline.name,
        kind=intake.kind,
        owner=pipeline.owner,
        description=pipeline.description,
        contract=getattr(contract, "__name__", None) or getattr(contract, "name", None) or intake.kind,
        fingerprint=contract_fingerprint(contract),
        columns={name: _type(column.dtype) for name, column in schema_of(contract).columns.items()},
        place=str(intake.place),
        rows=sum(batch.rows_accepted for batch in accepted),
        batches=len(accepted),
        newest=newest,
        age_seconds=age.total_seconds() if age is not None else None,
        max_age_seconds=max_age.total_seconds() if max_age is not None else None,
        is_stale=age is not None and max_age is not None and age > max_age,
        rows_set_aside=sum(batch.rows_quarantined for batch in batches),
        suspect=_count(batches, "suspect"),
        refused=_count(batches, "refused"),
        claimed=_count(batches, "claimed"),
        bytes=extent.bytes if extent else None,
        table_version=extent.version if extent else None,
    )


def _type(dtype: object) -> str:
    """As a contract's author writes it: Datetime('us', 'UTC')."""
    return re.sub(r"\w+=", "", str(dtype)) if dtype else "any type"


def _count(batches: Sequence[Batch], state: str) -> int:
    return sum(batch.state == state for batch in batches)


def _print_pipeline(entries: Sequence[TableEntry], *, with_columns: bool) -> None:
    first, console = entries[0], people()
    about = f": {first.description}" if first.description else ""
    owner = f" (owner: {first.owner})" if first.owner else " (nobody owns it: write owner= into its definition)"
    console.print(Text.assemble((first.pipeline, "bold"), about, (owner, "dim")))
    table = grid("table", "rows", "batches", "newest", "age", "set aside", "held or refused", "contract", "size")
    for entry in entries:
        table.add_row(*_row(entry))
    console.print(table)
    for entry in entries:
        console.print(Text.assemble((f"{entry.kind} ", "bold"), entry.place), soft_wrap=True)
        if with_columns:
            columns = ", ".join(f"{name} {dtype}" for name, dtype in entry.columns.items())
            console.print(Text(f"  {columns}"), soft_wrap=True)


def _row(entry: TableEntry) -> tuple[Text, ...]:
    waiting = [f"{many} {what}" for many, what in ((entry.suspect, "suspect"), (entry.refused, "refused")) if many]
    claimed = [f"{entry.claimed} not judged yet"] if entry.claimed else []
    return (
        Text(entry.kind),
        Text(f"{entry.rows:,}"),
        Text(f"{entry.batches:,}"),
        Text(moment(entry.newest)),
        _age(entry),
        Text(f"{entry.rows_set_aside:,}" if entry.rows_set_aside else "-"),
        Text(", ".join([*waiting, *claimed]) or "-", style="yellow" if entry.suspect else ""),
        Text(f"{entry.contract} {entry.fingerprint[:_SHORT]}"),
        Text("-" if entry.bytes is None else _size(entry.bytes)),
    )


def _age(entry: TableEntry) -> Text:
    if entry.age_seconds is None:
        return Text("-")
    said = in_words(timedelta(seconds=entry.age_seconds))
    if not entry.is_stale or entry.max_age_seconds is None:
        return Text(said)
    return Text(f"{said}, stale: over {in_words(timedelta(seconds=entry.max_age_seconds))}", style="red")


def in_words(age: timedelta) -> str:
    """A duration by its two largest units; "0 s" for what lies ahead."""
    left, parts = max(0, int(age.total_seconds())), []
    for seconds, unit in _UNITS:
        many, left = divmod(left, seconds)
        if many:
            parts.append(f"{many:,} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _size(size: int) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size //= 1_000
    return f"{size:,.0f} GB"
