"""A Delta table for rows of some columns: it is made, or gains the columns that it lacks; no type ever changes."""

import polars as pl
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError

from storage.address import Address
from storage.delta import open_for, open_table, schema_of, within
from storage.remote import Remote
from validation.errors import RefusedError, ServiceDownError

_ATTEMPTS = 5


def opened(place: Address, schema: pl.Schema, remote: Remote) -> DeltaTable:
    """The table, with all columns of `schema`; RefusedError when one of them has another type there."""
    for _ in range(_ATTEMPTS):
        table = open_table(place, remote) or open_for(place, schema, remote)
        held = schema_of(table)
        refuse_changed(
            {name: str(dtype) for name, dtype in schema.items()}, {n: str(d) for n, d in held.items()}, place
        )
        absent = pl.Schema({name: dtype for name, dtype in schema.items() if name not in held})
        if not absent:
            return table
        _widen(table, absent, place, remote)
    raise ServiceDownError(f"{place}: other writers change its columns at the same time; try again later")


def refuse_changed(brought: dict[str, str], held: dict[str, str], place: object) -> None:
    """RefusedError when a column of `brought` has another type in what is `held`."""
    wrong = [
        f"{name!r} is {kind}, {held[name]} there" for name, kind in brought.items() if held.get(name, kind) != kind
    ]
    if wrong:
        raise RefusedError(
            f"{place} has columns of other types: {'; '.join(wrong[:5])}; name another table in `delivery`, or convert "
            "the one that is there"
        )


def _named(schema: pl.Schema) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in schema.items()}


def _widen(table: DeltaTable, absent: pl.Schema, place: Address, remote: Remote) -> None:
    """Somebody else may be faster: look again."""
    fields = [Field(field.name, field.type, nullable=True) for field in _delta(absent).fields]
    try:
        within(place, remote, lambda: table.alter.add_columns(fields), what="adding columns to")
    except (CommitFailedError, DeltaError) as error:
        if not set(absent) <= set(schema_of(_there(place, remote))):
            raise ServiceDownError(f"{place}: columns could not be added; try again later") from error


def _there(place: Address, remote: Remote) -> DeltaTable:
    """The table, which is there."""
    table = open_table(place, remote)
    assert table is not None, "nothing of ours deletes a table"  # noqa: S101
    return table


def _delta(schema: pl.Schema) -> Schema:
    return Schema.from_arrow(schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
