"""What the Delta tables hold of each batch. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from storage import tables
from tasks.intake import Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How many rows of a batch are in the table, and the event times of the first and the last."""

    rows: int
    span: tuple[datetime, datetime]


def held(intake: Intake, numbers: Sequence[int]) -> dict[int, Held]:
    """By number, of the batches that the table holds rows of."""
    table = tables.scan(intake.place, intake.site.lake.remote) if numbers else None
    if table is None:
        return {}
    mine = table.filter(pl.col("_batch").is_in(list(numbers))).group_by("_batch")
    time = pl.col(intake.time)
    found = mine.agg(pl.len(), first=time.min(), last=time.max()).collect(engine="streaming")
    return {number: Held(rows=rows, span=(first, last)) for number, rows, first, last in found.rows()}
