"""Verdicts in a SQL database: appended to the hash chain, inside a transaction of sql.py that is the only writer."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from registry import rules, seal, tables
from registry.engine import now
from registry.ledger import Head, Recorded
from registry.tables import ANSWERS, HEAD, VERDICTS
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
    found = connection.execute(of_it).mappings().first()
    return tables.to_recorded(found) if found else None


def find(connection: Connection, seq: int) -> Recorded | None:
    """The verdict of this number."""
    found = connection.execute(select(VERDICTS).where(VERDICTS.c.seq == seq)).mappings().first()
    return tables.to_recorded(found) if found else None


def head(connection: Connection) -> Head | None:
    """The sealed head."""
    found = connection.execute(select(HEAD)).mappings().first()
    return tables.to_head(found) if found else None


def _tail(connection: Connection) -> seal.Tail:
    newest = connection.execute(_NEWEST).mappings().first()
    return seal.Tail(newest=tables.to_recorded(newest) if newest else None, head=head(connection))


def _write(connection: Connection, tail: seal.Tail, records: Sequence[Recorded], key: bytes | None) -> None:
    connection.execute(insert(VERDICTS), [tables.verdict_row(record) for record in records])
    sealed = tables.head_row(seal.sealed(records[-1], key))
    connection.execute((insert(HEAD) if tail.head is None else update(HEAD)).values(sealed))
