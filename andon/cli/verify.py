"""`andon verify`: whether the ledger is as it was written, live or exported, and the exports to compare with later.

Exit code 0: nothing was found (a ledger without a seal is told, and is an error with --sealed only); 1: something was.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from andon.addresses import without_password
from andon.cli.check import is_new
from andon.cli.options import Json
from andon.cli.output import moment, people, plain, print_json
from andon.cli.setup import settings
from andon.settings import Settings
from validation.errors import DefinitionError, RegistryError

if TYPE_CHECKING:
    from registry.audit import Audit
    from registry.ledger import Head

_KEEP = "keep it where nobody who can write the ledger can write, and compare later: andon verify --against"
_File = Path | None


def verify(
    *,
    file: Annotated[_File, typer.Option("--file", help="Verify this exported ledger, without its database.")] = None,
    against: Annotated[_File, typer.Option("--against", help="An earlier export or head that must be part.")] = None,
    export: Annotated[_File, typer.Option("--export", help="Write all records and the sealed head there.")] = None,
    head: Annotated[_File, typer.Option("--head", help="Write the sealed head there, to be kept elsewhere.")] = None,
    vouch: Annotated[bool, typer.Option("--vouch", help="Seal anew what is there, for a reason: --why.")] = False,
    why: Annotated[str, typer.Option("--why", help="Why you vouch, in a sentence; it stands in the ledger.")] = "",
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Without a seal that was checked, the exit code is 1.")
    ] = False,
    json: Json = False,
) -> None:
    """Prove that no verdict was changed, removed or written anew, and that champions and batches agree with them."""
    place = settings()
    _refuse_nonsense(file, writes=bool(export or head or vouch), vouch=vouch, why=why)
    earlier = _head_of(against) if against else None
    if vouch:
        _vouch(place, why)
    found = _of_file(file, place, earlier) if file else _of_ledger(place, earlier)
    if export:
        _export(place, export, whole=True)
    if head:
        _export(place, head, whole=False)
    if json:
        print_json({"whole": found.is_whole, **plain(found)})
    else:
        _print(found)
    raise typer.Exit(int(not found.is_whole or (sealed and found.seal != "right")))


def _refuse_nonsense(file: _File, *, writes: bool, vouch: bool, why: str) -> None:
    if file and writes:
        raise DefinitionError("--export, --head and --vouch are about the ledger itself; leave out --file")
    if vouch and not why.strip():
        raise DefinitionError("say why you vouch for the ledger: andon verify --vouch --why ...")
    if why and not vouch:
        raise DefinitionError("--why is for --vouch: andon verify --vouch --why ...")


def _of_ledger(place: Settings, against: "Head | None") -> "Audit":
    from registry.audit import audit
    from registry.sql import open_ledger

    if is_new(place.ledger):
        where = without_password(place.ledger)
        raise RegistryError(f"there is no ledger at {where}; correct ANDON_HOME or ANDON_LEDGER_URL, or put it back")
    with _progress() as told:
        return audit(open_ledger(place.ledger), key=place.seal_key(on_missing="none"), against=against, told=told)


def _of_file(path: Path, place: Settings, against: "Head | None") -> "Audit":
    from registry.export import lines_in, verify_file

    with _reading(path), path.open("rb") as lines, _progress() as told:
        return verify_file(lines_in(lines), key=place.seal_key(on_missing="none"), against=against, told=told)


def _head_of(path: Path) -> "Head":
    from registry.export import head_in, lines_in

    with _reading(path), path.open("rb") as lines:
        try:
            return head_in(lines_in(lines))
        except RegistryError as error:
            raise RegistryError(f"{path}: {error}") from None


def _vouch(place: Settings, why: str) -> None:
    """A person answers for the ledger as it is; what was wrong with it stands in the record."""
    from registry.seal import EVERY_PIPELINE, Vouched
    from registry.sql import open_ledger
    from tasks.site import who

    found = _of_ledger(place, None)
    faults = tuple(fault.what for fault in found.faults)
    ledger = open_ledger(place.ledger, key=place.seal_key())
    verdict = Vouched(
        pipeline=EVERY_PIPELINE,
        subject=str(found.head.seq if found.head else 0),
        outcome="vouched",
        reasons=(why, *(f"found before: {what}" for what in faults)),
        data_time=datetime.now(UTC),
    )
    ledger.reseal(verdict, actor=who(place))


def _export(place: Settings, path: Path, *, whole: bool) -> None:
    from registry.export import exported, exported_head
    from registry.sql import open_ledger
    from storage.lake import write_whole

    ledger = open_ledger(place.ledger)
    lines = (exported if whole else exported_head)(ledger, at=datetime.now(UTC))
    with _reading(path):
        write_whole(path, lambda beside: _write(beside, lines))
    people().print(Text(f"written: {path}; {_KEEP} {path}"), soft_wrap=True)


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="ascii", newline="") as file:
        file.writelines(lines)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror or error}; name another file") from error


@contextmanager
def _progress() -> Iterator[Callable[[int], object]]:
    """Tells on a terminal how many records were read."""
    console = people()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("verifying the ledger") as shown:
        yield lambda count: shown.update(f"verifying the ledger: {count:,} records")


def _print(found: "Audit") -> None:
    console = people()
    newest = f"; the newest is record {found.head.seq:,} with the hash {found.head.hash[:12]}" if found.head else ""
    others = {"changes of champions": found.champions, "answers": found.answers, "batches": found.batches}
    counts = ", ".join([f"{found.records:,} records", *(f"{n:,} {what}" for what, n in others.items() if n)]) + newest
    if found.is_whole:
        console.print(Text.assemble(("The ledger is whole", "green"), f": {counts}"), soft_wrap=True)
    else:
        console.print(Text.assemble(("The ledger is not whole", "bold red"), f": {counts}"), soft_wrap=True)
    for fault in found.faults:
        where = f"record {fault.seq}: " if fault.seq is not None else ""
        console.print(Text(f"  {where}{fault.what}{'; ' if fault.do else ''}{fault.do}"), soft_wrap=True)
    if found.more_faults:
        console.print(Text(f"  and {found.more_faults:,} more"))
    for item in found.vouchings:
        console.print(
            Text(f"  record {item.seq}: {item.outcome} by {item.actor} at {moment(item.recorded_at)} UTC: {item.why}"),
            soft_wrap=True,
        )
    if seal := _seal(found):
        console.print(Text(seal), soft_wrap=True)


def _seal(found: "Audit") -> str:
    if found.head is None:
        return "Nothing is recorded yet."
    if found.seal == "right":
        return f"Its head is sealed with the key {found.head.key_id}."
    if found.seal == "no key":
        return (
            f"Its head is sealed with the key {found.head.key_id}, which is not here, so the seal was not checked: set "
            "ANDON_LEDGER_KEY."
        )
    if found.seal == "none":
        return (
            "Its head is not sealed: nobody would notice that its end was cut off or written anew. With a key "
            "(ANDON_LEDGER_KEY, or ledger.key in the home) the next record is sealed."
        )
    return ""
