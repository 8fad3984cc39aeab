"""The verification of a whole ledger: chain, sealed head, and what the tables say of the verdicts. Changes nothing.

Records are read in parts, in their order, so a ledger of any length is verified in little memory; what is appended
meanwhile is verified, too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from registry import seal
from registry.chain import GENESIS, follows, intact
from registry.crosscheck import Crosscheck, Fault
from registry.ledger import Head, Ledger, Recorded
from registry.seal import Seal, Vouched
from validation.errors import RegistryError

MAX_FAULTS = 20  # told one by one; the others are counted
_PARTS = (1000, 30)  # records that are read at once
_BEFORE_ALL = -(2**63)
_RESTORE = "find out who changed the ledger's database, and put back its last good copy"
_UNSEALED = (
    "compare with a head that was exported (andon verify --against FILE); if nothing was written since the key came, "
    "the next record is sealed, and tells so"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouching:
    """A record by which the ledger was sealed anew: by a person ("vouched"), or as the first key came ("sealed")."""

    seq: int
    outcome: str
    actor: str
    recorded_at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found. `head`: the newest record, with its seal; None when there are no records and no head.

    `seal`: "right", "wrong", "none" (not sealed), "no key" (sealed, but not checked) or "other key". Of the `faults`
    the first are told, `more_faults` counts the others.
    """

    records: int
    champions: int
    answers: int
    batches: int
    head: Head | None
    seal: Seal
    vouchings: tuple[Vouching, ...]
    faults: tuple[Fault, ...]
    more_faults: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


class Watch:
    """Looks at records as they go by, oldest first, and gathers what is wrong; `against` is an earlier head."""

    def __init__(self, against: Head | None = None) -> None:
        self.records = 0
        self.newest: Recorded | None = None
        self.vouchings: list[Vouching] = []
        self._against = against if against and against.seq else None
        self._found: list[Fault] = []
        self._more = 0

    def look(self, record: Recorded) -> None:
        """The next record."""
        if not follows(record, self.newest):
            self.add(record.seq, f"it does not follow {_named(self.newest)}: records are missing, doubled or changed")
        if not intact(record):
            self.add(record.seq, "it was changed after it was written: its hash is not that of its content")
        if self._against and record.seq == self._against.seq:
            self._compare(record, self._against)
        if record.kind == Vouched.kind:
            self.vouchings.append(_vouching(record))
        self.records, self.newest = self.records + 1, record

    def end(self, head: Head | None, key: bytes | None) -> Seal:
        """All records were seen; `head` is the one that should name the newest. What its seal says."""
        if self._against:
            self.add(self._against.seq, "the earlier head names it, and there is none: the ledger is an older copy")
        if head is None:
            return "none"
        newest = (self.newest.seq, self.newest.hash) if self.newest else (0, GENESIS)
        if (head.seq, head.hash) != newest:
            self.add(head.seq, f"the head names it as the newest, found is {_named(self.newest)}: the end was changed")
        found = seal.state(head, key)
        if found == "none" and self.vouchings:
            self.add(head.seq, f"the head is not sealed any more, and was since record {self.vouchings[0].seq}")
        elif found == "none" and key is not None and self.records:
            self.add(head.seq, "the head is not sealed, though there is a key", do=_UNSEALED)
        elif found in ("wrong", "other key"):
            self.add(head.seq, seal.refusal(head, key), do="")
        return found

    def add(self, seq: int | None, what: str, *, do: str = _RESTORE) -> None:
        """One more fault."""
        self.gather([Fault(seq=seq, what=what, do=do)])

    def gather(self, faults: Sequence[Fault] | Iterator[Fault]) -> None:
        """Some more faults."""
        for fault in faults:
            if len(self._found) < MAX_FAULTS:
                self._found.append(fault)
            else:
                self._more += 1

    def audit(self, head: Head | None, found: Seal, *, champions: int = 0, answers: int = 0) -> Audit:
        """What was found, without batches."""
        named = head or (Head(seq=self.newest.seq, hash=self.newest.hash) if self.newest else None)
        return Audit(
            records=self.records,
            champions=champions,
            answers=answers,
            batches=0,
            head=named,
            seal=found,
            vouchings=tuple(self.vouchings),
            faults=tuple(self._found),
            more_faults=self._more,
        )

    def _compare(self, record: Recorded, earlier: Head) -> None:
        self._against = None
        if record.hash != earlier.hash:
            self.add(record.seq, "it has another hash than in the earlier head: the ledger was written anew")


def audit(
    ledger: Ledger, *, key: bytes | None, against: Head | None = None, told: Callable[[int], object] = lambda _: None
) -> Audit:
    """Verify all that the ledger holds; `told` is called with the number of records that were read so far."""
    watch, champions, answers, batches = Watch(against), ledger.champions(), ledger.answers(), ledger.batches()
    tables = Crosscheck(champions, answers, batches)
    head = ledger.head()
    try:
        while True:
            for record in _behind(ledger, watch, told):
                watch.look(record)
                watch.gather(tables.look(record))
            before, head = head, ledger.head()
            if head == before:  # else somebody has written since we began to read
                break
    except RegistryError as error:
        watch.add(watch.newest.seq + 1 if watch.newest else 1, f"{error}; what is behind it was not looked at")
    else:
        watch.gather(tables.rest(ledger.champions(), ledger.answers()))
    found = watch.end(head, key)
    return replace(watch.audit(head, found, champions=len(champions), answers=len(answers)), batches=len(batches))


def _behind(ledger: Ledger, watch: Watch, told: Callable[[int], object]) -> Iterator[Recorded]:
    """All records behind the newest one that was seen."""
    while part := _part(ledger, watch.newest.seq if watch.newest else _BEFORE_ALL):
        yield from part
        told(watch.records)


def _part(ledger: Ledger, after: int) -> Sequence[Recorded]:
    """The next records; where one cannot be read, those before it; RegistryError when it is the next."""
    for limit in _PARTS:
        with suppress(RegistryError):
            return ledger.records(after=after, limit=limit)
    return ledger.records(after=after, limit=1)


def _named(record: Recorded | None) -> str:
    return f"record {record.seq}" if record else "the beginning"


def _vouching(record: Recorded) -> Vouching:
    return Vouching(
        seq=record.seq,
        outcome=record.outcome,
        actor=record.actor,
        recorded_at=record.recorded_at,
        why="; ".join(map(str, record.reasons)),
    )
