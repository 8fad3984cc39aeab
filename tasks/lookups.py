"""What rows are told from the reference tables, in training and scoring alike. Without Prefect; writes nothing."""

from collections.abc import Collection, Mapping
from datetime import datetime

import polars as pl

from andon.places import Table
from storage import tables
from storage.lookup import look_up
from tasks.accepted import accepted
from tasks.site import Site

_BATCH, _KNOWN_AT = "_batch", "_known_at"


def looked_up(
    site: Site, rows: pl.LazyFrame, *, as_known_at: datetime, batches: Mapping[str, Collection[int]] | None = None
) -> pl.LazyFrame:
    """The rows with all that the pipeline looks up for them, of what had come in when they came (`_known_at`) and by
    `as_known_at`. `batches`: those of each table that count, by its name; the accepted ones when left out.
    """
    for lookup in site.pipeline.lookups:
        counted = None if batches is None else batches.get(lookup.table.name, ())
        rows = look_up(rows, _known(site, lookup.table, counted), lookup, as_known_at=as_known_at)
    return rows


def _known(site: Site, table: Table, counted: Collection[int] | None) -> pl.LazyFrame | None:
    """The table's rows. Those of a batch that was held came in when a person released it: what was scored before did
    not have them.
    """
    held, since = tables.scan(site.lake.table(site.name, table.name), site.lake.remote), accepted(site, table.name)
    if held is None:
        return None
    known = held.filter(pl.col(_BATCH).is_in(list(since if counted is None else counted)))
    released = {number: moment for number, moment in since.items() if moment is not None}
    if not released:
        return known
    at = pl.col(_BATCH).replace_strict(released, default=None, return_dtype=pl.Datetime("us", "UTC"))
    return known.with_columns(pl.max_horizontal(_KNOWN_AT, at))
