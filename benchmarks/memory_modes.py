"""Parquet files -> binned Dataset -> 20 trees in this process, by one of several ways:

python -m benchmarks.memory_modes WAY FOLDER

or the files themselves: python -m benchmarks.memory_modes make FOLDER ROWS. Imports are no part of the work.
"""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.peers.stopwatch import cpu_seconds, timed
from modelling.encoding import MIN_LEVEL_ROWS, fit_encoding
from modelling.isolation_child import UNNEEDED
from modelling.recipes import DEFAULT_RECIPES

TREES = 20
LABEL = "late"
INPUTS = 20
FILE_ROWS = 1_000_000

# The first champion's recipe, for all ways; all but pandas_defaults have BINNING besides, as the product.
RECIPE: Mapping[str, Any] = {
    "objective": "binary",
    "verbosity": -1,
    "deterministic": True,
    "seed": 7,
    "num_threads": 1,
    "bagging_freq": 1,
    **DEFAULT_RECIPES["binary"][0].params,
}


def stream(folder: Path) -> dict[str, Any]:
    """In parts, as scan_dataset chooses above STREAM_CELLS; here whatever the size."""
    from modelling.boosting.dataset import BINNING
    from modelling.boosting.streaming import scan_dataset

    began, params = cpu_seconds(), {**BINNING, **RECIPE}
    scan = pl.scan_parquet(folder)
    _, made = scan_dataset(scan, label=LABEL, min_rows=MIN_LEVEL_ROWS, params=params, cells=0)
    return _trained(made, params, began)


def frame(folder: Path) -> dict[str, Any]:
    """All rows in a frame, whose columns LightGBM reads where they lie: the product's way up to STREAM_CELLS."""
    from modelling.boosting.dataset import BINNING, dataset

    params = {**BINNING, **RECIPE}
    began, rows = cpu_seconds(), pl.read_parquet(folder)
    inputs, labels = rows.drop(LABEL), rows[LABEL].cast(pl.Float64).to_numpy()
    made = dataset(fit_encoding(inputs), inputs, labels, params=params)
    return _trained(made, params, began)


def pandas(folder: Path) -> dict[str, Any]:
    """read_parquet, texts as categories, lightgbm.Dataset; the same parameters, so the same trees."""
    from modelling.boosting.dataset import BINNING

    return _by_pandas(folder, {**BINNING, **RECIPE})


def pandas_defaults(folder: Path) -> dict[str, Any]:
    """The same recipe, with LightGBM's own choice of bins (255) and of how histograms are made."""
    return _by_pandas(folder, RECIPE)


def _by_pandas(folder: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    import lightgbm as lgb
    import pandas as pd  # type: ignore[import-untyped]

    began, rows = cpu_seconds(), pd.read_parquet(folder)
    labels = rows.pop(LABEL)
    texts = rows.select_dtypes(include=["object", "string"]).columns
    rows[texts] = rows[texts].astype("category")
    made = lgb.Dataset(rows, labels, params=dict(params)).construct()
    del rows
    return _trained(made, params, began)


def _trained(made: Any, params: Mapping[str, Any], began: float) -> dict[str, Any]:
    import lightgbm as lgb

    binned = cpu_seconds() - began
    text = lgb.train(dict(params), made, num_boost_round=TREES).model_to_string()
    trees = text[text.index("Tree=0") : text.index("end of trees")]
    return {
        "rows": made.num_data(),
        "dataset_cpu_s": binned,
        "trees": hashlib.sha256(trees.encode()).hexdigest(),
    }


WAYS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    way.__name__: way for way in (stream, frame, pandas, pandas_defaults)
}


def _import(way: str) -> None:
    """What the way needs. Ours do as the product's training process: nothing is loaded that LightGBM can do without."""
    if not way.startswith("pandas"):
        sys.modules.update(dict.fromkeys(UNNEEDED))  # type: ignore[arg-type]  # None: an import fails at once
    for name in ("modelling.boosting.streaming", *(["pandas", "pyarrow.dataset"] if way.startswith("pandas") else [])):
        importlib.import_module(name)


def make(folder: Path, rows: int) -> None:
    """Files of a million rows: 9 doubles, 4 floats, 3 integers, a Boolean, 3 texts of 8 to 300 levels; a few nulls."""
    if folder.exists():
        return
    beside = folder.with_name(f"{folder.name}-{os.getpid()}")
    beside.mkdir(parents=True)
    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        part = rows_of(min(FILE_ROWS, rows - start), seed=number)
        part.write_parquet(beside / f"{number:04}.parquet")
    beside.rename(folder)


def rows_of(count: int, *, seed: int) -> pl.DataFrame:
    random = np.random.default_rng([20, seed])
    doubles = {f"d{number}": random.normal(size=count) * 10**number for number in range(9)}
    floats = {f"f{number}": random.exponential(size=count).astype(np.float32) for number in range(4)}
    integers = {f"i{number}": random.integers(0, 40 * 10**number, count, dtype=np.int32) for number in range(3)}
    codes = {f"t{number}": random.integers(0, levels, count) for number, levels in enumerate((8, 60, 300))}
    flag = random.random(count) < 0.3
    score = doubles["d0"] + floats["f0"] * flag + (codes["t1"] % 7 == 0) - (integers["i0"] > 30) - 0.5
    made = pl.DataFrame({**doubles, **floats, **integers, "flag": flag, **codes})
    gone = pl.Series(random.random(count) < 0.02)
    texts = made.select(("level " + pl.col(*codes).cast(pl.String)).name.keep())
    named = made.with_columns(texts.get_columns()).with_columns(pl.when(~gone).then(pl.col("d1", "d2", "t0")))
    return named.with_columns(pl.Series(LABEL, random.logistic(size=count) < score))


if __name__ == "__main__":
    way, place, *more = sys.argv[1:]
    if way == "make":
        make(Path(place), int(more[0]))
    else:
        _import(way)
        timed(lambda: WAYS[way](Path(place)))
