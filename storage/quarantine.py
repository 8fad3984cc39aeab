"""What was set aside and why. Bad input loses nothing: bad rows are kept as they came, refused files as a whole.

A batch leaves `<number>.parquet` (its bad rows, with `_row` and `_rules`), or `<number>.json` (why the file was
refused) beside `<number>.<file name>` (its bytes), or all of them.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from storage.lake import write_whole

_NAME_BYTES = 150  # of the refused file's name; file systems hold 255, and a draft's name is longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused file: its name and digest at its arrival, and the reasons."""

    batch: int
    name: str
    sha256: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the quarantine holds of a batch: the file of its bad rows, and its refusal with the copy of the file."""

    batch: int
    rows: Path | None
    refusal: Refusal | None
    copy: Path | None


def set_aside(folder: Path, bad: pl.DataFrame, *, batch: int) -> Path:
    """Keep the bad rows of a batch; a repetition replaces them."""
    return write_whole(folder / f"{batch}.parquet", bad.write_parquet)


def keep_refused(folder: Path, file: Path, *, refusal: Refusal) -> Path:
    """Keep a copy of a refused file (unless it was taken away), then its reasons: then the copy is whole."""
    copy = _copy_of(folder, refusal)
    if file.exists():
        write_whole(copy, lambda beside: shutil.copyfile(file, beside))
    text = json.dumps(asdict(refusal), indent=2)
    write_whole(folder / f"{refusal.batch}.json", lambda beside: beside.write_text(text, encoding="utf-8"))
    return copy


def entries(folder: Path) -> tuple[Entry, ...]:
    """All that is set aside, by batch."""
    rows = {int(path.stem): path for path in folder.glob("*.parquet") if path.stem.isdecimal()}
    refusals = {int(path.stem): _refusal(path) for path in folder.glob("*.json") if path.stem.isdecimal()}
    return tuple(
        Entry(
            batch=batch,
            rows=rows.get(batch),
            refusal=refusals.get(batch),
            copy=_copy_of(folder, refusals[batch]) if batch in refusals else None,
        )
        for batch in sorted(rows.keys() | refusals.keys())
    )


def _copy_of(folder: Path, refusal: Refusal) -> Path:
    name = refusal.name.replace("/", "_").encode()[-_NAME_BYTES:].decode(errors="ignore")
    return folder / f"{refusal.batch}.{name}"


def _refusal(path: Path) -> Refusal:
    body = json.loads(path.read_text(encoding="utf-8"))
    return Refusal(**{**body, "reasons": tuple(body["reasons"])})
