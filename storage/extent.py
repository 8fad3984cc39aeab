"""How large a table is, by what its log says of its files. Reads no rows."""

from dataclasses import dataclass

import polars as pl

from storage.address import Address
from storage.delta import open_table, within
from storage.remote import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """`rows` counts all committed rows, those of suspect and dropped batches too. `version`: of the Delta table."""

    rows: int
    files: int
    bytes: int
    version: int


def extent_of(place: Address, remote: Remote) -> Extent | None:
    """The table as it is now; None while there is none."""
    table = open_table(place, remote)
    if table is None:
        return None
    files = pl.DataFrame(within(place, remote, lambda: table.get_add_actions(flatten=True), what="reading the log of"))
    rows, size = (int(files[name].sum()) if files.height else 0 for name in ("num_records", "size_bytes"))
    return Extent(rows=rows, files=files.height, bytes=size, version=table.version())
