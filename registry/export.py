"""A ledger as a file: one canonical JSON text a line, first a header, then the records, last the sealed head. Pure.

What is checked of such a file: each line is the one canonical text of its value; each record's hash is that of its
content, and names the record before; the last line names the newest record, carries its seal, and the sha256 of all
lines before it with its own head. So every changed byte and every cut is found without the key; that somebody computed
all hashes anew is found with the key, or with a head that was exported before. `exported_at` is under no seal.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, BinaryIO

from registry.audit import Audit, Watch
from registry.chain import GENESIS, canonical, intact
from registry.ledger import Head, Ledger, Recorded
from validation.errors import RegistryError

FORMAT = "andon-ledger-1"
HEAD_FORMAT = "andon-ledger-head-1"
_LONGEST_LINE = 1 << 26  # bytes; a longer one is no record
_FIELDS = tuple(item.name for item in fields(Recorded) if item.name != "reasons")  # they stand in the body
_MOMENTS = ("data_time", "recorded_at")
_DO = "find out what happened to the file, and take another copy of it"


def exported(ledger: Ledger, *, at: datetime) -> Iterator[str]:
    """The lines of the file, each with its end, up to the head as it is now."""
    head = ledger.head() or _unsealed(ledger)
    digest = hashlib.sha256()
    for line in _lines(ledger, head, at):
        digest.update(line.encode())
        yield line
    yield _last(head, digest)


def exported_head(ledger: Ledger, *, at: datetime) -> Iterator[str]:
    """The lines of a file with the head alone, to be kept where nobody who can write the ledger can write."""
    head = ledger.head() or _unsealed(ledger)
    first = _line({"format": HEAD_FORMAT, "exported_at": at})
    yield first
    yield _last(head, hashlib.sha256(first.encode()))


def line_of(record: Recorded) -> str:
    """The one line of a record."""
    return _line({name: getattr(record, name) for name in _FIELDS})


def record_of(line: bytes) -> Recorded:
    """The record of a line; RegistryError when the line is not the one canonical text of a record with its own hash."""
    value = _value(line)
    try:
        moments = {name: datetime.fromisoformat(value[name]) for name in _MOMENTS}
        record = Recorded(**{**value, **moments}, reasons=tuple(value["body"]["reasons"]))
        text = line_of(record)
    except (KeyError, TypeError, ValueError, RecursionError, RegistryError):
        raise RegistryError("it is no record") from None
    if text.encode() != line:
        raise RegistryError("it was changed: this is not how a record is written")
    if not intact(record):
        raise RegistryError("it was changed: its hash is not that of its content")
    return record


def head_in(lines: Iterable[bytes]) -> Head:
    """The head at the end of an exported ledger, or of an exported head; RegistryError when the file is not whole."""
    digest, form, pending = hashlib.sha256(), None, b""
    for line in lines:
        if pending and form is None:
            form = _value(pending).get("format")
        digest.update(pending)
        pending = line
    if form not in (FORMAT, HEAD_FORMAT):
        raise RegistryError(f"it is no export of a ledger or of its head; {_DO}")
    return _head_of(pending, digest)


def verify_file(
    lines: Iterable[bytes],
    *,
    key: bytes | None,
    against: Head | None = None,
    told: Callable[[int], object] = lambda _: None,
) -> Audit:
    """Verify an exported ledger by its lines, each with its end, without its database."""
    watch, digest, count, pending = Watch(against), hashlib.sha256(), None, b""
    for number, line in enumerate(lines):
        if number == 1:
            count = _count(pending)
        elif number > 1:
            _look(pending, watch, told)
        digest.update(pending)
        pending = line  # only the next line tells that this one is not the last
    if count is None:
        watch.add(None, f"the first line is not the header of an exported ledger ({FORMAT})", do=_DO)
    head = _end(pending, digest, watch)
    if count not in (None, watch.records):
        watch.add(None, f"the header says {count} records, found are {watch.records}", do=_DO)
    return watch.audit(head, watch.end(head, key))


def lines_in(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, each with its end; what is longer than any record is given in pieces."""
    while line := file.readline(_LONGEST_LINE):
        yield line


def _lines(ledger: Ledger, head: Head, at: datetime) -> Iterator[str]:
    """The header, and all records up to the head; those behind it were written since."""
    yield _line({"format": FORMAT, "count": head.seq, "exported_at": at})
    after = 0
    while after < head.seq and (part := ledger.records(after=after)):
        yield from (line_of(record) for record in part if record.seq <= head.seq)
        after = part[-1].seq


def _unsealed(ledger: Ledger) -> Head:
    """The head of a ledger that has none: of an earlier Andon, or empty."""
    newest = ledger.verdicts(limit=1)
    return Head(seq=newest[0].seq, hash=newest[0].hash) if newest else Head(seq=0, hash=GENESIS)


def _line(value: Mapping[str, Any]) -> str:
    return canonical(value) + "\n"


def _last(head: Head, digest: Any) -> str:
    digest.update(canonical(head).encode())
    return _line({"head": head, "sha256": digest.hexdigest()})


def _value(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise RegistryError("it is no JSON") from None
    if not isinstance(value, dict):
        raise RegistryError("it is no JSON object")
    return value


def _count(line: bytes) -> int | None:
    """How many records the header announces; None when it is no header."""
    try:
        value = _value(line)
    except RegistryError:
        return None
    count = value.get("count")
    is_header = value.get("format") == FORMAT and isinstance(count, int) and _line(value).encode() == line
    return count if is_header else None


def _look(line: bytes, watch: Watch, told: Callable[[int], object]) -> None:
    try:
        watch.look(record_of(line))
    except RegistryError as error:
        watch.add(watch.newest.seq + 1 if watch.newest else 1, f"{error}", do=_DO)
    if watch.records % 1000 == 0:
        told(watch.records)


def _end(line: bytes, digest: Any, watch: Watch) -> Head | None:
    try:
        return _head_of(line, digest)
    except RegistryError as error:
        watch.add(None, f"{error}", do="")
        return None


def _head_of(line: bytes, digest: Any) -> Head:
    """The head of a last line, when the line is whole and the digest of all lines before fits."""
    try:
        value = _value(line)
        head = Head(**value["head"])
        text = _last(head, digest.copy())
    except (KeyError, TypeError, RegistryError):
        raise RegistryError(f"the last line names no head: the file's end is cut off or changed; {_DO}") from None
    known = isinstance(head.seq, int) and all(isinstance(text, str) for text in (head.hash, head.mac, head.key_id))
    if not known or text.encode() != line:
        raise RegistryError(f"the file is not what was exported: its sha256 does not fit; {_DO}")
    return head
