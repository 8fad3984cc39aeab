"""The verdicts of the ledger in memory: the chain, its sealed head, and the answers. Locks nothing: memory.py does."""

from collections.abc import Sequence
from datetime import datetime

from registry import rules, seal
from registry.ledger import Head, Recorded
from validation.verdict import Verdict


class Records:
    """All verdicts, oldest first."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self.all: list[Recorded] = []
        self.head: Head | None = None
        self.answers: dict[int, int] = {}

    def append(self, verdicts: Sequence[Verdict], *, actor: str, now: datetime) -> tuple[Recorded, ...]:
        """Write verdicts behind the newest one, all or none; the seal is checked and renewed."""
        if not verdicts:
            return ()
        self._write(seal.extended(self._tail(), verdicts, actor=actor, key=self._key, now=now))
        return tuple(self.all[-len(verdicts) :])

    def vouch(self, verdict: Verdict, *, actor: str, now: datetime) -> Recorded:
        """Write a verdict whatever the seal says, and seal anew."""
        self._write(seal.vouched(self._tail(), verdict, actor=actor, key=self._key, now=now))
        return self.all[-1]

    def answer(self, question: int, verdict: Verdict, *, actor: str, now: datetime) -> Recorded:
        """Write the one answer to a verdict."""
        rules.check_unanswered(question, self.find(question), self.answer_to(question))
        (record,) = self.append([verdict], actor=actor, now=now)
        self.answers[question] = record.seq
        return record

    def answer_to(self, question: int) -> Recorded | None:
        """The answer to the verdict of this number."""
        return self.find(self.answers[question]) if question in self.answers else None

    def find(self, seq: int) -> Recorded | None:
        """The verdict of this number."""
        return next((record for record in self.all if record.seq == seq), None)

    def _tail(self) -> seal.Tail:
        return seal.Tail(newest=self.all[-1] if self.all else None, head=self.head)

    def _write(self, records: Sequence[Recorded]) -> None:
        self.all.extend(records)
        self.head = seal.sealed(records[-1], self._key)
