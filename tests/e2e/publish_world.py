"""A publisher in a process of its own, for tests that kill it. Run as a module it publishes once, as its arguments say.

Two parts, the first with more rows than fit into one piece of an upload; the numbers tell which run they are of.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import SecretStr

from storage.address import Address
from storage.publishing.database import open_database
from storage.publishing.files import FilesChannel
from storage.publishing.port import Channel, Run
from storage.publishing.stamp import Stamp, stamped
from storage.publishing.table import TableChannel
from storage.remote import Remote

KEY = ("id",)
PART = 15_000
_STAMP = Stamp(version="7", epoch=3, snapshot="5e8a", scored_at=datetime(2013, 4, 8, tzinfo=UTC))


def run(number: int, *, partition: str = "day 1") -> Run:
    """Runs of one partition, in their order."""
    return Run(pipeline="bikes", run_id=f"{partition}-{number}", partition=partition, sequence=number)


@dataclass
class Scores:
    """`parts` parts of random numbers of the run's own: they do not compress."""

    run: Run
    parts_of: int = 2

    @property
    def schema(self) -> pl.Schema:
        return self._part(0, 0).schema

    @property
    def rows(self) -> int:
        return self.parts_of * PART

    def parts(self) -> Iterator[pl.DataFrame]:
        for number in range(self.parts_of):
            yield self._part(number, PART)

    def _part(self, number: int, rows: int) -> pl.DataFrame:
        random = np.random.default_rng([self.run.sequence, number])
        values = random.random((40, rows))
        plain = pl.DataFrame({f"x{column}": column_values for column, column_values in enumerate(values)})
        first = number * PART
        named = plain.with_columns(
            id=pl.format("k{}", pl.int_range(pl.len()) + first), prediction=pl.lit(float(self.run.sequence))
        )
        return stamped(named, self.run, _STAMP, first=first)


def channel(kind: str, place: str, work: str, endpoint: str = "", seconds: float = 30) -> Channel:
    """A channel of "files", "table" or "database" to a place: an address, or a URL."""
    remote = Remote(endpoint=endpoint, seconds=seconds)
    if kind == "files":
        return FilesChannel(Address.of(place), remote, Path(work))
    if kind == "table":
        return TableChannel(Address.of(place), remote, Path(work))
    return open_database(SecretStr(place), "scores", key=KEY, seconds=seconds)


def begin(kind: str, place: str, work: str, endpoint: str, number: str) -> None:
    """Publish one run, and say so."""
    published = channel(kind, place, work, endpoint).publish(run(int(number)), Scores(run(int(number))))
    sys.stdout.write(f"{published.rows} {published.repeated}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.umask(0o022)
    begin(*sys.argv[1:])
