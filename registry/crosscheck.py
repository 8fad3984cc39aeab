"""What the tables of champions, answers and batches say, against the records of which they speak. Pure; reads nothing.

The verdicts are the truth: they are chained and sealed. A row of a table that says something else was changed by hand.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from registry.chain import canonical
from registry.ledger import Batch, Champion, Recorded
from registry.rules import Promotion, Rollback, announcement

# A row and its verdict are written in one transaction; ledgers of an earlier Andon asked the clock for each.
_SAME_MOMENT = timedelta(minutes=1)
_CROWNINGS = (Promotion.kind, Rollback.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is not as it was written: where (the number of a record, if one is concerned), what, and what a
    person can do.
    """

    seq: int | None
    what: str
    do: str


class Crosscheck:
    """Looks at each record as it goes by, oldest first; afterwards `rest` tells what no record stood for."""

    def __init__(self, champions: Iterable[Champion], answers: Mapping[int, int], batches: Iterable[Batch]) -> None:
        self._rows = {(row.change.pipeline, row.epoch): row for row in champions}
        self._newest: dict[str, tuple[int, str | None]] = {}  # epoch and version of each pipeline so far
        self._untold: dict[int, Recorded] = {}  # crownings without a row, answers without one
        self._asked, self._answers = dict(answers), {answer: question for question, answer in answers.items()}
        self._batches: dict[int, list[tuple[str, Batch]]] = defaultdict(list)
        for batch in batches:
            for kind, seq in (("contract", batch.verdict_seq), ("release", batch.settled_seq)):
                if seq is not None:
                    self._batches[seq].append((kind, batch))
        evidence = {row.change.evidence for row in self._rows.values()}
        self._wanted = {seq for seq in (*evidence, *self._asked) if seq is not None}
        self._seen: dict[int, Recorded] = {}

    def look(self, record: Recorded) -> Iterator[Fault]:
        """What contradicts this record."""
        if record.seq in self._wanted:
            self._seen[record.seq] = record
        if record.kind in _CROWNINGS:
            yield from self._crowned(record)
        if record.seq in self._answers or record.kind == "answer":
            yield from self._answered(record)
        for kind, batch in self._batches.pop(record.seq, ()):
            if (record.pipeline, record.kind) != (batch.pipeline, kind) or not record.subject.endswith(batch.name):
                yield _pointer(record.seq, f"{_told(batch)} names it, but it is about {_about(record)}")
            elif (rows := record.body.get("rows_in", batch.rows_in)) != batch.rows_in:
                yield _pointer(record.seq, f"{_told(batch)} has {batch.rows_in} rows, by this verdict {rows}")

    def rest(self, champions: Iterable[Champion], answers: Mapping[int, int]) -> Iterator[Fault]:
        """What no record stood for, and the records of which no row tells; both tables as they are by now."""
        for row in self._rows.values():
            yield _row(
                None, f"epoch {row.epoch} of {row.change.pipeline}, version {row.change.version}, has no verdict"
            )
        for seq in sorted(set(self._batches)):
            for kind, batch in self._batches[seq]:
                yield _pointer(seq, f"{_told(batch)} names it as its {kind} verdict, and there is none")
        for answer in sorted(self._answers):
            yield _pointer(answer, f"it is named as the answer to {self._answers[answer]}, and there is none")
        rows = {(row.change.pipeline, row.epoch): row for row in champions}
        for record in self._untold.values():  # written while we read?
            if record.kind == "answer" and record.seq not in answers.values():
                yield _pointer(record.seq, "the table of answers does not know this answer")
            if record.kind in _CROWNINGS and _key(record) not in rows:
                yield _row(record.seq, f"the table of champions has no row for {_about(record)}")

    def _crowned(self, record: Recorded) -> Iterator[Fault]:
        row = self._rows.pop(_key(record), None)
        (epoch, before), version = self._newest.get(record.pipeline, (0, None)), record.subject
        self._newest[record.pipeline] = (_key(record)[1], version)
        if row is None:
            self._untold[record.seq] = record
            return
        if differing := list(_differing(row, record)):
            yield _row(record.seq, f"epoch {row.epoch} of {record.pipeline} differs from it in {', '.join(differing)}")
        if row.epoch != epoch + 1:
            yield _row(record.seq, f"it is epoch {row.epoch} of {record.pipeline}, and comes after epoch {epoch}")
        if (replaced := record.body.get("from_version")) != before:
            yield _row(record.seq, f"it replaced version {replaced}, but champion before it was {before}")
        if (evidence := row.change.evidence) is not None:
            gate = self._seen.get(evidence)
            if gate is None or (gate.pipeline, gate.subject) != (record.pipeline, version):
                found = "not there before it" if gate is None else f"about {_about(gate)}"
                yield _pointer(record.seq, f"record {evidence}, which it names as its evidence, is {found}")

    def _answered(self, record: Recorded) -> Iterator[Fault]:
        question = self._answers.pop(record.seq, None)
        if question is None:
            self._untold[record.seq] = record
            return
        asked = self._seen.get(question)
        if asked is None or asked.pipeline != record.pipeline:
            yield _pointer(record.seq, f"it is named as the answer to {question}, which is no question before it")
        elif record.body.get("question", question) != question:
            yield _pointer(record.seq, f"it is named as the answer to {question}, and says {record.body['question']}")


def _differing(row: Champion, record: Recorded) -> Iterator[str]:
    """The fields of which the row says something else than its verdict."""
    said: dict[str, Any] = json.loads(canonical(announcement(row)))
    change = said.pop("change")
    told = record.body.get("change")
    told = told if isinstance(told, dict) else {}
    yield from (name for name in said if said[name] != record.body.get(name) and name not in ("subject", "reasons"))
    yield from (name for name in change if change[name] != told.get(name))
    if row.change.actor != record.actor and change["actor"] == told.get("actor"):
        yield "actor"
    if abs(row.recorded_at - record.recorded_at) > _SAME_MOMENT:
        yield "recorded_at"


def _key(record: Recorded) -> tuple[str, int]:
    epoch = record.body.get("epoch")
    return record.pipeline, epoch if isinstance(epoch, int) else 0


def _row(seq: int | None, what: str) -> Fault:
    do = "correct the row of andon_champions after the verdict, or put back the ledger's last good copy"
    return Fault(seq=seq, what=what, do=do)


def _pointer(seq: int, what: str) -> Fault:
    return Fault(seq=seq, what=what, do="find out who wrote into the ledger's database; put back its last good copy")


def _told(batch: Batch) -> str:
    return f"batch {batch.number} of {batch.pipeline} ({batch.kind}, {batch.name})"


def _about(record: Recorded) -> str:
    return f"{record.pipeline} {record.kind} {record.subject}"
