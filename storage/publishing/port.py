"""The port of delivery: what a run is, what it delivers, and what every channel promises. Writes nothing itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from validation.errors import DefinitionError

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One delivery: `run_id` names it, for ever and in every channel; `partition` names what it is about, such as a
    batch or a day.

    `sequence`: its place among the runs of its pipeline's partition; the greater replaces the smaller, whenever they
    come. Of two with the same the one that comes later replaces the other.
    """

    pipeline: str
    run_id: str
    partition: str
    sequence: int = 0

    def __post_init__(self) -> None:
        if self.run_id.startswith(".") or Path(self.run_id).name != self.run_id or not self.run_id.isprintable():
            raise DefinitionError(f"run_id must be a plain file name, got {self.run_id!r}")
        for name in ("run_id", "pipeline", "partition"):
            value = getattr(self, name)
            if not value or len(value) > _LONGEST_NAME or not value.isprintable():
                raise DefinitionError(
                    f"{name} of a run must be 1 to {_LONGEST_NAME} printable characters, got {value!r}"
                )
        if not 0 <= self.sequence < 2**63:
            raise DefinitionError(f"sequence of a run must be 0 or more, and below 2**63, got {self.sequence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`place`: where it is, as it may be shown; `rows`: those of this run. `repeated`: it was there before.

    `superseded`: a newer run of its partition was there before it came, so nothing was written.
    """

    place: str
    rows: int
    repeated: bool = False
    superseded: bool = False


class Predictions(Protocol):
    """The rows of a run, stamped (see `storage.publishing.stamp`), perhaps more than fit into memory."""

    @property
    def schema(self) -> pl.Schema:
        """The columns of each part, in their order."""
        ...

    @property
    def rows(self) -> int:
        """How many there are in all parts."""
        ...

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows, part by part; each call starts anew and gives the same."""
        ...


class Channel(Protocol):
    """A way by which predictions reach whoever uses them.

    - Exactly once by run id: a repetition, after a crash anywhere, completes the first attempt or changes nothing. The
      first delivery of a run stands, also when the repetition brings other numbers.
    - A run replaces its partition's rows of runs before it, whole or not at all; other partitions, and those of other
      pipelines, stay as they are. Runs are ordered by `Run.sequence`, not by when they come: one that comes after a
      greater one of its partition is `superseded` and writes nothing. Of two with the same sequence the later comer
      replaces. (A folder of files is the exception: a file for each run, none ever replaced; `partition` and
      `sequence` stand in them, and what supersedes what is for the reader to say.)
    - Several that publish at once all end right, as if one had come after the other.
    - A reader sees all rows of a run or none, never some.
    - A row says what stands behind it: see `storage.publishing.stamp.STAMP`.
    - Memory is bounded by a part, never by the run.
    - ServiceDownError: try again later, everything is as it was, or is complete. RefusedError, ContractError and
      DefinitionError: a person must act, as the message says. Any call to another machine ends in bounded time. No
      message holds a secret.
    """

    @property
    def name(self) -> str:
        """One of "files", "table", "database": always the same, for the ledger."""
        ...

    def publish(self, run: Run, predictions: Predictions) -> Published:
        """Bring them there, unless they are."""
        ...


@dataclass(frozen=True, slots=True)
class Frames:
    """Predictions that are in memory: frames of the same columns, at least one."""

    frames: Sequence[pl.DataFrame]

    @property
    def schema(self) -> pl.Schema:
        """The columns of the first."""
        return self.frames[0].schema

    @property
    def rows(self) -> int:
        """How many in all."""
        return sum(frame.height for frame in self.frames)

    def parts(self) -> Iterator[pl.DataFrame]:
        """One by one."""
        yield from self.frames
