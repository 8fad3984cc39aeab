"""The tasks of the tuning benchmark, each as a folder: rows for ours, the same rows as matrices for the peers.

Rows are in order of time: the first 80 % may be seen (of these the newest fifth validates, which is `inner_split`), the
last 20 % are asked afterwards. Levels of categories with few training rows are missing values for everybody.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.gate_real_weeks import bikes, flights
from modelling.encoding import fit_encoding
from modelling.inputs import inputs_of
from modelling.spec import Spec
from modelling.splits import inner_split

TIME, LABEL = "at", "label"
LATER_SHARE = 0.2  # of the rows, the newest: nobody who tunes sees them
BIKES_SPLITS, BIKES_WINDOW = 5, timedelta(weeks=8)
FEW_ROWS = 100  # of a level: it is a missing value then
_START = datetime(2024, 1, 1, tzinfo=UTC)
_WHOLE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in order of time: `TIME`, `LABEL` (0 or 1, or a number) and inputs; those from `later` on are the test."""

    kind: str
    rows: pl.DataFrame
    later: int


def write(table: Table, folder: Path) -> None:
    """Make the task's folder, whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    seen, later = table.rows[: table.later], table.rows[table.later :]
    fold = inner_split(seen, time=TIME, gap=timedelta(0))
    seen = seen.with_columns(_known(seen[fold.train]))
    later = later.select(pl.col(name).cast(dtype, strict=False) for name, dtype in seen.schema.items())
    encoding = fit_encoding(seen[fold.train].drop(TIME, LABEL))
    for name, rows in (("train", seen[fold.train]), ("validation", seen[fold.validation]), ("test", later)):
        np.save(part / f"{name}.npy", encoding.encode(rows.drop(TIME, LABEL)))
        np.save(part / f"{name}_labels.npy", rows[LABEL].cast(pl.Float64).to_numpy())
    seen.write_parquet(part / "rows.parquet")
    told = {"kind": table.kind, "categories": encoding.categorical, "rows": table.rows.height}
    (part / "task.json").write_text(json.dumps({**told, "seen": seen.height, "validation": len(fold.validation)}))
    part.rename(folder)


def _known(train: pl.DataFrame) -> list[pl.Expr]:
    """Categories of the levels with enough rows; an Enum, so that later rows have none besides."""
    made = []
    for name in train.select(pl.col(pl.String)).columns:
        counts = train[name].drop_nulls().value_counts(name="rows")
        levels = counts.filter(pl.col("rows") >= FEW_ROWS)[name].sort()
        made.append(pl.col(name).cast(pl.Enum(levels), strict=False))
    return made


def made_flights(folder: Path) -> Table:
    """New York's departures of 2013, three hours before each: the pipeline's own inputs."""
    history = flights(folder)
    return _of_pipeline(history.pipeline.spec, history.rows, "binary")


def made_bikes(path: Path, folder: Path) -> Iterator[Table]:
    """Rolling splits: windows of eight weeks, the newest last, each with all hours before it."""
    history = bikes(path, folder)
    whole = _of_pipeline(history.pipeline.spec, history.rows, "regression").rows
    end = history.mondays[-1]
    for back in range(BIKES_SPLITS, 0, -1):
        first, stop = (whole[TIME].search_sorted(end - BIKES_WINDOW * weeks) for weeks in (back, back - 1))
        yield Table(kind="regression", rows=whole[:stop], later=first)


def _of_pipeline(spec: Spec, rows: pl.DataFrame, kind: str) -> Table:
    label = rows[spec.target].cast(pl.Int8 if kind == "binary" else pl.Float64)
    made = inputs_of(spec, rows).with_columns(rows[spec.time].alias(TIME), label.alias(LABEL))
    return Table(kind=kind, rows=made, later=int(made.height * (1 - LATER_SHARE)))


def made_smooth(rows: int) -> Table:
    """A regression on 20 inputs: Friedman's surface and products, and noise that grows with one input."""
    draws = np.random.default_rng(71)
    x = draws.uniform(size=(rows, 20))
    surface = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    surface += 4 * np.cos(6 * x[:, 5] * x[:, 6]) + 3 * np.sign(x[:, 7] - 0.3) * x[:, 8]
    return _synthetic("regression", x, surface + draws.normal(size=rows) * (0.5 + 2.5 * x[:, 9]), {})


def made_clusters(rows: int) -> Table:
    """A yes or no on 30 inputs: which of 48 Gaussian clusters in 12 directions, seen through a random rotation."""
    draws = np.random.default_rng(72)
    centres = draws.normal(size=(48, 12)) * 1.3
    member = draws.integers(48, size=rows)
    informative = centres[member] + draws.normal(size=(rows, 12))
    mixed = informative @ draws.normal(size=(12, 18)) / np.sqrt(12)
    x = np.concatenate([mixed, draws.normal(size=(rows, 12))], axis=1)
    label = (member % 2).astype(bool) ^ (draws.random(rows) < 0.05)
    return _synthetic("binary", x, label, {})


