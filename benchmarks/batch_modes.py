"""One way to score a batch, or to bring predictions into PostgreSQL, in this process:

python -m benchmarks.batch_modes WAY HOME LANDED OUT THREADS

HOME and LANDED are of benchmarks/batch_world.py; OUT: a folder for what is written. Imports are no part of the work.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.batch_world import LEVELS, NAME, NUMBERS, speak_of
from benchmarks.peers.stopwatch import cpu_seconds, timed

if TYPE_CHECKING:
    from storage.outbox import Outbox
    from tasks.score_run import ScoreRun
    from tasks.site import Site

SAMPLE = 100_000  # rows by which executemany, and LightGBM alone, are measured
_PAGE = 10_000  # rows of one call of executemany


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a way is given."""

    home: Path
    landed: Path
    out: Path
    threads: int


def ours(job: Job) -> dict[str, Any]:
    """Table -> partitions -> features -> engine -> prediction log -> outbox -> folder of files: what the task does,
    without Prefect, the lease and the verdict.
    """
    site, run = _begun(job.home)
    from tasks.score_delivery import deliver
    from tasks.score_run import fill

    fill(run, through="engine")
    scored = cpu_seconds()
    files = _only(site, "files")
    done = deliver(files, run.outbox, run.manifest)
    _require(not done.pending, *done.why)
    return {"partitions": len(run.manifest.partitions), "channel_cpu_s": cpu_seconds() - scored}


def ours_postgres(job: Job) -> dict[str, Any]:
    """The outbox that `ours` has left, into a table of PostgreSQL."""
    from storage.outbox import outbox_of, run_id_of
    from tasks.score_delivery import deliver

    site = _only(speak_of(job.home), "database")
    (batch,) = site.ledger.batches(NAME, kind="rows")
    outbox: Outbox = outbox_of(site.lake, NAME, run_id_of(NAME, batch.number), work=site.work)
    manifest = outbox.manifest()
    _require(manifest is not None, "run `ours` before")
    assert manifest is not None  # noqa: S101 - for mypy
    done = deliver(site, outbox, manifest)
    _require(not done.pending, *done.why)
    return {"rows": manifest.rows}


def pandas(job: Job) -> dict[str, Any]:
    """As it is done by hand: read_parquet, category codes, Booster.predict, to_parquet."""
    import lightgbm
    import pandas as pd

    booster = lightgbm.Booster(model_file=str(_model(job.home)))
    levels = _levels(job.home)
    frame = pd.read_parquet(job.landed)
    for name in LEVELS:
        codes = pd.Categorical(frame[name], categories=levels[name]).codes.astype(np.float64)
        frame[name] = np.where(codes < 0, np.nan, codes)
    predictions = booster.predict(frame[[*NUMBERS, *LEVELS]].to_numpy(), num_threads=job.threads)
    made = frame[["id", "at"]].assign(prediction=predictions)
    job.out.mkdir(parents=True, exist_ok=True)
    made.to_parquet(job.out / "pandas.parquet", index=False)
    return {}


def executemany(job: Job) -> dict[str, Any]:
    """A sample of the delivered rows, by psycopg: a table, a transaction, pages of rows."""
    import polars as pl
    import psycopg

    rows = pl.read_parquet(next((job.home / "lake" / "scores" / NAME).glob("*.parquet")), n_rows=SAMPLE)
    types = {pl.Int64: "bigint", pl.Float64: "double precision", pl.String: "text"}
    columns = ", ".join(f'"{name}" {types.get(type(dtype), "timestamptz")}' for name, dtype in rows.schema.items())
    statement = f"INSERT INTO by_hand VALUES ({', '.join(['%s'] * rows.width)})"  # noqa: S608
    with psycopg.connect(os.environ["ANDON_DELIVERY_DATABASE"]) as connection:
        connection.execute("DROP TABLE IF EXISTS by_hand")
        connection.execute(f"CREATE TABLE by_hand ({columns})")
        with connection.cursor() as cursor:
            for page in rows.iter_slices(_PAGE):
                cursor.executemany(statement, page.rows())
    return {"rows": rows.height}


