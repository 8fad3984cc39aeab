"""The two plain controls of the replay: never retraining, and retraining every week on everything, without a gate.

Computed beside the replay by `python -m demo.controls`, on one thread and at low priority. It knows what Andon knows:
at each week, the labels that had come and were mature; a model made in a week serves the next.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from andon.catalogue import find
from andon.settings import Settings
from demo.data import prepare_flights
from demo.weeks import Replay, asked
from modelling import bundle
from modelling.bundle import Bundle
from modelling.training import Model, fit
from storage.lake import write_whole
from validation.durations import span

_NICE = 15
_OUT = "controls.parquet"


def weekly_and_never(replay: Replay, champion: Path, *, first: int, last: int) -> pl.DataFrame:
    """Key, `never` and `weekly` predictions for the rows of the weeks `first` to `last`.

    Both begin with the first champion's bundle; `weekly` uses its recipe.
    """
    pipeline, never = find("flights", Settings().pipeline_folders), bundle.load(champion)
    spec, recipe = pipeline.spec, never.manifest.recipe
    weeks = [asked(replay, number, pipeline.lookups) for number in range(last + 1)]
    rows = _labelled(weeks, replay)
    weekly: Bundle | Model = never
    parts = []
    for number in range(first, last + 1):
        week = weeks[number]
        parts.append(
            week.select(
                *spec.key,
                pl.Series("never", never.predict(week)),
                pl.Series("weekly", weekly.predict(week)),
            )
        )
        known = _known(
            rows, replay.weeks[number].starts_at, matures_after=span(pipeline.labels.matures_after), time=spec.time
        )
        weekly = fit(spec, known, recipe, seed=pipeline.search.seed, threads=1)
    return pl.concat(parts)


def _labelled(weeks: Sequence[pl.DataFrame], replay: Replay) -> pl.DataFrame:
    labels = pl.concat([pl.read_parquet(week.labels) for week in replay.weeks[: len(weeks)] if week.labels])
    return pl.concat(weeks).join(labels, on="flight_id").sort("scheduled_at", "flight_id")


def _known(rows: pl.DataFrame, at: datetime, *, matures_after: timedelta, time: str) -> pl.DataFrame:
    return rows.filter(pl.col(time) + matures_after <= at, pl.col("known_at") <= at)


def start(champion: Path, *, home: Path, first: int, last: int) -> subprocess.Popen[bytes]:
    """Start computing the controls beside the replay; see `finish`."""
    arguments = [str(home / "source"), str(champion), str(first), str(last), str(home / _OUT)]
    with (home / "logs" / "controls.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "demo.controls", *arguments], stdout=log, stderr=subprocess.STDOUT
        )


def finish(running: subprocess.Popen[bytes] | None, *, home: Path) -> pl.DataFrame | None:
    """Wait for the controls; None when they failed, which their log in `home`/logs explains."""
    if running is None or running.wait() != 0:
        return None
    return pl.read_parquet(home / _OUT)


def main(folder: str, champion: str, first: str, last: str, out: str) -> None:
    """Write the controls' predictions as Parquet."""
    os.nice(_NICE)
    made = weekly_and_never(prepare_flights(Path(folder)), Path(champion), first=int(first), last=int(last))
    write_whole(Path(out), made.write_parquet)


if __name__ == "__main__":
    main(*sys.argv[1:])