def made_large(rows: int) -> Table:
    """A yes or no on 20 numbers, some missing, and four categories of 6 to 120 levels with effects and interactions."""
    draws = np.random.default_rng(73)
    x = draws.normal(size=(rows, 20))
    levels = {"shop": 120, "brand": 40, "region": 15, "device": 6}
    codes = {name: np.minimum(draws.geometric(3 / count, size=rows), count) - 1 for name, count in levels.items()}
    score = 0.8 * x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + 0.6 * np.abs(x[:, 3]) - 0.5 * (x[:, 4] > 0.7) * x[:, 5]
    for column, (name, count) in enumerate(levels.items()):
        score += draws.normal(size=count)[codes[name]] * (0.7 + 0.5 * x[:, 6 + column])
    x[draws.random(x.shape) < 0.05] = np.nan
    label = draws.random(rows) < 1 / (1 + np.exp(-(score - 1)))
    return _synthetic("binary", x, label, codes)


def made_skewed(rows: int) -> Table:
    """A regression on 16 inputs, half of them small whole numbers: a skewed amount that steps and products multiply."""
    draws = np.random.default_rng(74)
    counts, amounts = draws.poisson(3, size=(rows, 8)), draws.lognormal(0, 0.7, size=(rows, 8))
    log = 0.25 * counts[:, 0] - 0.5 * (counts[:, 1] > 4) + 0.4 * np.minimum(amounts[:, 0], 2) * (counts[:, 2] < 3)
    log += 0.3 * np.log(amounts[:, 1] + amounts[:, 2]) + 0.2 * (counts[:, 3] % 2) * amounts[:, 3]
    label = np.exp(log + draws.normal(0, 0.4, size=rows))
    return _synthetic("regression", np.concatenate([counts, amounts], axis=1).astype(np.float64), label, {})


def made_rare(rows: int) -> Table:
    """A yes in some 3 of 100 rows, on 18 correlated inputs and a category: thresholds that only matter together."""
    draws = np.random.default_rng(75)
    x = draws.normal(size=(rows, 18)) + 0.8 * draws.normal(size=(rows, 1))
    kind = draws.integers(30, size=rows)
    score = 1.5 * ((x[:, 0] > 0.5) & (x[:, 1] < 0)) + 1.2 * ((x[:, 2] > 1) | (x[:, 3] > 1.5)) * (x[:, 4] > 0)
    score += 0.5 * x[:, 5] * (x[:, 6] > 0) + draws.normal(0, 0.6, size=30)[kind] * (1 + (x[:, 7] > 0))
    label = draws.random(rows) < 1 / (1 + np.exp(5.3 - score))
    return _synthetic("binary", x, label, {"kind": kind})


def _synthetic(kind: str, x: np.ndarray, label: np.ndarray, codes: dict[str, np.ndarray]) -> Table:
    at = pl.select(pl.lit(_START) + pl.duration(seconds=pl.int_range(len(x)))).to_series().alias(TIME)
    texts = {name: pl.Series([f"{name}-{code:03}" for code in values]) for name, values in codes.items()}
    numbers = {f"x{column:02}": pl.Series(x[:, column], nan_to_null=True) for column in range(x.shape[1])}
    made = pl.DataFrame({TIME: at, LABEL: label.astype(np.float64 if kind == "regression" else np.int8)})
    return Table(kind=kind, rows=made.with_columns(**numbers, **texts), later=int(len(x) * (1 - LATER_SHARE)))


SYNTHETIC: dict[str, tuple[Callable[[int], Table], int]] = {
    "smooth": (made_smooth, _WHOLE // 4),
    "clusters": (made_clusters, _WHOLE // 4),
    "large": (made_large, _WHOLE),
    # Made when the search was finished: nobody has looked at them while it was written.
    "unseen-skewed": (made_skewed, _WHOLE // 4),
    "unseen-rare": (made_rare, _WHOLE // 4),
}


def prepare(folder: Path, *, bikes_file: Path | None, shrink: int = 1) -> list[str]:
    """Make what is not there yet; the tasks' names. `shrink`: synthetic tasks alone, with so many times fewer rows."""
    for name, (make, rows) in SYNTHETIC.items():
        if not (folder / name).exists():
            write(make(rows // shrink), folder / name)
    if shrink > 1:
        return list(SYNTHETIC)
    if not (folder / "flights").exists():
        write(made_flights(folder / "sources" / "flights"), folder / "flights")
    names = [f"bikes-{split}" for split in range(BIKES_SPLITS)] if bikes_file else []
    if bikes_file and not all((folder / name).exists() for name in names):
        for name, table in zip(names, made_bikes(bikes_file, folder / "sources" / "bikes"), strict=True):
            if not (folder / name).exists():
                write(table, folder / name)
    return ["flights", *SYNTHETIC, *names]
