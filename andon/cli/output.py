"""How the command line speaks: tables for people on stderr, one JSON value on stdout, a spinner meanwhile."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from validation.verdict import Verdict

if TYPE_CHECKING:
    from registry.ledger import Recorded

_NOUNS = {**dict.fromkeys(("gate", "question", "answer", "promotion", "rollback"), "version"), "score": "batch"}
_INDENT = 18  # below the kind, behind the moment
_GOOD = {
    "accept", "accepted", "adopted", "approved", "closed", "delivered", "fine", "ok", "promote", "promoted", "quiet",
    "released", "resumed", "run", "scored", "trained",
}  # fmt: skip
_BAD = {
    "biased", "refuse", "refused", "reject", "rejected", "drift", "regret", "paused", "missing", "failed", "forced",
    "broken", "not reachable", "opened", "timed out",
}  # fmt: skip


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
    found = (verdicts,) if isinstance(verdicts, Verdict) else verdicts
    if json:
        print_json(verdicts)
    elif not found:
        people().print(nothing)
    for item in found if not json else ():
        print_sentence(f"{moment(item.data_time)}  {item.pipeline}", item)


def print_sentence(head: str, item: "Verdict | Recorded") -> None:
    """A verdict in two lines: when, what and how it ended; below, indented, why."""
    console = people()
    console.print(Text.assemble(f"{head} {about(item.kind, item.subject)}: ", coloured(item.outcome)), soft_wrap=True)
    for reason in item.reasons:
        console.print(Padding(Text(reason), (0, 0, 0, _INDENT)))


def print_facts(value: Mapping[str, Any], *, indent: int = 0) -> None:
    """Nested values, one in a line; a list of records has one record in a line."""
    margin = " " * indent
    for name, item in value.items():
        records = item if isinstance(item, list) and item and isinstance(item[0], dict) else []
        if (isinstance(item, dict) and item) or records:
            people().print(Text(f"{margin}{name}", style="bold"))
            if isinstance(item, dict):
                print_facts(item, indent=indent + 2)
            for record in records:
                line = ", ".join(f"{key} {_short(part)}" for key, part in record.items())
                people().print(Text(f"{margin}  {line}"), soft_wrap=True)
        else:
            people().print(Text(f"{margin}{name}: {_short(item)}"), soft_wrap=True)


def grid(*columns: str) -> Table:
    """A plain table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def coloured(outcome: str) -> Text:
    """An outcome, green where all is well and red where somebody should look."""
    colour = "green" if outcome in _GOOD else "red" if outcome in _BAD else "yellow"
    return Text(outcome, style=colour)


def moment(when: datetime | None) -> str:
    """A moment for people, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if when else "-"


def about(kind: str, subject: str) -> str:
    """What a verdict is about, for people: a version, a batch, or a window's start without seconds and zone."""
    if kind == "snapshot":
        return f"{kind} {subject[:12]}"
    if subject.isdigit() and kind in _NOUNS:
        return f"{kind} of {_NOUNS[kind]} {subject}"
    try:
        return f"{kind} {moment(datetime.fromisoformat(subject)) if 'T' in subject else subject}"
    except ValueError:
        return f"{kind} {subject}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_short, value)) or "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value in (None, "", {}) else str(value)
