"""`andon incidents`: what is wrong now, what was lately, and whether people have heard of it. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from andon.cli.options import AnyPipeline, Json
from andon.cli.output import moment, people, print_json
from andon.cli.setup import pipelines, settings
from validation.watch.incidents import Incident, restored
from validation.watch.telling import text_of, title_of

if TYPE_CHECKING:
    from registry.ledger import Ledger, Recorded

_INDENT = 2
_KEPT = 1_000  # newest rows that are looked at
_NOT_YET = "not told yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An incident as it stands: its newest row, when that was written, and what each channel has heard of it."""

    row: int
    recorded_at: datetime
    incident: Incident
    channels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The incidents of a pipeline, oldest first; `newest_batch`: when accepted rows last came in."""

    pipeline: str
    newest_batch: datetime | None
    open: tuple[Told, ...]
    closed: tuple[Told, ...]


def incidents(
    pipeline: AnyPipeline = None,
    *,
    limit: Annotated[int, typer.Option("--limit", min=0, help="So many of the newest closed ones.")] = 5,
    json: Json = False,
) -> None:
    """What is wrong now, and was lately; why, since when, what is done about it, and who was told."""
    from registry.sql import open_ledger
    from tasks.channels import channels_of

    place = settings()
    ledger, names = open_ledger(place.ledger), [channel.name for channel in channels_of(place)]
    found = [_watch(ledger, item.name, names, limit) for item in pipelines(pipeline, place)]
    if json:
        print_json(found[0] if pipeline else found)
        return
    for watch in found:
        _print(watch)
    if not names:
        told = "nobody is told of incidents: set ANDON_ALERT_WEBHOOKS or ANDON_ALERT_BLOCKS (andon show --settings)"
        people().print(Text(told, style="yellow"))


def _watch(ledger: "Ledger", name: str, channels: Sequence[str], limit: int) -> Watch:
    rows = {row.subject: row for row in ledger.verdicts(name, kind="incident", limit=_KEPT)}
    alerts = ledger.verdicts(name, kind="alert", limit=_KEPT) if rows else ()
    all_of_them = [_told(row, alerts, channels) for row in sorted(rows.values(), key=lambda row: row.seq)]
    accepted = [batch.recorded_at for batch in ledger.batches(name, kind="rows", states=("accepted",))]
    closed = tuple(item for item in all_of_them if item.incident.outcome == "closed")
    return Watch(
        pipeline=name,
        newest_batch=max(accepted, default=None),
        open=tuple(item for item in all_of_them if item.incident.outcome != "closed"),
        closed=closed[len(closed) - limit :] if limit < len(closed) else closed,
    )


def _told(row: "Recorded", alerts: "Sequence[Recorded]", channels: Sequence[str]) -> Told:
    """NOTE: a channel that was taken out of the settings is told of with what it has heard."""
    heard = dict.fromkeys(channels, _NOT_YET)
    for alert in alerts:
        if alert.body["row"] == row.seq:
            heard[str(alert.body["channel"])] = _heard(alert)
    return Told(row=row.seq, recorded_at=row.recorded_at, incident=restored(row.body), channels=heard)


def _heard(alert: "Recorded") -> str:
    if alert.outcome == "delivered":
        return f"told on {moment(alert.recorded_at)}"
    why = alert.reasons[0].partition(": ")[2]
    return f"NOT told, try {alert.body['attempt']} on {moment(alert.recorded_at)}: {why}"


def _print(watch: Watch) -> None:
    console, many = people(), len(watch.open)
    state = f"{many} open incident{'s' if many > 1 else ''}" if many else "no open incident"
    came = f"; rows last came in on {moment(watch.newest_batch)}" if watch.newest_batch else "; no rows have come yet"
    console.print(Text.assemble((watch.pipeline, "bold"), ": ", (state, "red" if many else "green"), (came, "dim")))
    for told in watch.open:
        console.print(Padding(Text(title_of(told.incident), style="bold red"), (1, 0, 0, _INDENT)))
        console.print(Padding(Text(text_of(told.incident)), (0, 0, 0, _INDENT)), soft_wrap=True)
        _print_channels(told)
    for told in reversed(watch.closed):
        head = f"{moment(told.recorded_at)}  {told.incident.finding.title}: over, {told.incident.over}"
        console.print(Padding(Text(head, style="dim"), (0, 0, 0, _INDENT)), soft_wrap=True)
        _print_channels(told, only_failed=True)


def _print_channels(told: Told, *, only_failed: bool = False) -> None:
    for name, heard in told.channels.items():
        failed = heard.startswith("NOT")
        if failed or not only_failed:
            style = "red" if failed else "dim"
            people().print(Padding(Text(f"{name}: {heard}", style=style), (0, 0, 0, _INDENT)), soft_wrap=True)
