"""`andon history`: what was decided about a pipeline, in sentences, with what happened between. Reads only."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from andon.cli.options import Json, OnePipeline
from andon.cli.output import moment, people, plain, print_json
from andon.cli.setup import pipelines, settings

if TYPE_CHECKING:
    from registry.ledger import Champion, Recorded
    from registry.story import Entry, Tone

_INDENT = 25
_MUCH = timedelta(days=1)  # a decision was written so long after the moment that it was made for: a replay, a backfill
_COLOURS: "dict[Tone, str]" = {"good": "green", "bad": "red", "asks": "yellow", "plain": ""}
_COUNTED = {
    "contract": "batches",
    "score": "batches",
    "drift": "drift",
    "window": "windows",
    "performance": "performance",
}
_PEOPLE_SAY = {"accept": "accepted", "quarantine": "with rows set aside", "refuse": "refused", "duplicate": "repeated"}
_LOUD = {"refuse", "drift", "regret", "biased"}


def history(
    pipeline: OnePipeline,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many of the newest entries.")] = 30,
    everything: Annotated[bool, typer.Option("--all", help="Every verdict, not only the decisions.")] = False,
    json: Json = False,
) -> None:
    """What was decided about a pipeline, oldest first: by whom, for which moment of the data, and why."""
    from registry.sql import open_ledger
    from registry.story import entries, is_routine

    place = settings()
    pipelines(pipeline, place)
    ledger = open_ledger(place.ledger)
    verdicts = ledger.verdicts(pipeline, limit=limit if everything else None)
    asked = {intent.id: intent.reason for intent in ledger.intents(pipeline)}
    decided = [item for item in verdicts if everything or not is_routine(item)]
    shown = {entry.seq: entry for entry in entries(decided, asked=asked)[-limit:]}
    if json:
        print_json([_as_json(item, shown[item.seq]) for item in decided if item.seq in shown])
    elif not verdicts:
        people().print(f"nothing has been decided about {pipeline} yet; let data in: andon ingest {pipeline}")
    else:
        _print(pipeline, verdicts, list(shown.values()), ledger.champion(pipeline))
        if (more := len(decided) - len(shown)) and not everything:
            people().print(Text(f"{more} earlier decisions: andon history {pipeline} --limit {len(decided)}", "dim"))


def _as_json(record: "Recorded", entry: "Entry") -> dict[str, object]:
    return {**plain(record), "text": entry.text, "why": list(entry.why), "tone": entry.tone}


def _print(
    pipeline: str, verdicts: "Sequence[Recorded]", shown: "Sequence[Entry]", champion: "Champion | None"
) -> None:
    console, known = people(), {entry.seq: entry for entry in shown}
    now = f"version {champion.change.version} is champion (epoch {champion.epoch})" if champion else "no champion yet"
    console.print(Text.assemble((pipeline, "bold"), f": {now}"))
    start = shown[0].seq if shown else 0
    between: Counter[tuple[str, str]] = Counter()
    said = ""
    for record in verdicts:
        if record.seq in known:
            _print_between(console, between)
            between.clear()
            said = _print_entry(console, known[record.seq], said)
        elif record.seq > start:
            between[_COUNTED.get(record.kind, ""), record.outcome] += 1
    _print_between(console, between)


def _print_entry(console: Console, entry: "Entry", said: str) -> str:
    """The entry; who decided and when it was written only where that is not what was said last. What was said."""
    late = abs(entry.recorded_at - entry.when) > _MUCH
    by = f"by {entry.who}{f', written on {entry.recorded_at:%Y-%m-%d}' if late else ''}"
    first, *rest = (entry.text, *entry.why)
    if len(rest) == 1 and len(first) + len(rest[0]) + 2 <= console.width - _INDENT:
        first, rest = f"{first}, {rest[0]}", []
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    told = [Text(first, style=_COLOURS[entry.tone]), *map(Text, rest)]
    told += [Text(by, style="dim")] if by != said else []
    table.add_row(Text(f"{entry.seq:>5}", style="dim"), moment(entry.when), Text("\n").join(told))
    console.print(table)
    return by


def _print_between(console: Console, counts: "Counter[tuple[str, str]]") -> None:
    parts = list(_between(counts))
    if parts:
        console.print(Padding(Text.assemble(("... ", "dim"), *parts), (0, 0, 0, _INDENT)))


def _between(counts: "Counter[tuple[str, str]]") -> Iterator[tuple[str, str]]:
    """What happened every day, counted: "batches: 3 accepted, 1 refused; drift: 7 quiet"."""
    first = True
    for kind in dict.fromkeys(kind for kind, _ in counts if kind):
        yield (f"{'' if first else '; '}{kind}: ", "dim")
        first = False
        outcomes = [(outcome, many) for (of, outcome), many in counts.items() if of == kind]
        for number, (outcome, many) in enumerate(outcomes):
            yield (
                f"{', ' if number else ''}{many} {_PEOPLE_SAY.get(outcome, outcome)}",
                "red" if outcome in _LOUD else "dim",
            )
