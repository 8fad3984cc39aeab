"""Verdicts in a SQL database: appended to the hash chain, inside a transaction of sql.py that is the only writer."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.exc import OperationalError

from registry import rules, seal, tables
from registry.engine import now
from registry.ledger import Head, Recorded
from registry.tables import ANSWERS, HEAD, VERDICTS
from validation.errors import RegistryError
from validation.verdict import Verdict

_NEWEST = select(VERDICTS).order_by(VERDICTS.c.seq.desc()).limit(1)


def append(
    connection: Connection, verdicts: Sequence[Verdict], *, actor: str, key: bytes | None
) -> tuple[Recorded, ...]:
    """Write verdicts behind the newest one, in their order and in one statement; the seal is checked and renewed."""
    if not verdicts:
        return ()
    tail = _tail(connection)
    records = seal.extended(tail, verdicts, actor=actor, key=key, now=now(connection))
    _write(connection, tail, records, key)
    return records[-len(verdicts) :]


def vouch(connection: Connection, verdict: Verdict, *, actor: str, key: bytes | None) -> Recorded:
    """Write a verdict whatever the seal says, and seal anew."""
    tail = _tail(connection)
    records = seal.vouched(tail, verdict, actor=actor, key=key, now=now(connection))
    _write(connection, tail, records, key)
    return records[-1]


def answer(connection: Connection, question: int, verdict: Verdict, *, actor: str, key: bytes | None) -> Recorded:
    """Write the one answer to a verdict."""
    rules.check_unanswered(question, find(connection, question), answer_to(connection, question))
    (record,) = append(connection, [verdict], actor=actor, key=key)
    connection.execute(insert(ANSWERS).values(question=question, answer=record.seq))
    return record


def answer_to(connection: Connection, question: int) -> Recorded | None:
    """The answer to the verdict of this number."""
    of_it = select(VERDICTS).join(ANSWERS, ANSWERS.c.answer == VERDICTS.c.seq).where(ANSWERS.c.question == question)
    return next(iter(read(connection, of_it)), None)


def read(connection: Connection, wanted: Select[Any]) -> tuple[Recorded, ...]:
    """The records that a statement finds; RegistryError when one of them is no record any more."""
    try:
        return tuple(tables.to_recorded(item) for item in connection.execute(wanted).mappings())
    except (ValueError, KeyError, TypeError, AttributeError, OperationalError) as error:
        if isinstance(error, OperationalError) and "UTF-8" not in str(error):
            raise
        raise RegistryError(
            f"a record of the ledger cannot be read ({str(error)[:200]}): somebody changed it; see which: andon verify"
        ) from error


def find(connection: Connection, seq: int) -> Recorded | None:
    """The verdict of this number."""
    return next(iter(read(connection, select(VERDICTS).where(VERDICTS.c.seq == seq))), None)


def head(connection: Connection) -> Head | None:
    """The sealed head."""
    found = connection.execute(select(HEAD)).mappings().first()
    return tables.to_head(found) if found else None


def _tail(connection: Connection) -> seal.Tail:
    return seal.Tail(newest=next(iter(read(connection, _NEWEST)), None), head=head(connection))


def _write(connection: Connection, tail: seal.Tail, records: Sequence[Recorded], key: bytes | None) -> None:
    connection.execute(insert(VERDICTS), [tables.verdict_row(record) for record in records])
    sealed = tables.head_row(seal.sealed(records[-1], key))
    connection.execute((insert(HEAD) if tail.head is None else update(HEAD)).values(sealed))
