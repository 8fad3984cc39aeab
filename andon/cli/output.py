"""How the command line speaks: tables for people on stderr, one JSON value on stdout, a spinner meanwhile."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from validation.verdict import Verdict

GOOD = {"accept", "promote", "promoted", "fine", "quiet", "run", "scored", "resumed", "ok", "delivered"}
BAD = {"refuse", "refused", "reject", "drift", "regret", "paused", "missing", "failed", "broken", "not reachable"}


def people() -> Console:
    """The console for people: stderr, so that stdout stays one JSON value."""
    return Console(stderr=True, highlight=False)


@contextmanager
def working(doing: str) -> Iterator[None]:
    """Show what is being done, on a terminal; whatever a library prints meanwhile goes to stderr."""
    console = people()
    with redirect_stdout(sys.stderr):
        if console.is_terminal:
            with console.status(doing):
                yield
        else:
            yield


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(plain(value)), indent=2).decode() + "\n")


def plain(value: Any) -> Any:
    """`value` as JSON values: dataclasses by field, verdicts with their kind."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if isinstance(value, Verdict) else {}
        return {**kind, **{item.name: plain(getattr(value, item.name)) for item in fields(value)}}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, timedelta):
        return str(value).removesuffix(", 0:00:00")
    return value if value is None or isinstance(value, bool | int | float | datetime) else str(value)


def print_verdicts(verdicts: Verdict | Sequence[Verdict], *, json: bool, nothing: str = "nothing was due") -> None:
    """The verdicts of a command, or one sentence when there were none."""
    if json:
        print_json(verdicts)
        return
    table = grid("data time", "pipeline", "rule", "about", "verdict", "why")
    for item in (verdicts,) if isinstance(verdicts, Verdict) else verdicts:
        cells = (moment(item.data_time), item.pipeline, item.kind, about(item.subject))
        table.add_row(*cells, coloured(item.outcome), Text("\n".join(item.reasons)))
    people().print(table if table.row_count else nothing)


def grid(*columns: str) -> Table:
    """A plain table whose last column takes the room that is left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", ratio=1 if name == columns[-1] and len(columns) > 2 else None)
    return table


def coloured(outcome: str) -> Text:
    """An outcome, green where all is well and red where somebody should look."""
    colour = "green" if outcome in GOOD else "red" if outcome in BAD else "yellow"
    return Text(outcome, style=colour)


def moment(when: datetime | None) -> str:
    """A moment for people, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if when else "-"


def about(subject: str) -> str:
    """A verdict's subject for people: a window's start without seconds and zone, everything else as it is."""
    try:
        return moment(datetime.fromisoformat(subject)) if "T" in subject else subject
    except ValueError:
        return subject
