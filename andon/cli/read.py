"""`andon status` and `show`: what the ledger says, for people and as JSON. Reads only."""

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.text import Text

from andon.addresses import without_password
from andon.cli.newest import ended_training, newest, training_line, verdict_line
from andon.cli.options import AnyPipeline, Json
from andon.cli.output import grid, moment, people, plain, print_facts, print_json, print_sentence
from andon.cli.setup import pipelines, settings
from andon.pipeline import Pipeline
from andon.settings import Settings
from validation.errors import DefinitionError, NoChampionError
from validation.watch.incidents import restored, still_open

if TYPE_CHECKING:
    from registry.ledger import Champion, Intent, Ledger, Recorded


_INCIDENTS = 200  # newest rows that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How one pipeline stands. `window` and `batch` are the newest judged ones, `paused` the reason of the cord;
    `training` is the newest one, if it came to nothing and no gate has judged since.
    """

    pipeline: str
    version: str | None
    epoch: int
    since: datetime | None
    trained_until: datetime | None
    why: str
    scorer: str
    paused: str | None
    batch: str
    window: "Recorded | None"
    gate: "Recorded | None"
    intents: "tuple[Intent, ...]"
    incidents: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()
    rollout: tuple[str, ...] = ()
    training: "Recorded | None" = None


def status(pipeline: AnyPipeline = None, *, json: Json = False) -> None:
    """Champion, newest data, newest verdicts and open intents of each pipeline."""
    from registry.sql import open_ledger

    place = settings()
    ledger = open_ledger(place.ledger)
    found = [read_status(item.name, ledger, place) for item in pipelines(pipeline, place)]
    if json:
        print_json(found[0] if pipeline else found)
        return
    for item in found:
        _print_status(item)
    if not found:
        people().print("there are no pipelines yet; write one into pipelines/ (see the README)")


def show(
    pipeline: Annotated[str | None, typer.Argument(help="The pipeline's name.")] = None,
    *,
    version: Annotated[str | None, typer.Option("--version", help="All about this model version.")] = None,
    verdict: Annotated[int | None, typer.Option("--verdict", help="All numbers of the verdict of this no.")] = None,
    variables: Annotated[bool, typer.Option("--settings", help="The environment variables ANDON_*.")] = False,
    json: Json = False,
) -> None:
    """A pipeline's definition; with an option a version, a verdict, or the settings and their variables."""
    place = settings()
    if variables:
        _print_settings(place, json=json)
        return
    if pipeline is None:
        raise DefinitionError("name a pipeline: andon show PIPELINE; or ask for the variables: andon show --settings")
    (definition,) = pipelines(pipeline, place)
    if version is not None:
        _show_version(pipeline, version, place, json=json)
        return
    value = (
        _about_verdict(pipeline, verdict, place) if verdict is not None else _about_definition(definition, json=json)
    )
    if json:
        print_json(value)
    else:
        print_facts(value)


def read_status(name: str, ledger: "Ledger", place: Settings) -> Status:
    """How the pipeline `name` stands, by the ledger and by the scorer itself."""
    from registry.rollout_words import standing_words
    from tasks.history import undelivered

    champion = ledger.champion(name)
    cord = newest(ledger, name, "cord")
    windows = [found for kind in ("drift", "performance") if (found := newest(ledger, name, kind))]
    return Status(
        pipeline=name,
        version=champion.change.version if champion else None,
        epoch=champion.epoch if champion else 0,
        since=champion.change.data_time if champion else None,
        trained_until=champion.change.trained_until if champion else None,
        why=champion.change.why if champion else "",
        scorer=_scorer_version(name, place),
        paused="; ".join(cord.reasons) if cord and cord.outcome == "paused" else None,
        batch=_newest_batch(ledger, name),
        window=max(windows, key=lambda found: found.seq, default=None),
        gate=newest(ledger, name, "gate"),
        intents=ledger.intents(name, states=("open", "claimed", "deferred")),
        incidents=_open_incidents(ledger, name),
        undelivered=tuple(run.sentence for run in undelivered(ledger, name)),
        rollout=standing_words(newest(ledger, name, "shadow"), newest(ledger, name, "probation"), champion),
        training=ended_training(ledger, name),
    )


def _open_incidents(ledger: "Ledger", name: str) -> tuple[str, ...]:
    rows = ledger.verdicts(name, kind="incident", limit=_INCIDENTS)
    return tuple(row.finding.title for row in still_open([restored(row.body) for row in rows]))


def _newest_batch(ledger: "Ledger", name: str) -> str:
    batches = ledger.batches(name, kind="rows")
    if not batches:
        return f"none yet: andon ingest {name}"
    last = batches[-1]
    until = f", until {moment(last.span[1])}" if last.span else ""
    return (
        f"no. {last.number} {last.name}: {last.state}, {last.rows_accepted:,} of {last.rows_in:,} rows"
        f" ({last.rows_quarantined:,} set aside){until}"
    )


