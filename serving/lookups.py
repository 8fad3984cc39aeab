"""What single requests are told from the reference tables: the values that training would find, by the same rule.

A worker's own copy of what the tables hold. A thread asks the ledger for new batches and reads those alone; while
ledger or lake are down, the last good copy answers.
"""

import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Self

import polars as pl

from andon.places import Lookup
from modelling.bundle import Bundle
from registry.ledger import Ledger
from serving.requests.rows import Rows
from storage import tables
from storage.lake import Lake
from storage.lookup_index import Asked, LookupIndex
from validation.errors import RegistryError

EVERY_SECONDS = 15.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One lookup: `on`, `as_of` and `brings` (by looked-up column) are positions in a request's columns."""

    asked: Asked
    on: tuple[int, ...]
    as_of: int
    brings: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What is known of a source's table, of these accepted batches."""

    batches: frozenset[int]
    index: LookupIndex

    @classmethod
    def nothing(cls, asked: Asked) -> Self:
        """Before anything was read."""
        return cls(batches=frozenset(), index=LookupIndex.empty(asked))


class LookupTables:
    """The reference tables of one bundle. `fill` may be called by any thread.

    Memory: of each lookup 2 million observations and the last before them of each key, which is 0.2 GB with few keys
    and 0.4 GB with a million (storage/lookup_index.py), and as much again while new batches are joined. That takes 2 to
    5 s of CPU there, and a fiftieth of it for a table of 100,000.
    """

    def __init__(
        self, pipeline: str, sources: Collection[_Source], *, ledger: Callable[[], Ledger], lake: Lake
    ) -> None:
        """Use `of`."""
        self.pipeline, self._sources, self._ledger, self._lake = pipeline, tuple(sources), ledger, lake
        self.held = {source.asked: _Held.nothing(source.asked) for source in self._sources}
        self._indexes: tuple[LookupIndex, ...] = ()
        self._trouble, self._seen = "", -math.inf
        self._refreshing, self._closed = threading.Lock(), threading.Event()

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        *,
        ledger: Callable[[], Ledger],
        lake: Lake,
        every_seconds: float = EVERY_SECONDS,
        like: "LookupTables | None" = None,
    ) -> "Self | None":
        """Read once, here and now, and begin to follow in a thread; None for a bundle that looks nothing up.

        When ledger or lake fail, this says so in `trouble`, values are missing (as for a key that is not known), and
        the thread tries again: a champion that cannot be told everything answers, rather than nobody. `like`: the
        tables of the bundle before; what both look up alike is taken over, and only its new batches are read.
        """
        lookups = getattr(bundle.definition, "lookups", ())
        if not lookups:
            return None
        positions = {name: position for position, name in enumerate(bundle.raw_schema)}
        sources = [_source(lookup, positions) for lookup in lookups]
        made = cls(bundle.manifest.pipeline, sources, ledger=ledger, lake=lake)
        if like is not None and like.pipeline == made.pipeline:
            made.held |= {asked: held for asked, held in like.held.items() if asked in made.held}
        made.refresh()
        weakref.finalize(made, made._closed.set)
        arguments = (weakref.ref(made), made._closed, every_seconds)
        threading.Thread(target=_follow, args=arguments, name=f"lookups of {made.pipeline}", daemon=True).start()
        return made

    @property
    def trouble(self) -> str:
        """Why the last look failed, in a sentence for /health; "" when it did not."""
        return self._trouble

    @property
    def age_seconds(self) -> float:
        """Seconds since the tables were last known to be as the ledger says; inf while they never were."""
        return time.monotonic() - self._seen

    def fill(self, rows: Rows) -> None:
        """Put what is looked up into the columns named in `rows.absent`, in place; None where nothing is known."""
        for source, index in zip(self._sources, self._indexes, strict=True):
            names = enumerate(source.asked.names)
            wanted = [(number, source.brings[name]) for number, name in names if name in rows.absent]
            if wanted:
                _fill(rows, source, index, wanted)

    def refresh(self) -> None:
        """Look at the ledger and read what is new; what fails becomes `trouble`, and the copy stays as it is."""
        with self._refreshing:
            begun = time.monotonic()
            try:
                for asked in self.held:
                    self.held[asked] = self._refreshed(asked)
            except Exception as cause:  # noqa: BLE001  # whatever fails, the last good copy goes on answering
                why = f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:300]
                self._trouble = f"the reference tables of {self.pipeline} cannot be read: {why}"
                _log.warning("%s", self._trouble)
            else:
                self._trouble, self._seen = "", begun
            self._indexes = tuple(self.held[source.asked].index for source in self._sources)

    def close(self) -> None:
        """End the thread. `fill` goes on with what it has. Without this it ends with the last reference."""
        self._closed.set()

    def _refreshed(self, asked: Asked) -> _Held:
        """NOTE: the ledger is asked first: what it calls accepted is in the table."""
        found = self._ledger().batches(self.pipeline, kind=asked.table, states=("accepted",))
        accepted, held = {batch.number: batch.rows_accepted for batch in found}, self.held[asked]
        if not held.batches <= accepted.keys():  # another ledger, or one that was put back
            held = _Held.nothing(asked)
        new = [number for number in accepted if number not in held.batches]
        if not any(accepted[number] for number in new):
            return held
        _log.info("lookups of %s: %s new batches of %s", self.pipeline, len(new), asked.table)
        return _Held(batches=frozenset(accepted), index=held.index.joined(self._read(asked, new)))

    def _read(self, asked: Asked, batches: Collection[int]) -> pl.DataFrame:
        place = self._lake.table(self.pipeline, asked.table)
        table = tables.scan(place, self._lake.remote)
        if table is None:
            raise RegistryError(f"the ledger names batches of {asked.table}, but there is no {place}; put it back")
        return asked.needed(table.filter(pl.col("_batch").is_in(list(batches)))).collect(engine="streaming")


def _follow(tables_of: "weakref.ref[LookupTables]", closed: threading.Event, every_seconds: float) -> None:
    while not closed.wait(every_seconds):
        found = tables_of()
        if found is None:
            return
        found.refresh()
        del found


def _source(lookup: Lookup, positions: Mapping[str, int]) -> _Source:
    asked = Asked.by(lookup)
    return _Source(
        asked=asked,
        on=tuple(positions[name] for name in asked.on),
        as_of=positions[asked.as_of],
        brings={name: positions[name] for name in asked.names},
    )


def _fill(rows: Rows, source: _Source, index: LookupIndex, wanted: Collection[tuple[int, int]]) -> None:
    columns = rows.columns
    single = source.on[0] if len(source.on) == 1 else None
    for row, moment in enumerate(columns[source.as_of]):
        key = columns[single][row] if single is not None else tuple(columns[position][row] for position in source.on)
        found = index.find(key, moment)
        for number, position in wanted:
            columns[position][row] = None if found is None else found[number]
