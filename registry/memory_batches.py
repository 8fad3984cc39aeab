"""The batches of the ledger in memory. Locks nothing: memory.py does; `batch_rules` decides."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from registry import batch_rules
from registry.ledger import Arrival, Batch, BatchKind, Recorded, Settled
from validation.verdict import Verdict

_Key = tuple[str, BatchKind, int]
Append = Callable[[Sequence[Verdict]], Sequence[Recorded]]


class Batches:
    """All batches by pipeline, kind and number."""

    def __init__(self) -> None:
        self._batches: dict[_Key, Batch] = {}

    def all(self) -> list[Batch]:
        """In the order of their keys."""
        return [self._batches[key] for key in sorted(self._batches)]

    def claim(self, pipeline: str, kind: BatchKind, arrivals: Sequence[Arrival], *, now: datetime) -> tuple[Batch, ...]:
        """For each file its batch, known or new."""
        wanted = {arrival.sha256 for arrival in arrivals}
        before = [batch for batch in self._batches.values() if (batch.pipeline, batch.kind) == (pipeline, kind)]
        found = batch_rules.registered(
            [batch for batch in before if batch.sha256 in wanted],
            arrivals,
            pipeline=pipeline,
            kind=kind,
            next_number=len(before) + 1,
            now=now,
        )
        self._batches |= {_key(batch): batch for batch in found}
        return found

    def finish(self, finished: Sequence[tuple[Batch, Verdict]], append: Append) -> tuple[Batch, ...]:
        """The batches as they are now; those that were not finished are, with the verdicts that were appended."""
        news = dict[_Key, tuple[Batch, Verdict]]()
        for batch, verdict in finished:
            stored = self._stored(batch)
            if stored.verdict_seq is None:
                news.setdefault(_key(batch), (batch_rules.finished(stored, batch, verdict_seq=0), verdict))
        records = append([verdict for _, verdict in news.values()])
        for (key, (batch, _)), record in zip(news.items(), records, strict=True):
            self._batches[key] = replace(batch, verdict_seq=record.seq)
        return tuple(self._batches[_key(batch)] for batch, _ in finished)

    def settle(self, batch: Batch, verdict: Verdict, append: Append, *, state: Settled) -> Batch:
        """The suspect batch, released or dropped by the verdict that was appended."""
        done = batch_rules.settled(self._stored(batch), batch, state=state, settled_seq=0)
        (record,) = append([verdict])
        self._batches[_key(batch)] = replace(done, settled_seq=record.seq)
        return self._batches[_key(batch)]

    def _stored(self, batch: Batch) -> Batch:
        stored = self._batches.get(_key(batch))
        if stored is None:
            raise batch_rules.unknown(batch)
        return stored


def _key(batch: Batch) -> _Key:
    return batch.pipeline, batch.kind, batch.number
