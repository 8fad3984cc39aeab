"""Verdicts in a SQL database: appended to the hash chain, inside a transaction of sql.py that is the only writer."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from registry import tables
from registry.chain import follow
from registry.engine import now
from registry.ledger import Recorded
from registry.tables import VERDICTS
from validation.verdict import Verdict


def append(connection: Connection, verdicts: Sequence[Verdict], *, actor: str) -> tuple[Recorded, ...]:
    """Write verdicts behind the newest one, in their order and in one statement."""
    if not verdicts:
        return ()
    newest = connection.execute(select(VERDICTS).order_by(VERDICTS.c.seq.desc()).limit(1)).mappings().first()
    head, moment = tables.to_recorded(newest) if newest else None, now(connection)
    records: list[Recorded] = []
    for verdict in verdicts:
        head = follow(head, verdict, actor=actor, now=moment)
        records.append(head)
    connection.execute(insert(VERDICTS), [tables.verdict_row(record) for record in records])
    return tuple(records)