def _scorer_version(name: str, place: Settings) -> str:
    url, token = place.scorer_url, place.scorer_token.get_secret_value()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(f"{url}/{name}/version", headers=headers, timeout=1.0, trust_env=False)
    except httpx.HTTPError:
        return "not running"
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return f"running at {url}, and asks for a token that it takes: ANDON_SCORER_TOKEN"
    try:
        version = answer.json()["version"]
    except (ValueError, KeyError, TypeError):
        return f"running at {url}, but it does not serve {name}"
    return f"version {version}" if version else "running, without a champion yet"


def _print_status(item: Status) -> None:
    table = grid("", "")
    champion = (
        f"version {item.version} (epoch {item.epoch}) since {moment(item.since)}, trained on rows before "
        f"{moment(item.trained_until)}"
        if item.version
        else f"no champion yet: andon retrain {item.pipeline}"
    )
    table.add_row("champion", Text(champion, style="" if item.version else "yellow"))
    if item.version and (item.gate is None or item.gate.subject != item.version):
        table.add_row("because", Text(item.why))
    table.add_row("scorer", item.scorer)
    if item.paused is not None:
        table.add_row(
            "paused", Text(f"{item.paused}; when it is solved: andon resume {item.pipeline} --why ...", style="red")
        )
    for title in item.incidents:
        table.add_row("incident", Text(f"{title}; more: andon incidents {item.pipeline}", style="red"))
    for line in item.rollout:
        table.add_row("rollout", Text(line))
    table.add_row("last batch", Text(item.batch))
    for line in item.undelivered:
        table.add_row("undelivered", Text(line, style="yellow"))
    table.add_row("last window", verdict_line(item.window, f"none judged yet: andon monitor {item.pipeline}"))
    table.add_row("last gate", verdict_line(item.gate, "no challenger was judged yet"))
    if item.training is not None:
        table.add_row("last training", training_line(item.training))
    for intent in item.intents:
        table.add_row("retrain", Text(_intent_line(intent)))
    people().print(Text(item.pipeline, style="bold"))
    people().print(table)


def _intent_line(intent: "Intent") -> str:
    line = f"{intent.state} since {moment(intent.data_time)}: {intent.reason}"
    until = f" until {moment(intent.until)}" if intent.until else ""
    condition = f" until {intent.condition}" if intent.condition and not until else ""
    return f"{line} (put off{until}{condition})" if intent.state == "deferred" else line


def _about_definition(definition: Pipeline, *, json: bool) -> dict[str, Any]:
    """The definition; for people with durations as they are said, for machines in seconds."""
    parts = {item.name: getattr(definition, item.name) for item in fields(definition)}
    said = {} if json else {name: plain(part) for name, part in parts.items() if is_dataclass(part)}
    inputs = {"inputs": list(definition.inputs), "fingerprint": definition.fingerprint}
    return {**definition.to_dict(), **said, **inputs}


def _show_version(name: str, version: str, place: Settings, *, json: bool) -> None:
    from registry.sql import open_ledger

    ledger = open_ledger(place.ledger)
    reigns: list[Champion] = [row for row in ledger.champions(name) if row.change.version == version]
    verdicts = ledger.verdicts(name, subject=version)
    if not reigns and not verdicts:
        raise NoChampionError(f"the ledger knows no version {version!r} of {name}; see: andon history {name}")
    if json:
        print_json({"reigns": reigns, "verdicts": verdicts})
        return
    for reign in reigns:
        print_facts({f"champion, epoch {reign.epoch}": plain(reign.change)})
    for verdict in verdicts:
        print_sentence(f"{verdict.seq:>5}  {moment(verdict.data_time)} ", verdict)


def _about_verdict(name: str, seq: int, place: Settings) -> dict[str, Any]:
    from registry.sql import open_ledger

    for found in open_ledger(place.ledger).verdicts(name):
        if found.seq == seq:
            return dict(plain(found))
    raise DefinitionError(f"there is no verdict no. {seq} about {name}; see: andon history {name}")


def _shown(value: Any) -> Any:
    return without_password(value) if isinstance(value, str) else plain(value)


def _print_settings(place: Settings, *, json: bool) -> None:
    rows = [
        {"variable": f"ANDON_{name}".upper(), "value": _shown(getattr(place, name)), "meaning": info.description}
        for name, info in Settings.model_fields.items()
    ]
    if json:
        print_json(rows)
        return
    table = grid("variable", "value", "meaning")
    for row in rows:
        table.add_row(*(Text("-" if row[key] in (None, "") else str(row[key])) for key in row))
    people().print(table)
