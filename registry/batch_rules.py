"""What becomes of an arrived file in the ledger, pure: which batch it is, and from which state to which it may go."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from registry.chain import clean, utc
from registry.ledger import GONE, Arrival, Batch, BatchKind, BatchState, Settled
from validation.errors import RefusedError, RegistryError

_FINAL = ("accepted", "suspect", "refused", "duplicate")
_TAKEN = ("claimed", "accepted", "suspect")


def registered(
    known: Iterable[Batch],
    arrivals: Sequence[Arrival],
    *,
    pipeline: str,
    kind: BatchKind,
    next_number: int,
    now: datetime,
) -> tuple[Batch, ...]:
    """The batch of each arrival: the `known` one of its bytes and name, with the newest stamp, or a new one.

    `known` are the batches of this pipeline and kind with these bytes, under any name. A duplicate that was not told
    yet, and whose twins were refused meanwhile (their file was taken away), is claimed after all. One whose file was
    gone is claimed again: here it is.
    """
    twins: dict[str, dict[str, Batch]] = defaultdict(dict)
    for batch in known:
        twins[batch.sha256][batch.name] = batch
    for arrival in arrivals:
        same, name = twins[arrival.sha256], clean(arrival.name)
        state = _first_state(batch for other, batch in same.items() if other != name)
        if name not in same:
            same[name] = _fresh(
                pipeline, kind, number=next_number, name=name, sha256=arrival.sha256, state=state, now=now
            )
            next_number += 1
        elif same[name].stamp == GONE:
            same[name] = replace(same[name], state=state, stamp="", verdict_seq=None)
        elif same[name].state == "duplicate" and same[name].verdict_seq is None:
            same[name] = replace(same[name], state=state)
        same[name] = replace(same[name], stamp=arrival.stamp or same[name].stamp)
    return tuple(twins[arrival.sha256][clean(arrival.name)] for arrival in arrivals)


def finished(stored: Batch, batch: Batch, *, verdict_seq: int) -> Batch:
    """`stored` with the state and counts of `batch`; RefusedError when that is no final state."""
    if batch.state not in _FINAL:
        raise RefusedError(
            f"{told(batch)} cannot be finished as {batch.state}; give its final state: {', '.join(_FINAL)}"
        )
    stamp = GONE if batch.stamp == GONE else stored.stamp
    return replace(_counted(stored, batch), state=batch.state, stamp=stamp, verdict_seq=verdict_seq)


def settled(stored: Batch, batch: Batch, *, state: Settled, settled_seq: int) -> Batch:
    """Suspect -> accepted or dropped, with the counts of `batch`; RefusedError from any other state."""
    if stored.state != "suspect":
        raise RefusedError(
            f"{told(stored)} is {stored.state}, not suspect: there is nothing to release or drop; "
            f"see what became of it: andon lineage {stored.pipeline} --batch {stored.number}"
        )
    return replace(_counted(stored, batch), state=state, settled_seq=settled_seq)


def told(batch: Batch) -> str:
    """The batch in words."""
    return f"batch {batch.number} of {batch.pipeline!r} ({batch.kind}, {batch.name})"


def unknown(batch: Batch) -> RegistryError:
    """The error for a batch that the ledger does not know."""
    return RegistryError(f"the ledger knows no {told(batch)}; is ANDON_LEDGER_URL the right one?")


def _first_state(twins: Iterable[Batch]) -> BatchState:
    # Where nothing was taken of the same bytes they are judged anew, perhaps by a contract that was mended.
    return "duplicate" if any(twin.state in _TAKEN for twin in twins) else "claimed"


def _fresh(
    pipeline: str, kind: BatchKind, *, number: int, name: str, sha256: str, state: BatchState, now: datetime
) -> Batch:
    """A batch of which nothing is known but that it arrived."""
    return Batch(
        pipeline=pipeline,
        kind=kind,
        number=number,
        name=name,
        sha256=sha256,
        state=state,
        rows_in=0,
        rows_accepted=0,
        rows_quarantined=0,
        rows_duplicate=0,
        span=None,
        recorded_at=now,
    )


def _counted(stored: Batch, batch: Batch) -> Batch:
    return replace(
        stored,
        rows_in=batch.rows_in,
        rows_accepted=batch.rows_accepted,
        rows_quarantined=batch.rows_quarantined,
        rows_duplicate=batch.rows_duplicate,
        span=batch.span and (utc(batch.span[0], field="span"), utc(batch.span[1], field="span")),
    )
