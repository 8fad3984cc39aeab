"""The independent count of a yard (ingest_world.py) that stands still: what landed, against what the tables, the
quarantine and the ledger hold of it.

Files and tables are read as they lie there by pyarrow, deltalake and sqlite3, and each row is judged anew in plain
Python; nothing of the code under test is called.
"""

import csv
import gzip
import hashlib
import io
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from tests.e2e.ingest_world import FOLDERS, NAME, Yard

MAX_BAD_SHARE = 0.2
COLUMNS = {
    "rows": ("parcel_id", "sent_at", "depot", "weight", "note"),
    "labels": ("parcel_id", "minutes", "known_at"),
    "weather": ("depot", "seen_at", "temp"),
}
GONE = ("was taken away or overwritten before it was taken in", "was overwritten while it was read")
NUMBERS = {"rows": "weight", "labels": "minutes", "weather": "temp"}
KEYS = {"rows": (0,), "labels": (0, 2), "weather": (0, 1)}
PLACES = {"rows": f"curated/{NAME}", "labels": f"labels/{NAME}", "weather": f"tables/{NAME}/weather"}

Row = tuple[Any, ...]
Kind = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Rows of all files that landed, and where they are now."""

    landed: int
    curated: int
    quarantined: int
    refused: int
    duplicates: int


@dataclass(slots=True, kw_only=True)
class Expected:
    """What should have become of a file."""

    state: str
    rows: int
    curated: list[Row] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)  # where in the file
    aside: list[Row] = field(default_factory=list)
    duplicates: int = 0


def account(
    yard: Yard, *, on_repeat: str = "first", pending: Sequence[str] = (), max_weight: float = 30
) -> dict[Kind, Accounts]:
    """Count each kind; AssertionError when a row is lost, doubled, or elsewhere than it should be, or when the ledger
    says anything else. `pending`: names of files that are rightly not finished.
    """
    ledger = Ledger(yard)
    ledger.check()
    found = {}
    for kind in FOLDERS:
        policy = on_repeat if kind == "rows" else "last"
        found[kind] = _Count(yard, ledger, kind, policy=policy, max_weight=max_weight).run(pending)
    return found


class Ledger:
    """The ledger's rows, past all code of ours."""

    def __init__(self, yard: Yard) -> None:
        with closing(sqlite3.connect(yard.home / "ledger.db", timeout=30)) as database:
            database.row_factory = sqlite3.Row
            self.batches = [dict(row) for row in database.execute("select * from andon_batches order by kind, number")]
            self.verdicts = [dict(row) for row in database.execute("select * from andon_verdicts order by seq")]
            held = "select holder from andon_leases where holder != '' and expires_at > ?"
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            self.leases = [row["holder"] for row in database.execute(held, (now,))]

    def check(self) -> None:
        """Each batch has one verdict, each verdict is of one batch, and nobody holds a lease."""
        assert self.leases == [], "somebody still holds a lease"
        told = [row for row in self.verdicts if row["kind"] == "contract"]
        named = Counter(row["verdict_seq"] for row in self.batches if row["verdict_seq"] is not None)
        assert set(named.values()) <= {1}, "two batches have one verdict"
        of_the_gone = {row["seq"] for row in told if any(said in row["body"] for said in GONE)}
        assert {row["seq"] for row in told} - of_the_gone <= set(named), "a verdict is of no batch"
        subjects = {row["seq"]: row["subject"] for row in told}
        for batch in self.batches:
            if batch["verdict_seq"] is not None:
                expected = batch["name"] if batch["kind"] == "rows" else f"{batch['kind']} {batch['name']}"
                assert subjects[batch["verdict_seq"]] == expected

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        """The batches of a kind, in the order in which they were finished; those that are not come last."""
        mine = [row for row in self.batches if row["kind"] == kind]
        return sorted(mine, key=lambda row: (row["verdict_seq"] is None, row["verdict_seq"], row["number"]))


