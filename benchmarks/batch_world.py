"""What is scored in the batch benchmark: a model, a landed file, and an installation in which that file is a batch.

python -m benchmarks.batch_world FOLDER ROWS TREES makes them; what is there is used again.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from registry.ledger import Batch
    from tasks.site import Site

NAME = "loans"
NUMBERS = [f"x{place}" for place in range(24)]
LEVELS = {"c0": 5, "c1": 20, "c2": 60, "c3": 200, "c4": 500, "c5": 1_000}
_TRAINING_ROWS = 60_000
_CHUNK = 250_000
_LATE = 600.0  # seconds by which a row may come before, or after, its neighbours
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_DEFINITION = f'''
"""Thirty columns as they are: 24 numbers and six categories, any of which may be missing."""

import pandera.polars as pa
import polars as pl

from andon import Delivery, Labels, Pipeline, Source

COLUMNS = {{
    "id": pa.Column(pl.Int64, unique=True),
    "at": pa.Column(pl.Datetime("us", "UTC")),
    **{{f"x{{place}}": pa.Column(pl.Float64, nullable=True) for place in range({len(NUMBERS)})}},
    **{{f"c{{place}}": pa.Column(pl.String, nullable=True) for place in range({len(LEVELS)})}},
}}


def features(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows


PIPELINE = Pipeline(
    name="{NAME}", source=Source(path="landing/{NAME}/*.parquet", time="at", key="id"),
    labels=Labels(path="landing/{NAME}_labels/*.parquet", target="bad"), contract=pa.DataFrameSchema(COLUMNS),
    features=features, task="binary", delivery=Delivery(files="scores/{NAME}", database="{NAME}_scores"),
)
'''


def rows_of(first: int, count: int) -> pl.DataFrame:
    """Rows number `first` to `first + count`, with the target `bad`: 5 % of the numbers, 2 % of the levels missing.

    One a second, each up to ten minutes early or late: almost in order of time, as files of events are.
    """
    chance = np.random.default_rng(first)
    numbers = chance.normal(size=(count, len(NUMBERS)))
    codes = {name: np.minimum(chance.zipf(1.3, count) - 1, levels - 1) for name, levels in LEVELS.items()}
    signal = numbers[:, :8].sum(axis=1) * 0.3 + (codes["c2"] % 7) * 0.2 - (codes["c4"] % 3) * 0.3
    bad = (signal + chance.logistic(size=count) > 0.3).astype(np.int8)
    numbers[chance.random(numbers.shape) < 0.05] = np.nan
    seconds = np.arange(first, first + count) + chance.uniform(-_LATE, _LATE, count)
    columns = {name: pl.Series(numbers[:, place]).fill_nan(None) for place, name in enumerate(NUMBERS)}
    for name, levels in LEVELS.items():
        texts = pl.Series([f"level-{code:04d}" for code in range(levels)])
        columns[name] = texts.gather(codes[name]).scatter(np.flatnonzero(chance.random(count) < 0.02), None)
    at = pl.Series(seconds * 1e6).cast(pl.Int64).cast(pl.Duration("us")) + _BEGIN
    return pl.DataFrame(
        {"id": np.arange(first, first + count), "at": at.cast(pl.Datetime("us", "UTC"))} | columns
    ).with_columns(bad=bad)


def landed(folder: Path, rows: int) -> Path:
    """The file that holds so many rows."""
    return folder / "batch" / f"{rows}.parquet"


def installation(folder: Path, rows: int, trees: int) -> Path:
    """The home in which that file is the accepted batch number 1."""
    return folder / "batch" / f"home-{rows}-{trees}"


def speak_of(home: Path) -> "Site":
    """This process acts in that home, and nowhere else."""
    import os

    from tasks.site import open_sites

    for name in [name for name in os.environ if name.startswith("ANDON_") and name != "ANDON_DELIVERY_DATABASE"]:
        del os.environ[name]
    os.environ |= {"ANDON_HOME": str(home), "ANDON_PIPELINES": str(home / "pipelines")}
    (site,) = open_sites(NAME)
    return site


def make(folder: Path, rows: int, trees: int) -> None:
    """File and installation, unless they are there."""
    path, home = landed(folder, rows), installation(folder, rows, trees)
    if not path.exists():
        _land(path, rows)
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        accept(install(home, trees=trees), path)
        (home / "ready").touch()


def install(home: Path, *, trees: int, training_rows: int = _TRAINING_ROWS) -> "Site":
    """An installation whose champion has so many trees; its bundle is on this machine."""
    from modelling import bundle
    from modelling.recipes import SPACE, Recipe
    from modelling.training import fit
    from registry.ledger import Change

    (home / "pipelines").mkdir(parents=True)
    (home / "pipelines" / f"{NAME}.py").write_text(_DEFINITION, encoding="utf-8")
    site = speak_of(home)
    recipe = Recipe(params=dict(zip(SPACE, (0.05, 31, 50, 0.8, 0.8, 1.0), strict=True)), rounds=trees)
    rows = rows_of(2**32, training_rows)
    model = fit(site.pipeline.spec, rows, recipe, seed=7, threads=2)
    place = home / "bundles" / NAME / "made"
    sha256 = bundle.write(
        place, model=model, pipeline=NAME, definition=site.pipeline.module_source, rows=rows,
        definition_hash=site.pipeline.fingerprint, snapshot="made up", profile_json="{}",
    )  # fmt: skip
    place.rename(place.with_name(sha256))
    change = Change(
        pipeline=NAME, kind="promotion", version="1", bundle_sha256=sha256, trained_until=_BEGIN - timedelta(days=1),
        why="the benchmark's", data_time=_BEGIN, actor="benchmark",
    )  # fmt: skip
    site.ledger.crown(change, expected_epoch=0)
    return site


def accept(site: "Site", path: Path) -> "Batch":
    """The file's rows are in the table and in the ledger, as ingest leaves them."""
    from registry.ledger import Arrival
    from storage import tables
    from validation.contract import ContractVerdict

    (batch,) = site.ledger.claim_batches(NAME, "rows", [Arrival(name=path.name, sha256=path.name, stamp="made up")])
    kept = pl.scan_parquet(path).with_columns(
        pl.lit(batch.number, pl.Int64).alias("_batch"), pl.lit(_BEGIN, pl.Datetime("us", "UTC")).alias("_known_at")
    )
    tables.append(
        site.lake.curated(NAME), kept, markers=[f"rows/{batch.number}"], remote=site.lake.remote, work=site.work
    )
    rows = kept.select(pl.len()).collect(engine="streaming").item()
    verdict = ContractVerdict(
        pipeline=NAME, subject=batch.name, outcome="accept", reasons=("made up",), data_time=_BEGIN, rows_in=rows,
        rows_accepted=rows,
    )  # fmt: skip
    span = (_BEGIN, _BEGIN + timedelta(seconds=rows))
    done = replace(batch, state="accepted", rows_in=rows, rows_accepted=rows, span=span)
    (batch,) = site.ledger.finish_batches([(done, verdict)], actor="benchmark")
    return batch


def _land(path: Path, rows: int) -> None:
    """Chunk by chunk, so that any number of rows can be made."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    schema = rows_of(0, 1).drop("bad").to_arrow().schema
    with pq.ParquetWriter(beside, schema, compression="zstd", compression_level=1) as file:
        for chunk in _chunks(rows):
            file.write_table(chunk.drop("bad").to_arrow().cast(schema))
    beside.replace(path)


def _chunks(rows: int) -> Iterator[pl.DataFrame]:
    return (rows_of(first, min(_CHUNK, rows - first)) for first in range(0, rows, _CHUNK))


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
