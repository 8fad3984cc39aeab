"""The ledger's tables, and how their rows become values and back. Runs one statement only: it adds new columns."""

from dataclasses import fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    RowMapping,
    Table,
    UniqueConstraint,
    and_,
    inspect,
    text,
    true,
)
from sqlalchemy.schema import CreateColumn

from registry.columns import Json, Moment, Words
from registry.guards import append_only
from registry.ledger import Batch, Champion, Change, Head, Recorded

METADATA = MetaData()

VERDICTS = Table(
    "andon_verdicts",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Words, nullable=False),
    Column("pipeline", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("body", Json, nullable=False),
    Column("data_time", Moment, nullable=False),
    Column("actor", Words, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("prev_hash", Words, nullable=False, unique=True),
    Column("hash", Words, nullable=False, unique=True),
    Index("andon_verdicts_by_pipeline", "pipeline", "kind", "seq"),
)

CHAMPIONS = Table(
    "andon_champions",
    METADATA,
    Column("pipeline", Words, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("bundle_sha256", Words, nullable=False),
    Column("trained_until", Moment, nullable=False),
    Column("why", Words, nullable=False),
    Column("data_time", Moment, nullable=False),
    Column("actor", Words, nullable=False),
    Column("intent", Words),
    Column("evidence", BigInteger),
    Column("from_version", Words),
    Column("recorded_at", Moment, nullable=False),
    PrimaryKeyConstraint("pipeline", "epoch"),  # the compare-and-set, whatever else fails
)

HEAD = Table(
    "andon_head",
    METADATA,
    Column("one", BigInteger, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),  # the only row
    Column("seq", BigInteger, nullable=False),
    Column("hash", Words, nullable=False),
    Column("mac", Words, nullable=False),
    Column("key_id", Words, nullable=False),
)

ANSWERS = Table(
    "andon_answers",
    METADATA,
    Column("question", BigInteger, ForeignKey(VERDICTS.c.seq), primary_key=True, autoincrement=False),  # one, whatever
    Column("answer", BigInteger, ForeignKey(VERDICTS.c.seq), nullable=False, unique=True),
)

for _table in (VERDICTS, CHAMPIONS):
    append_only(_table)

INTENTS = Table(
    "andon_intents",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("pipeline", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("data_time", Moment, nullable=False),
    Column("state", Words, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("until", Moment),
    Column("condition", Words, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("token", BigInteger),
)
Index(
    "andon_intents_one_not_closed",
    INTENTS.c.pipeline,
    unique=True,
    sqlite_where=text("state <> 'closed'"),
    postgresql_where=text("state <> 'closed'"),
)

LEASES = Table(
    "andon_leases",
    METADATA,
    Column("pipeline", Words, nullable=False),
    Column("activity", Words, nullable=False),
    Column("holder", Words, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Moment, nullable=False),
    PrimaryKeyConstraint("pipeline", "activity"),
)

BATCHES = Table(
    "andon_batches",
    METADATA,
    Column("pipeline", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Words, nullable=False),
    Column("sha256", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("rows_in", BigInteger, nullable=False),
    Column("rows_accepted", BigInteger, nullable=False),
    Column("rows_quarantined", BigInteger, nullable=False),
    Column("rows_duplicate", BigInteger, nullable=False),
    Column("first_time", Moment),
    Column("last_time", Moment),
    Column("recorded_at", Moment, nullable=False),
    Column("verdict_seq", BigInteger, ForeignKey(VERDICTS.c.seq)),
    Column("stamp", Words, nullable=False, server_default=text("''")),
    Column("settled_seq", BigInteger, ForeignKey(VERDICTS.c.seq)),
    PrimaryKeyConstraint("pipeline", "kind", "number"),
    UniqueConstraint("pipeline", "kind", "sha256", "name"),
)


def add_new_columns(connection: Connection) -> None:
    """Give tables that an older Andon made the columns that have come since; each has a default, or may be null."""
    known = inspect(connection)
    for table in METADATA.sorted_tables:
        there = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


def match(table: Table, **wanted: Any) -> ColumnElement[bool]:
    """Columns equal to what is wanted; None wants all."""
    return and_(true(), *(table.c[name] == value for name, value in wanted.items() if value is not None))


def row(value: Any) -> dict[str, Any]:
    """A flat value as a row: column names are its fields."""
    return {item.name: getattr(value, item.name) for item in fields(value)}


def verdict_row(record: Recorded) -> dict[str, Any]:
    """A record as a row; its reasons are part of the body."""
    return {name: value for name, value in row(record).items() if name != "reasons"}


def to_recorded(found: RowMapping) -> Recorded:
    """A row as a record."""
    return Recorded(**found, reasons=tuple(found["body"]["reasons"]))


def head_row(head: Head) -> dict[str, Any]:
    """The head as the one row of its table."""
    return {"one": 1, **row(head)}


def to_head(found: RowMapping) -> Head:
    """The one row as the head."""
    return Head(**{item.name: found[item.name] for item in fields(Head)})


def champion_row(champion: Champion) -> dict[str, Any]:
    """A champion and its change as one row."""
    flat = row(champion)
    return {**row(flat.pop("change")), **flat}


def to_champion(found: RowMapping) -> Champion:
    """A row as a champion."""
    change = Change(**{item.name: found[item.name] for item in fields(Change)})
    return Champion(
        epoch=found["epoch"], change=change, from_version=found["from_version"], recorded_at=found["recorded_at"]
    )


def batch_row(batch: Batch) -> dict[str, Any]:
    """A batch as a row."""
    flat = row(batch)
    first, last = flat.pop("span") or (None, None)
    return {**flat, "first_time": first, "last_time": last}


def to_batch(found: RowMapping) -> Batch:
    """A row as a batch."""
    values = dict(found)
    first, last = values.pop("first_time"), values.pop("last_time")
    return Batch(**values, span=None if first is None else (first, last))
