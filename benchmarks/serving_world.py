"""What is served in the benchmark: data, models, request bodies, and the answers that every server must give."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from andon.settings import Settings
from modelling import bundle
from modelling.engine import Engine
from modelling.recipes import SPACE, Recipe
from modelling.training import Model, fit
from registry.ledger import Change
from registry.sql import open_ledger

DEFINITIONS = Path(__file__).resolve().parent / "serving_definitions"
REQUESTS = 1_000  # distinct bodies of one row
MANY = 100  # rows of a larger body
_BODIES_OF_MANY = 20
_SETTINGS = (0.05, 31, 50, 0.8, 0.8, 1.0)
_LEVELS = (5, 20, 60, 200, 500, 1_000)
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One model and what is asked of it. `folder` holds model.txt and encoding.json for the peers.

    `bodies`: by server family ("raw": MLflow's protocol with raw columns; "codes": with category codes; "v2", "bare")
    and rows, the file with one body a line. `expected`: the predictions of the first rows.
    """

    name: str
    trees: int
    folder: Path
    bundle: Path
    sha256: str
    bodies: Mapping[tuple[str, int], Path]
    expected: tuple[float, ...]
    expected_without_gaps: tuple[float, ...]
    native_us: float


def make_data(rows: int, *, seed: int) -> pl.DataFrame:
    """Raw columns and the target `outcome`; 5 % of the numbers and 2 % of the categories are missing."""
    chance = np.random.default_rng(seed)
    numbers = chance.normal(size=(rows, 24))
    codes = [np.minimum(chance.zipf(1.3, rows) - 1, levels - 1) for levels in _LEVELS]
    signal = numbers[:, :8].sum(axis=1) * 0.3 + (codes[2] % 7) * 0.2 - (codes[4] % 3) * 0.3
    outcome = (signal + chance.logistic(size=rows) > 0.3).astype(np.int8)
    numbers[chance.random(numbers.shape) < 0.05] = np.nan
    frame = pl.DataFrame({f"x{k}": numbers[:, k] for k in range(24)}).with_columns(pl.all().fill_nan(None))
    texts = [
        pl.Series(f"c{k}", [None if gone else f"level-{code:04d}" for code, gone in zip(column, missing, strict=True)])
        for k, (column, missing) in enumerate(zip(codes, chance.random((6, rows)) < 0.02, strict=True))
    ]
    index = pl.DataFrame(
        {
            "id": [f"row-{number:07d}" for number in range(rows)],
            "at": [_START + timedelta(minutes=7 * number) for number in range(rows)],
        },
        schema={"id": pl.String, "at": pl.Datetime("us", "UTC")},
    )
    return pl.concat([index, frame, pl.DataFrame(texts), pl.DataFrame({"outcome": outcome})], how="horizontal")


def make_world(name: str, trees: int, folder: Path, *, rows: int = 30_000) -> World:
    """Train the pipeline of serving_definitions/`name`.py with so many trees, and write all that the servers need."""
    from andon.catalogue import find

    pipeline = find(name, (DEFINITIONS,))
    data = make_data(rows + REQUESTS, seed=7)
    train, asked = data.head(rows), data.tail(REQUESTS).drop("outcome")
    recipe = Recipe(params=dict(zip(SPACE, _SETTINGS, strict=True)), rounds=trees)
    model = fit(pipeline.spec, train, recipe, seed=7, threads=2)
    place = folder / f"{name}-{trees}"
    place.mkdir(parents=True)
    sha256 = bundle.write(
        place / "bundle", model=model, pipeline=name, definition=pipeline.module_source, rows=train,
        definition_hash=pipeline.fingerprint, snapshot="", profile_json="{}",
    )  # fmt: skip
    (place / "model.txt").write_text(model.text, encoding="utf-8")
    columns = [{"name": column.name, "levels": column.levels} for column in model.encoding.columns]
    (place / "encoding.json").write_text(json.dumps(columns), encoding="utf-8")
    engine, matrix = Engine.from_text(model.text), model.encoding.encode(model.inputs(asked))
    return World(
        name=name,
        trees=trees,
        folder=place,
        bundle=place / "bundle",
        sha256=sha256,
        bodies=dict(_write_bodies(model, asked, place)),
        expected=tuple(model.predict(asked.head(MANY)).tolist()),
        expected_without_gaps=tuple(engine.predict(np.nan_to_num(matrix[:MANY])).tolist()),
        native_us=native_us(engine, matrix),
    )


def native_us(engine: Engine, matrix: NDArray[np.float64]) -> float:
    """CPU microseconds of one row in LightGBM's own single-row call, rows in turn, called without a server."""
    rows = matrix.tolist()
    for row in rows:
        engine.one(row)
    began = time.process_time()
    for _ in range(3):
        for row in rows:
            engine.one(row)
    return (time.process_time() - began) / (3 * len(rows)) * 1e6


def install(world: World, home: Path) -> None:
    """Make the world's model the champion of the ledger below `home`, with its bundle in this machine's cache."""
    place = home / "bundles" / world.name / world.sha256
    if place.exists():
        return
    shutil.copytree(world.bundle, place)
    settings = Settings(home=home, pipelines=str(DEFINITIONS))
    change = Change(
        pipeline=world.name, kind="promotion", version=str(world.trees), bundle_sha256=world.sha256,
        trained_until=_START, why="the benchmark's", data_time=_START, actor="benchmark",
    )  # fmt: skip
    open_ledger(settings.ledger, key=settings.seal_key()).crown(change, expected_epoch=0)


def _write_bodies(model: Model, asked: pl.DataFrame, place: Path) -> Iterator[tuple[tuple[str, int], Path]]:
    codes = pl.DataFrame(model.encoding.encode(model.inputs(asked)), schema=list(model.encoding.names))
    codes = codes.with_columns(pl.all().fill_nan(None))
    for rows in (1, MANY):
        spans = [(start * rows % REQUESTS, rows) for start in range(REQUESTS if rows == 1 else _BODIES_OF_MANY)]
        for kind, frame, shape in (
            ("raw", asked, _split),
            ("codes", codes, _split),
            ("bare", codes, _bare),
            ("v2", codes, _v2),
        ):
            path = place / f"{kind}-{rows}.jsonl"
            path.write_bytes(b"\n".join(shape(frame.slice(*span)) for span in spans) + b"\n")
            yield (kind, rows), path


def _split(frame: pl.DataFrame) -> bytes:
    return msgspec.json.encode({"dataframe_split": {"columns": frame.columns, "data": frame.rows()}})


def _bare(frame: pl.DataFrame) -> bytes:
    """What a hand-written server or BentoML takes: a list of rows."""
    return msgspec.json.encode({"rows": frame.rows()})


def _v2(frame: pl.DataFrame) -> bytes:
    """The Open Inference Protocol, which has no missing values in JSON: gaps are zeros."""
    data: list[Any] = [value for row in frame.fill_null(0.0).rows() for value in row]
    content = {"name": "rows", "shape": list(frame.shape), "datatype": "FP64", "data": data}
    return msgspec.json.encode({"inputs": [content]})
