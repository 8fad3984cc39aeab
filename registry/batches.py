"""Batches in a SQL database, many in one statement, inside a transaction of sql.py; `batch_rules` decides."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from registry import batch_rules, tables, verdicts
from registry.engine import now
from registry.ledger import Arrival, Batch, BatchKind, Settled
from registry.tables import BATCHES, match
from validation.verdict import Verdict

_AT_ONCE = 1000  # values in one IN: SQLite takes 32,766 parameters, PostgreSQL 65,535
_KEY = ("pipeline", "kind", "number")


def claim(connection: Connection, pipeline: str, kind: BatchKind, arrivals: Sequence[Arrival]) -> tuple[Batch, ...]:
    """Write the new batches, and the new stamps of known ones; for each file its batch."""
    mine = match(BATCHES, pipeline=pipeline, kind=kind)
    newest = connection.execute(select(func.max(BATCHES.c.number)).where(mine)).scalar() or 0
    hashes = sorted({arrival.sha256 for arrival in arrivals})
    known = {
        batch.number: batch for part in _parts(hashes) for batch in _read(connection, mine, BATCHES.c.sha256.in_(part))
    }
    found = batch_rules.registered(
        known.values(), arrivals, pipeline=pipeline, kind=kind, next_number=newest + 1, now=now(connection)
    )
    changed = {batch.number: batch for batch in found if known.get(batch.number) != batch}
    _insert(connection, [batch for batch in changed.values() if batch.number > newest])
    _save(connection, [batch for batch in changed.values() if batch.number <= newest])
    return found


def finish(
    connection: Connection, finished: Sequence[tuple[Batch, Verdict]], *, actor: str, key: bytes | None
) -> tuple[Batch, ...]:
    """Write the verdicts of batches that are not finished yet, then these batches; for each its batch as it is now."""
    stored = _stored(connection, [batch for batch, _ in finished])
    news = dict[tuple[str, str, int], tuple[Batch, Verdict]]()
    for batch, verdict in finished:
        if stored[_key(batch)].verdict_seq is None:
            news.setdefault(_key(batch), (batch, verdict))
    records = verdicts.append(connection, [verdict for _, verdict in news.values()], actor=actor, key=key)
    done = {
        key: batch_rules.finished(stored[key], batch, verdict_seq=record.seq)
        for (key, (batch, _)), record in zip(news.items(), records, strict=True)
    }
    _save(connection, list(done.values()))
    return tuple(done.get(_key(batch), stored[_key(batch)]) for batch, _ in finished)


def settle(
    connection: Connection, batch: Batch, verdict: Verdict, *, state: Settled, actor: str, key: bytes | None
) -> Batch:
    """Write the verdict and the suspect batch that it settles."""
    stored = _stored(connection, [batch])[_key(batch)]
    (record,) = verdicts.append(connection, [verdict], actor=actor, key=key)
    done = batch_rules.settled(stored, batch, state=state, settled_seq=record.seq)
    _save(connection, [done])
    return done


def _stored(connection: Connection, batches: Sequence[Batch]) -> dict[tuple[str, str, int], Batch]:
    """The batches as the ledger has them; RegistryError for one that it does not know."""
    groups: dict[tuple[str, str], list[int]] = {}
    for batch in batches:
        groups.setdefault((batch.pipeline, batch.kind), []).append(batch.number)
    found = {
        _key(batch): batch
        for (pipeline, kind), numbers in groups.items()
        for part in _parts(numbers)
        for batch in _read(connection, match(BATCHES, pipeline=pipeline, kind=kind), BATCHES.c.number.in_(part))
    }
    for batch in batches:
        if _key(batch) not in found:
            raise batch_rules.unknown(batch)
    return found


def _read(connection: Connection, *wanted: Any) -> Iterator[Batch]:
    for found in connection.execute(select(BATCHES).where(*wanted)).mappings():
        yield tables.to_batch(found)


def _insert(connection: Connection, batches: Sequence[Batch]) -> None:
    if batches:  # NOTE: without rows SQLAlchemy would insert one of defaults
        connection.execute(insert(BATCHES), [tables.batch_row(batch) for batch in batches])


def _save(connection: Connection, batches: Sequence[Batch]) -> None:
    """Write batches that are there.

    NOTE: by their key's own index: for an UPDATE, PostgreSQL without statistics (a young ledger) takes the other index
    of the table, and reads half of it for each batch.
    """
    new = sqlite.insert(BATCHES) if connection.dialect.name == "sqlite" else postgresql.insert(BATCHES)
    changed = {column.name: new.excluded[column.name] for column in BATCHES.columns if column.name not in _KEY}
    if batches:
        rows = [tables.batch_row(batch) for batch in batches]
        connection.execute(new.on_conflict_do_update(index_elements=_KEY, set_=changed), rows)


def _key(batch: Batch) -> tuple[str, str, int]:
    return batch.pipeline, batch.kind, batch.number


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))
