"""Single rows of a SQL ledger, read and written inside a transaction of sql.py."""

from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select, update

from registry import rules, tables
from registry.ledger import Champion, Intent, Lease
from registry.tables import CHAMPIONS, INTENTS, LEASES, match, row


def find(connection: Connection, table: Table, **key: Any) -> RowMapping | None:
    """The row with this key."""
    return connection.execute(select(table).where(match(table, **key))).mappings().first()


def champion(connection: Connection, pipeline: str) -> Champion | None:
    """The newest row of the champions."""
    newest = select(CHAMPIONS).where(CHAMPIONS.c.pipeline == pipeline).order_by(CHAMPIONS.c.epoch.desc()).limit(1)
    found = connection.execute(newest).mappings().first()
    return tables.to_champion(found) if found else None


def intent(connection: Connection, intent_id: str) -> Intent:
    """The intent; RegistryError when there is none."""
    found = find(connection, INTENTS, id=intent_id)
    if found is None:
        raise rules.unknown("intent", intent_id)
    return Intent(**found)


def save(connection: Connection, changed: Intent) -> Intent:
    """Write an intent that is there."""
    connection.execute(update(INTENTS).where(INTENTS.c.id == changed.id).values(row(changed)))
    return changed


def lease(connection: Connection, pipeline: str, activity: str) -> Lease | None:
    """The lease as it was last written, freed or not."""
    found = find(connection, LEASES, pipeline=pipeline, activity=activity)
    return Lease(**found) if found else None


def check(connection: Connection, held: Lease | None) -> None:
    """LeaseLostError when a lease is given and is not its holder's any more."""
    if held is not None:
        rules.check(lease(connection, held.pipeline, held.activity), held)


def replace(connection: Connection, changed: Lease) -> Lease:
    """Write a lease that is there."""
    key = {"pipeline": changed.pipeline, "activity": changed.activity}
    connection.execute(update(LEASES).where(match(LEASES, **key)).values(row(changed)))
    return changed
