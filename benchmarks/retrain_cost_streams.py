"""Streams of labelled rows whose world moves, in cycles: before each a model is made, which serves until the next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.gate_real_weeks import History, bikes, flights
from modelling.prepared import prepare
from modelling.spec import Spec

CYCLE_WEEKS = {"flights": 3, "bikes": 6, "turning": 3}
WINDOW_WEEKS = {"flights": 1, "bikes": 2, "turning": 1}  # on which rungs are compared: the pipelines' holdouts
FIRST_WEEK = {"flights": 22, "bikes": 26, "turning": 10}
TURNING_WEEKS, TURNING_ROWS = 46, 4_000  # rows a week
_START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """Prepared rows in order of time. `cuts`: when models are made; the last one is the end. A label is known `gap`
    after its row, and not before its `known_at` where the rows tell it.
    """

    name: str
    spec: Spec
    rows: pl.DataFrame
    known_at: pl.Series | None
    cuts: tuple[datetime, ...]
    gap: timedelta

    def known(self, at: datetime) -> pl.DataFrame:
        """The labelled rows that a snapshot at that moment holds."""
        known = self.rows[self.spec.time] < at - self.gap
        return self.rows.filter(known if self.known_at is None else known & (self.known_at <= at))

    def served(self, cycle: int) -> pl.DataFrame:
        """The rows that the cycle's model answers."""
        moment = pl.col(self.spec.time)
        return self.rows.filter(moment >= self.cuts[cycle], moment < self.cuts[cycle + 1])


def streams(names: Sequence[str], *, folder: Path, bikes_file: Path | None, quick: bool) -> list[Stream]:
    """Those of the names that can be had; with `quick` two cycles of each."""
    found = []
    for name in names:
        if name == "turning":
            stream = turning()
        elif name == "flights":
            stream = _real(name, flights(folder / name))
        elif bikes_file is not None:
            stream = _real(name, bikes(bikes_file, folder / name))
        else:
            continue
        found.append(replace(stream, cuts=stream.cuts[:3]) if quick else stream)
    return found


def turning(*, seed: int = 3, weeks: int = TURNING_WEEKS, rows: int = TURNING_ROWS) -> Stream:
    """Ten normal inputs, of which two make the label by their sum along a direction that turns: slowly for 15 weeks, a
    quarter of a radian a week for 10, then not at all, and by one radian in the 33rd. The others' part stays.
    """
    random, count = np.random.default_rng(seed), weeks * rows
    x, week = random.normal(size=(count, 10)), np.arange(count) / rows
    angle = np.select([week < 15, week < 25], [0.03 * week, 0.45 + 0.25 * (week - 15)], 2.95 + (week > 32))
    logit = 1.5 * (np.cos(angle) * x[:, 0] + np.sin(angle) * x[:, 1]) + 0.8 * x[:, 2] * x[:, 3] + np.sin(2 * x[:, 4])
    names = [f"x{number}" for number in range(10)]
    microseconds = timedelta(weeks=1) // timedelta(microseconds=1) // rows
    frame = pl.DataFrame(x, schema=names).with_columns(
        row=pl.int_range(count),
        at=pl.lit(_START) + pl.duration(microseconds=pl.int_range(count) * microseconds),
        label=pl.Series(random.random(count) < 1 / (1 + np.exp(-logit))),
    )
    spec = Spec(
        features=lambda told: told.select(names),
        raw_schema={name: frame.schema[name] for name in (*names, "row", "at")},
        key=("row",),
        time="at",
        target="label",
        task="binary",
        metric="logloss",
    )
    prepared, ready = prepare(spec, frame)
    mondays = [_START + timedelta(weeks=number) for number in range(weeks + 1)]
    cuts = _cuts("turning", mondays)
    return Stream(name="turning", spec=prepared, rows=ready, known_at=None, cuts=cuts, gap=timedelta(hours=1))


def _real(name: str, history: History) -> Stream:
    spec, rows = prepare(history.pipeline.spec, history.rows)
    return Stream(
        name=name,
        spec=spec,
        rows=rows,
        known_at=history.rows["known_at"],
        cuts=_cuts(name, history.mondays),
        gap=history.gap,
    )


def _cuts(name: str, mondays: Sequence[datetime]) -> tuple[datetime, ...]:
    return tuple(mondays[FIRST_WEEK[name] :: CYCLE_WEEKS[name]])