class _Count:
    def __init__(self, yard: Yard, ledger: Ledger, kind: Kind, *, policy: str, max_weight: float) -> None:
        self.yard, self.kind, self.policy, self.max_weight = yard, kind, policy, max_weight
        self.batches = ledger.of(kind)
        self.table = table_rows(yard, kind)
        self.versions: dict[Row, Row] = {}  # by key: the newest row that counts
        self.taken: dict[str, int] = {}  # digests of what was taken, or is a duplicate of what was
        self.total = Counter[str]()
        released = (row["name"].split() for row in self.batches if row["state"] in ("accepted", "duplicate"))
        self.released = {int(words[1]) for words in released if words[0] == "released"}
        self.aside: dict[int, list[Row]] = {}  # what was set aside of a batch, and a person has released

    def run(self, pending: Sequence[str]) -> Accounts:
        landing = self._landing()
        for batch in self.batches:
            if batch["verdict_seq"] is None:
                assert batch["name"] in pending, f"{batch['name']} is not finished"
            elif batch["name"].startswith("released "):
                self._check_released(batch)
            else:
                self._check(batch, is_there=(batch["name"], batch["sha256"]) in landing)
        finished = {(row["name"], row["sha256"]) for row in self.batches if row["verdict_seq"] is not None}
        lost = {name for name, _ in landing - finished} - set(pending)
        assert not lost, f"{sorted(lost)} landed and were not taken in"
        unknown = set(self.table) - {row["number"] for row in self.batches}
        assert not unknown, f"the table holds rows of batches that the ledger does not know: {unknown}"
        counted = Accounts(**{name: self.total[name] for name in Accounts.__slots__})
        parts = counted.curated + counted.quarantined + counted.refused + counted.duplicates
        assert counted.landed == parts, f"of {self.kind}: {counted}"
        assert counted.curated == sum(len(rows) for rows in self.table.values()), "the table holds others, too"
        return counted

    def _landing(self) -> set[tuple[str, str]]:
        folder = f"{self.yard.landing}/{FOLDERS[self.kind]}"
        files = self.yard.files
        if not files.exists(folder):
            return set()
        paths = [path for path in files.find(folder) if not path.rpartition("/")[2].startswith((".", "_"))]
        return {(path.rpartition("/")[2], _sha(files.cat_file(path))) for path in paths}

    def _check(self, batch: dict[str, Any], *, is_there: bool) -> None:
        number, name = batch["number"], batch["name"]
        mine = self.table.get(number, [])
        if not is_there and batch["state"] == "refused" and not batch["rows_in"]:
            assert not mine, f"{name} was taken away, and the table holds rows of it"
            return
        expected = self._expected(batch)
        self.aside[number] = expected.aside
        assert batch["state"] == expected.state, f"{name} is {batch['state']}, should be {expected.state}"
        assert Counter(mine) == Counter(expected.curated), f"{name} is not what the table holds of it"
        self._check_aside(batch, expected)
        counted = (batch["rows_in"], batch["rows_accepted"], batch["rows_duplicate"])
        assert counted == (expected.rows, len(expected.curated), expected.duplicates), f"{name}: the ledger's numbers"
        if expected.state != "refused":
            assert batch["rows_quarantined"] == len(expected.bad)
        self.total["landed"] += expected.rows
        self.total["curated"] += len(mine)
        self.total["duplicates"] += batch["rows_duplicate"]

    def _expected(self, batch: dict[str, Any]) -> Expected:
        data = (self.yard.sent / batch["sha256"]).read_bytes()
        rows = read(batch["name"], data, self.kind)
        if batch["sha256"] in self.taken:
            count = self.taken[batch["sha256"]]
            return Expected(state="duplicate", rows=count, duplicates=count)
        if rows is None:
            return Expected(state="refused", rows=_count(batch["name"], data))
        bad = [at for at, is_bad in enumerate(self._bad(rows)) if is_bad]
        good = [row for at, row in enumerate(rows) if at not in set(bad)]
        again = [row for row in good if self._repeats(row)]
        if not rows or len(bad) > MAX_BAD_SHARE * len(rows) or (again and self.policy == "refuse"):
            return Expected(state="refused", rows=len(rows), bad=bad, aside=rows)
        self.taken[batch["sha256"]] = len(rows)
        fresh = [row for row in good if not self._repeats(row)]
        self.versions |= {self._key(row): row for row in fresh}
        state = "duplicate" if not fresh and not bad else "accepted"
        if state == "duplicate":
            del self.taken[batch["sha256"]]  # nothing was taken of these bytes: others like them are judged themselves
        duplicates, set_aside = len(good) - len(fresh), [rows[at] for at in bad]
        return Expected(state=state, rows=len(rows), curated=fresh, bad=bad, aside=set_aside, duplicates=duplicates)

    def _check_released(self, batch: dict[str, Any]) -> None:
        """What was set aside of another batch is in the table now, or set aside again; nothing of it is lost."""
        name, mine = batch["name"], self.table.get(batch["number"], [])
        if batch["state"] == "refused":
            assert not mine, f"{name} is refused, and the table holds rows of it"
            return
        rows = self.aside[int(name.split()[1])]
        kept = self._dead_letter(batch["number"])
        assert Counter(mine) <= Counter(rows), f"{name} has brought rows that were not set aside"
        assert len(mine) + len(kept) + batch["rows_duplicate"] == len(rows), f"{name} has lost or doubled rows"
        self.versions |= {self._key(row): row for row in mine}
        self.total += Counter(curated=len(mine), quarantined=len(kept), duplicates=batch["rows_duplicate"])

    def _repeats(self, row: Row) -> bool:
        known = self.versions.get(self._key(row))
        return known is not None and (self.policy != "last" or known == row)

    def _key(self, row: Row) -> Row:
        return tuple(row[at] for at in KEYS[self.kind])

    def _bad(self, rows: Sequence[Row]) -> Iterator[bool]:
        """Rows that break the contract; of several with a key in one file, all but the first."""
        seen: set[Row] = set()
        for row in rows:
            key = self._key(row)
            value = row[COLUMNS[self.kind].index(NUMBERS[self.kind])]
            broken = any(part is None for part in row) or not self._is_good(value)
            yield broken or key in seen
            seen.add(key)

    def _is_good(self, value: float | None) -> bool:
        if value is None or math.isnan(value):
            return False
        if self.kind == "labels":
            return math.isfinite(value)
        return 0 < value <= self.max_weight if self.kind == "rows" else -60 <= value <= 60

    def _check_aside(self, batch: dict[str, Any], expected: Expected) -> None:
        """The dead letter holds the bad rows, with their places; a refused file is kept whole."""
        name, kept = batch["name"], aside(self.yard, self.kind, batch["number"])
        if batch["number"] in self.released:
            assert not kept, f"{name} was released, and is still set aside"
            return
        if expected.state == "refused":
            (copy,) = [data for part, data in kept.items() if part.startswith("file.")]
            assert _sha(copy) == batch["sha256"], f"the copy of {name} holds other bytes"
            self.total["refused"] += _count(name, copy)
            return
        bad = self._dead_letter(batch["number"])
        assert sorted(bad) == expected.bad, f"of {name} other rows were set aside"
        self.total["quarantined"] += len(bad)

    def _dead_letter(self, number: int) -> list[int]:
        kept = aside(self.yard, self.kind, number)
        return pq.read_table(io.BytesIO(kept["parquet"])).column("_row").to_pylist() if "parquet" in kept else []


