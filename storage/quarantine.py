"""What was set aside and why. Bad input loses nothing: bad rows are kept as they came, refused files as a whole.

A batch leaves `<number>.parquet` (its bad rows, with `_row` and `_rules`), `<number>.repeated.parquet` (rows whose key
another file had brought with other values), or `<number>.json` (why the file was refused) beside `<number>.<file name>`
(its bytes). Beside the quarantine wait the verdicts of files that are being taken in.
"""

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.address import Address
from storage.objects import Objects

_NAME_BYTES = 150  # of the refused file's name; file systems hold 255, and a draft's name is longer
_OF_BATCH = re.compile(r"(\d+)\.(.+)")
_BAD, _REPEATED, _REFUSAL = "parquet", "repeated.parquet", "json"
_STAGED = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused file: its name and digest at its arrival, the reasons, and how its columns differ from the contract."""

    batch: int
    name: str
    sha256: str
    reasons: tuple[str, ...]
    difference: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the quarantine holds of a batch: its bad rows, its repeated ones, its refusal with the copy of the file."""

    batch: int
    rows: Address | None = None
    repeated: Address | None = None
    refusal: Refusal | None = None
    copy: Address | None = None

    @property
    def places(self) -> tuple[Address, ...]:
        """All files of this entry."""
        return tuple(place for place in (self.rows, self.repeated, self.copy) if place is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """The folder of one pipeline's batches of one kind, and the one where verdicts wait for the ledger."""

    folder: Address
    staging: Address
    objects: Objects

    def keep_rows(self, bad: Path, *, batch: int) -> Address:
        """Keep the bad rows of a batch (a Parquet file); a repetition replaces them."""
        return self._put(bad, f"{batch}.{_BAD}")

    def keep_repeated(self, rows: Path, *, batch: int) -> Address:
        """Keep rows whose key another file had brought, with other values."""
        return self._put(rows, f"{batch}.{_REPEATED}")

    def keep_refused(self, file: Path | None, *, refusal: Refusal) -> None:
        """Keep a copy of a refused file (None: it was taken away), then its reasons: then the copy is whole."""
        if file is not None:
            self._put(file, _copy_name(refusal))
        reasons = json.dumps(asdict(refusal), indent=2).encode()
        self._put_text(reasons, self.folder / f"{refusal.batch}.{_REFUSAL}")

    def stage(self, name: str, text: bytes) -> None:
        """Keep what is about to be written to the ledger, so that a successor can finish it without the files."""
        self._put_text(text, self.staging / f"{name}.{_STAGED}")

    def staged(self) -> dict[str, bytes]:
        """What was staged and not forgotten, by name; what a killed process had half written is not staged."""
        names = (name.rpartition(".") for name in self.objects.names(self.staging))
        return {
            name: self.objects.read(self.staging / f"{name}.{_STAGED}") for name, _, kind in names if kind == _STAGED
        }

    def unstage(self, *names: str) -> None:
        """Forget what was staged under these names."""
        self.remove(*(self.staging / f"{name}.{_STAGED}" for name in names))

    def entries(self) -> tuple[Entry, ...]:
        """All that is set aside, by batch."""
        found: dict[int, set[str]] = {}
        for name in self.objects.names(self.folder):
            if match := _OF_BATCH.fullmatch(name):
                found.setdefault(int(match[1]), set()).add(match[2])
        return tuple(self._entry(batch, parts) for batch, parts in sorted(found.items()))

    def entry(self, batch: int) -> Entry | None:
        """What is set aside of one batch."""
        return next((item for item in self.entries() if item.batch == batch), None)

    def remove(self, *places: Address) -> None:
        """Take these files away for good."""
        for place in places:
            self.objects.remove(place)

    def discard(self, entry: Entry) -> None:
        """Take away all of an entry, its reasons last."""
        self.remove(*entry.places)
        if entry.refusal is not None:
            self.objects.remove(self.folder / f"{entry.batch}.{_REFUSAL}")

    def _entry(self, batch: int, parts: set[str]) -> Entry:
        def place(part: str) -> Address | None:
            return self.folder / f"{batch}.{part}" if part in parts else None

        refusal = self._refusal(batch) if _REFUSAL in parts else None
        copy = _copy_name(refusal).partition(".")[2] if refusal else ""
        return Entry(batch=batch, rows=place(_BAD), repeated=place(_REPEATED), refusal=refusal, copy=place(copy))

    def _refusal(self, batch: int) -> Refusal:
        body = json.loads(self.objects.read(self.folder / f"{batch}.{_REFUSAL}"))
        reasons, difference = tuple(body.pop("reasons")), tuple(body.pop("difference", ()))
        return Refusal(**body, reasons=reasons, difference=difference)

    def _put(self, file: Path, name: str) -> Address:
        self.objects.put(file, self.folder / name)
        return self.folder / name

    def _put_text(self, text: bytes, place: Address) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "text"
            file.write_bytes(text)
            self.objects.put(file, place)


def _copy_name(refusal: Refusal) -> str:
    name = refusal.name.replace("/", "_").encode()[-_NAME_BYTES:].decode(errors="ignore")
    return f"{refusal.batch}.file.{name}"