def lightgbm(job: Job) -> dict[str, Any]:
    """The control: nothing but Booster.predict, on a matrix that is there; and our engine on the same one."""
    import lightgbm
    import polars as pl

    from modelling.engine import Engine
    from tasks.champions import champion_bundle

    found = champion_bundle(speak_of(job.home))
    assert found is not None  # noqa: S101 - the world has one
    rows = pl.read_parquet(job.landed, n_rows=SAMPLE)
    matrix = found[1].model.encoding.encode(found[1].inputs(rows))
    text = _model(job.home).read_text(encoding="utf-8")
    booster, engine = lightgbm.Booster(model_str=text), Engine.from_text(text)
    began = cpu_seconds()
    theirs = booster.predict(matrix, num_threads=job.threads)
    between = cpu_seconds()
    mine = engine.predict(matrix, threads=job.threads)
    ended = cpu_seconds()
    return {
        "rows": len(matrix),
        "booster_us": (between - began) / len(matrix) * 1e6,
        "engine_us": (ended - between) / len(matrix) * 1e6,
        "worst_difference": float(np.abs(theirs - mine).max()),
    }


WAYS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "ours": ours,
    "ours_postgres": ours_postgres,
    "pandas": pandas,
    "executemany": executemany,
    "lightgbm": lightgbm,
}


def delivered(job: Job) -> dict[str, Any]:
    """The rows that came out, and the sum of their predictions: the same for all ways."""
    import polars as pl

    files = sorted([*(job.home / "lake" / "scores" / NAME).glob("*.parquet"), *job.out.glob("*.parquet")])
    newest = max(files, key=lambda file: file.stat().st_mtime)
    found = pl.scan_parquet(newest).select(rows=pl.len(), total=pl.col("prediction").sum())
    return found.collect(engine="streaming").row(0, named=True)


def _begun(home: Path) -> "tuple[Site, ScoreRun]":
    """The batch's run, anew: as if it had never been scored."""
    from datetime import UTC, datetime

    from tasks.score_run import begin

    site = speak_of(home)
    for folder in ("outbox", "predictions", "scores"):
        shutil.rmtree(home / "lake" / folder, ignore_errors=True)
    (batch,), champion = site.ledger.batches(NAME, kind="rows"), site.ledger.champion(NAME)
    assert champion is not None  # noqa: S101 - the world has one
    return site, begin(site, batch, champion, datetime.now(UTC))


def _only(site: "Site", channel: str) -> "Site":
    """The same with one channel."""
    others = {name: None for name in ("files", "table", "database") if name != channel}
    return replace(site, pipeline=replace(site.pipeline, delivery=replace(site.pipeline.delivery, **others)))


def _model(home: Path) -> Path:
    (found,) = (home / "bundles" / NAME).glob("*/model.txt")
    return found


def _levels(home: Path) -> dict[str, list[str]]:
    import json

    manifest = json.loads((_model(home).parent / "andon.json").read_text(encoding="utf-8"))
    return {column["name"]: column["levels"] for column in manifest["encoding"]["columns"] if column["levels"]}


def _require(condition: bool, *why: str) -> None:  # noqa: FBT001 - it is what is required
    if not condition:
        raise RuntimeError("; ".join(why))


def main() -> None:
    way, home, landed, out, threads = sys.argv[1:]
    job = Job(home=Path(home), landed=Path(landed), out=Path(out), threads=int(threads))
    if way.startswith("ours"):
        import tasks.score  # noqa: F401
    else:
        import lightgbm  # noqa: F401
        import pandas  # noqa: F401
        import psycopg  # noqa: F401
    timed(lambda: WAYS[way](job), then=lambda: delivered(job) if way in ("ours", "pandas") else {})


if __name__ == "__main__":
    main()