def table_rows(yard: Yard, kind: Kind) -> dict[int, list[Row]]:
    """The committed rows of each batch, by the table's own log."""
    options = None
    if yard.lake.startswith("s3://"):
        options = {"aws_endpoint_url": yard.endpoint, "aws_allow_http": "true", "aws_region": "us-east-1"}
    try:
        table = DeltaTable(f"{yard.lake}/{PLACES[kind]}", storage_options=options).to_pyarrow_table()
    except TableNotFoundError:
        return {}
    found: dict[int, list[Row]] = {}
    for number, row in zip(table.column("_batch").to_pylist(), _rows(table, kind) or [], strict=True):
        found.setdefault(number, []).append(row)
    return found


def aside(yard: Yard, kind: Kind, number: int) -> dict[str, bytes]:
    """What the quarantine holds of a batch, by the end of its name."""
    folder = f"{yard.lake}/quarantine/{NAME}" + ("" if kind == "rows" else f"/{kind}")
    files = yard.files
    if not files.exists(folder):
        return {}
    names = {path.rpartition("/")[2]: path for path in files.ls(folder, detail=False)}
    return {
        name.partition(".")[2]: files.cat_file(path) for name, path in names.items() if name.startswith(f"{number}.")
    }


def staged(yard: Yard) -> list[str]:
    """The verdicts that still wait for the ledger, and drafts of them."""
    folder = f"{yard.lake}/staged"
    return sorted(yard.files.find(folder)) if yard.files.exists(folder) else []


def read(name: str, data: bytes, kind: Kind) -> list[Row] | None:
    """The rows of a file as the contract wants them; None when it has others, or is none."""
    if name.endswith(".parquet"):
        try:
            return _rows(pq.read_table(io.BytesIO(data)), kind)
        except (pa.ArrowException, OSError):
            return None
    text = gzip.decompress(data) if name.endswith(".gz") else data
    lines = list(csv.DictReader(io.StringIO(text.decode())))
    if not lines or set(COLUMNS[kind]) - set(lines[0]):
        return None
    return [tuple(_cell(column, line[column]) for column in COLUMNS[kind]) for line in lines]


def _rows(table: pa.Table, kind: Kind) -> list[Row] | None:
    if not set(COLUMNS[kind]) <= set(table.column_names):
        return None
    if not pa.types.is_floating(table.schema.field(NUMBERS[kind]).type):
        return None
    return list(zip(*(table.column(name).to_pylist() for name in COLUMNS[kind]), strict=True))


def _cell(column: str, text: str) -> Any:
    if column in ("depot", "note"):
        return text or None
    try:
        if column in ("sent_at", "known_at", "seen_at"):
            return datetime.fromisoformat(text).astimezone(UTC)
        return int(text) if column == "parcel_id" else float(text)
    except ValueError:
        return None


def _count(name: str, data: bytes) -> int:
    """How many rows a file has, whatever they are; none where it cannot be read to its end."""
    try:
        return int(pq.read_table(io.BytesIO(data)).num_rows) if name.endswith(".parquet") else 0
    except (pa.ArrowException, OSError):
        return 0


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def reasons(ledger: Ledger, kind: Kind, name: str) -> list[str]:
    """What the ledger says of a file."""
    (batch,) = [row for row in ledger.of(kind) if row["name"] == name]
    (verdict,) = [row for row in ledger.verdicts if row["seq"] == batch["verdict_seq"]]
    return list(json.loads(verdict["body"])["reasons"])
