"""An installation for flow tests: bikes' weeks that land when the test says so, a ledger, a lake, MLflow; all real.

The rentals triple in the week of 7 February: a champion from before is then far off.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import polars as pl

from demo.data import prepare_bikes, sample_bikes
from demo.weeks import Replay, Week
from registry.ledger import Ledger
from tasks.site import Site, open_sites

ANEW = datetime(2011, 2, 7, tzinfo=UTC)
POLICIES = """
    search=Search(budget_seconds=1, budget_trials=3, rounds=30, threads=1),
    retrain=Retrain(holdout="3d"),
    monitor=Monitor(evidence="3d", reference_windows=28),
    gate=Gate(min_gain=0.01, alpha=0.3, min_blocks=3),
"""
_DEFINITION = """
from dataclasses import replace
from andon import *
from pipelines.bikes import PIPELINE as BIKES

PIPELINE = replace(BIKES, {changes})
"""
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def day(month: int, number: int, hour: int = 0) -> datetime:
    return datetime(2011, month, number, hour, tzinfo=UTC)


def weeks_of_bikes(folder: Path) -> Replay:
    """Nine weeks: number 0 has two days, number 5 begins on 31 January."""
    rentals = sample_bikes(days=58, seed=7)
    changed = pl.col("ts") >= pl.lit(ANEW.replace(tzinfo=None))
    return prepare_bikes(
        rentals.with_columns(rentals=pl.col("rentals") * pl.when(changed).then(3).otherwise(1)), folder
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    home: Path
    weeks: tuple[Week, ...]

    def define(self, changes: str = POLICIES, *, name: str = "bikes") -> None:
        """A pipeline file: the bikes, with these parts changed; `name` lands and delivers in folders of its own."""
        if name != "bikes":
            changes += f"""
    name="{name}", source=replace(BIKES.source, path="landing/{name}/*.parquet"),
    labels=replace(BIKES.labels, path="landing/{name}_rentals/*.parquet"),
    delivery=Delivery(files="scores/{name}", table="{name}_scores"),"""
        (self.home / "pipelines").mkdir(exist_ok=True)
        (self.home / "pipelines" / f"{name}.py").write_text(_DEFINITION.format(changes=changes))

    def land(self, *numbers: int, to: str = "bikes", labels: str = "bike_rentals") -> None:
        """The files of these weeks arrive: the rows, and the labels that became known in the week before."""
        for week in (self.weeks[number] for number in numbers):
            self.put(to, week.batch.name, week.batch.read_bytes())
            if week.labels:
                self.put(labels, week.labels.name, week.labels.read_bytes())

    def put(self, kind: str, name: str, data: bytes | pl.DataFrame) -> Path:
        path = self.lake / "landing" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            data.write_parquet(path)
        return path

    def rows(self, number: int) -> pl.DataFrame:
        """The rows of a week, as they arrive."""
        return pl.read_parquet(self.weeks[number].batch)

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def site(self) -> Site:
        return self.site_of("bikes")

    def site_of(self, name: str) -> Site:
        (found,) = open_sites(name)
        return found

    @property
    def ledger(self) -> Ledger:
        return self.site.ledger

    def champion(self) -> str | None:
        champion = self.ledger.champion("bikes")
        return champion.change.version if champion else None

    def aliases(self) -> dict[str, str]:
        """What MLflow's database says, past its client and ours."""
        with closing(sqlite3.connect(self.home / "mlflow.db")) as database:
            rows = database.execute("SELECT alias, version FROM registered_model_aliases WHERE name = 'bikes'")
            return {alias: str(version) for alias, version in rows}

    def told(self, kind: str) -> list[tuple[str, str]]:
        """Subject and outcome of the ledger's verdicts of a kind."""
        return [(item.subject, item.outcome) for item in self.ledger.verdicts("bikes", kind=kind)]


def copy_of(template: World, home: Path) -> World:
    """The same installation elsewhere; MLflow keeps absolute places, also in this process, by the ids of runs."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    shutil.copytree(template.home, home)
    if (home / "mlflow.db").exists():
        with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
            for table, column in _PLACES:
                move = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608
                database.execute(move, (str(template.home), str(home)))
    return World(home=home, weeks=template.weeks)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """The calls' results, each from a thread of its own; an error is a result."""
    results: list[object] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001  # for the test to look at
            results[number] = error

    # Prefect's settings are context variables, which a new thread does not see.
    threads = [Thread(target=copy_context().run, args=(run, number)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
