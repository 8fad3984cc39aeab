"""Real histories week by week, as the product would know them, and their models, each of which is made once."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from andon.pipeline import Pipeline
from demo.data import prepare_bikes, prepare_flights
from demo.weeks import Replay, asked
from modelling.labels import label_values
from modelling.metrics import row_losses
from modelling.recipes import DEFAULT_RECIPES
from modelling.training import Model, fit
from pipelines.bikes import PIPELINE as BIKES
from pipelines.flights import PIPELINE as FLIGHTS
from validation.durations import span

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
WEEK = timedelta(weeks=1)
_DAY_SECONDS = 86_400
_REMEMBERED = timedelta(days=100)  # more than three looks at two weeks and as much again
ROW = "_row"  # a row's place in the history


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """A model: predictions for all rows of its history, and the moments up to which it has seen rows.

    `until`: just after the newest of them; `since`: rows from here on are evidence of it.
    """

    name: str
    until: datetime
    since: datetime
    prediction: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Labelled rows in order of time with `known_at` of their labels, and the Mondays at which their weeks begin.

    `moments`: place, time and `known_at` of each row, nothing else: what is asked a thousand times.
    """

    pipeline: Pipeline
    rows: pl.DataFrame
    moments: pl.DataFrame
    mondays: tuple[datetime, ...]
    labels: Floats
    seconds: Index
    slices: dict[str, NDArray[np.str_]]
    known: dict[int, pl.DataFrame] = field(default_factory=dict)

    @property
    def gap(self) -> timedelta:
        """How long after a row its label is mature."""
        return span(self.pipeline.labels.matures_after)

    def mature(self, week: int) -> pl.DataFrame:
        """Of `moments`, the rows that a snapshot at the beginning of the week would hold."""
        if week not in self.known:
            at, time = self.mondays[week], pl.col(self.pipeline.spec.time)
            self.known[week] = self.moments.filter(time < at - self.gap, pl.col("known_at") <= at)
        return self.known[week]

    def between(self, start: datetime, stop: datetime) -> Index:
        """Rows of that time."""
        moments = self.moments[self.pipeline.spec.time]
        return np.arange(moments.search_sorted(start), moments.search_sorted(stop))

    def days(self, rows: Index) -> Index:
        """The blocks in which the product sums losses: whole days before the newest of the rows."""
        return (self.seconds[rows].max(initial=0) - self.seconds[rows]) // _DAY_SECONDS

    def losses(self, model: Made, rows: Index) -> Floats:
        """Of each of the rows."""
        return self.losses_of(model.prediction[rows], rows)

    def losses_of(self, prediction: NDArray[Any], rows: Index) -> Floats:
        """Of these predictions, one for each of the rows."""
        spec = self.pipeline.spec
        return row_losses(spec.task, spec.metric, self.labels[rows], prediction.astype(np.float64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """Models of one history and seed with the first default recipe; predictions are kept as files below `folder`."""

    history: History
    seed: int
    folder: Path
    made: dict[str, Made] = field(default_factory=dict)

    def of(self, train: pl.DataFrame, *, since: datetime) -> Made:
        """The model of these rows; made now if it never was."""
        spec = self.history.pipeline.spec
        recipe = DEFAULT_RECIPES[spec.task][0]
        digest = hashlib.sha256(train[ROW].to_numpy().tobytes())
        digest.update(repr((self.seed, sorted(recipe.params.items()), recipe.rounds)).encode())
        name = f"{self.history.pipeline.name}-{digest.hexdigest()[:24]}"
        if name not in self.made:
            path = self.folder / f"{name}.npy"
            if not path.exists():
                model = fit(spec, self.history.rows[train[ROW].to_numpy()], recipe, seed=self.seed, threads=1)
                part = path.with_suffix(f".{self.seed}.npy")
                np.save(part, self._asked(model))
                part.rename(path)
            newest = train[spec.time].max()
            assert isinstance(newest, datetime)  # noqa: S101 - the caller passes rows
            until = newest + timedelta(microseconds=1)
            self.made[name] = Made(name=name, until=until, since=since, prediction=np.load(path, mmap_mode="r"))
        return self.made[name]

    def _asked(self, model: Model) -> NDArray[np.float32]:
        """Predictions for all rows that anybody asks about: nan for those of long before the model's last."""
        history = self.history
        later = history.rows.filter(pl.col(history.pipeline.spec.time) >= model.trained_until - _REMEMBERED)
        early = np.full(history.rows.height - later.height, np.nan, dtype=np.float32)
        return np.concatenate([early, model.predict(later).astype(np.float32)])

    def of_everything(self, week: int, *, train: str | timedelta) -> Made:
        """The model of all that is mature at the beginning of the week, or of its newest span."""
        history, rows = self.history, self.history.mature(week)
        until = history.mondays[week] - history.gap
        if isinstance(train, timedelta):
            rows = rows.filter(pl.col(history.pipeline.spec.time) >= until - train)
        return self.of(rows, since=until)


def flights(folder: Path) -> History:
    """New York's departures of 2013, with the weather that was known three hours before each."""
    return _history(FLIGHTS, prepare_flights(folder))


def bikes(path: Path, folder: Path) -> History:
    """Hourly rentals of two years from a Parquet file with the columns of the public data set."""
    return _history(BIKES, prepare_bikes(pl.read_parquet(path), folder))


def _history(pipeline: Pipeline, replay: Replay) -> History:
    spec = pipeline.spec
    weeks = pl.concat([asked(replay, number, pipeline.lookups) for number in range(len(replay.weeks))])
    files = [week.labels for week in replay.weeks if week.labels]
    labels = pl.concat([pl.read_parquet(file) for file in [*files, replay.closing_labels]])
    rows = weeks.join(labels, on=list(spec.key))
    return history_of(pipeline, rows, (*(week.starts_at for week in replay.weeks), replay.ends_at))


def history_of(pipeline: Pipeline, rows: pl.DataFrame, mondays: tuple[datetime, ...]) -> History:
    """Of labelled rows with `known_at`; the last of the Mondays is the end."""
    spec = pipeline.spec
    rows = rows.sort(spec.time, *spec.key).with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    return History(
        pipeline=pipeline,
        rows=rows,
        moments=rows.select(ROW, spec.time, "known_at"),
        mondays=mondays,
        labels=label_values(spec.task, rows[spec.target]),
        seconds=rows[spec.time].dt.epoch("s").to_numpy(),
        slices={name: rows[name].cast(pl.String).to_numpy().astype(str) for name in pipeline.gate.slices},
    )
