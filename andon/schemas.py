"""What columns a definition's contracts bring, and whether its parts fit each other. Reads no data."""

from typing import Any

import polars as pl

from andon.places import Lookup, Table
from validation.definition import check_contract
from validation.errors import DefinitionError
from validation.rules import schema_of
from validation.serving import Serving


def looked_up_schema(lookup: Lookup) -> dict[str, pl.DataType]:
    """The columns that a lookup adds to a row, with their dtypes."""
    table = lookup.table
    columns = typed_columns(table.contract, field=f"contract of the table {table.name}")
    own = (*table.key, table.time, *([table.known_at] if table.known_at else []))
    wanted = lookup.columns or tuple(name for name in columns if name not in own)
    if unknown := [name for name in wanted if name not in columns]:
        raise DefinitionError(
            f"lookup.columns must be columns of {table.name} ({', '.join(columns)}), got {', '.join(unknown)}"
        )
    return {name: columns[name] for name in wanted}


def check_table(table: Table) -> None:
    """DefinitionError, with the table's name, unless its contract can be kept."""
    try:
        check_contract(table.contract)
    except DefinitionError as error:
        raise DefinitionError(f"table {table.name}: {error}") from error


def typed_columns(contract: Any, *, field: str) -> dict[str, pl.DataType]:
    """Column names and Polars dtypes that a contract asks for, in its order; without those that a pattern names, which
    are judged and kept, but which no feature can count on.
    """
    try:
        columns = {name: column for name, column in schema_of(contract).columns.items() if not column.regex}
        return dict(pl.Schema({name: column.dtype.type for name, column in columns.items()}))
    except AttributeError as cause:
        raise DefinitionError(
            f"{field} must be a pandera.polars DataFrameModel or DataFrameSchema with typed columns, got {contract!r}"
        ) from cause


def check_moment(columns: dict[str, pl.DataType], name: str, *, field: str) -> None:
    """DefinitionError unless the column is a moment in UTC, to the microsecond."""
    if columns.get(name) != pl.Datetime("us", "UTC"):
        raise DefinitionError(
            f"{field} must be Datetime('us', 'UTC'), {name!r} is {columns.get(name, 'no column')}; "
            f"write {name}: Annotated[pl.Datetime, 'us', 'UTC'] and convert local time upstream"
        )


def check_log(serving: Serving, columns: dict[str, pl.DataType], *, kept: tuple[str, ...]) -> None:
    """DefinitionError unless the log leaves out, and hashes, columns that there are and that it can do without."""
    for field_name in ("log_leave_out", "log_hash"):
        for name in getattr(serving, field_name):
            if name not in columns or name in kept:
                allowed = ", ".join(column for column in columns if column not in kept)
                raise DefinitionError(f"serving.{field_name} must name columns of {allowed}; got {name!r}")
    for name in serving.log_hash:
        if columns[name] != pl.String:
            raise DefinitionError(f"serving.log_hash takes strings, {name!r} is {columns[name]}: leave it out")


def check_lookup(lookup: Lookup, columns: dict[str, pl.DataType], brought: dict[str, str]) -> None:
    """DefinitionError unless the lookup fits the contract's `columns`, and brings none that `brought` holds already;
    its own are added there.
    """
    table = lookup.table
    own = typed_columns(table.contract, field=f"contract of the table {table.name}")
    check_moment(columns, lookup.as_of, field="lookup.as_of")
    check_moment(own, table.time, field="table.time")
    if table.known_at:
        check_moment(own, table.known_at, field="table.known_at")
    for name in lookup.on:
        if columns.get(name) is None or columns[name] != own.get(name):
            raise DefinitionError(
                f"lookup.on {name!r} must be a column of both contracts in one type, "
                f"got {columns.get(name, 'none')} and {own.get(name, 'none')} in {table.name}"
            )
    for name in looked_up_schema(lookup):
        if name in brought:
            raise DefinitionError(
                f"the lookup in {table.name} brings {name!r}, which {brought[name]} has as well; "
                "name what is to be taken over: lookup.columns"
            )
        brought[name] = table.name
