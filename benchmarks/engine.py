"""What a prediction costs by our engine and by lightgbm's own `Booster.predict`, of the same model and rows.

One row, 100 rows and 10,000, one thread each, in CPU microseconds a row; what it takes to come from a process's start
to the first prediction; and how far the two are apart. 30 inputs, six of them categories.

python -m benchmarks.engine [--trees 500 2000] [--quick]. Prints JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.table import Table

from andon.catalogue import find
from benchmarks.measure import run
from benchmarks.serving_world import DEFINITIONS, make_data
from benchmarks.show import CONSOLE
from modelling.plain import plain
from modelling.recipes import SPACE, Recipe
from modelling.training import Model, fit

_SETTINGS = (0.05, 31, 50, 0.8, 0.8, 1.0)
_SIZES = (1, 100, 10_000)
_ROUNDS = 5  # of which the median counts; ours and LightGBM's in turns

_START = {
    "ours": "from modelling.engine import Engine; Engine.from_text(text).one([0.0] * 30)",
    "lightgbm": "import lightgbm; lightgbm.Booster(model_str=text).predict([[0.0] * 30], num_threads=1)",
}
_PROGRAM = """
import json, sys, time
text = open(sys.argv[1], encoding="utf-8").read()
wall = time.perf_counter()
{work}
print(json.dumps(dict(wall_s=time.perf_counter() - wall, cpu_s=time.process_time())))
"""


def main(trees: Sequence[int], *, train_rows: int, rows: int) -> None:
    """A table on stderr, one line of JSON on stdout."""
    told = {str(count): _measured(count, train_rows=train_rows, rows=rows) for count in trees}
    _show(told)
    sys.stdout.write(json.dumps({"cpu_us_per_row": told}) + "\n")


def _measured(trees: int, *, train_rows: int, rows: int) -> dict[str, Any]:
    pipeline = find("plain", (DEFINITIONS,))
    data = make_data(train_rows + rows, seed=7)
    recipe = Recipe(params=dict(zip(SPACE, _SETTINGS, strict=True)), rounds=trees)
    model = fit(pipeline.spec, data.head(train_rows), recipe, seed=7, threads=2)
    asked = data.tail(rows)
    matrix, booster = model.encoding.encode(model.inputs(asked)), lgb.Booster(model_str=model.text)
    ways = {**_alone(model, asked, matrix, booster), **_together(model, matrix, booster)}
    apart = np.abs(model.engine.predict(matrix) - booster.predict(matrix, num_threads=1))
    return {**_in_turns(ways), **_starts(model.text), "largest_difference": float(apart.max())}


def _alone(
    model: Model, asked: pl.DataFrame, matrix: NDArray[np.float64], booster: lgb.Booster
) -> dict[str, Callable[[], float]]:
    """One row after the other, another one each time: one row asked again and again takes half as long."""
    some = min(1_000, len(matrix))
    plainly = plain(model, asked.head(10))
    columns = [[[value] for value in row] for row in asked.head(some).select(*model.spec.raw_schema).rows()]
    return {
        "one_row": _timed(model.engine.one, matrix[:some].tolist()),
        "one_row_values": _timed(lambda row: plainly.predict(row, refuse=False), columns),
        "one_row_lightgbm": _timed(
            lambda row: booster.predict(row, num_threads=1), [matrix[row : row + 1] for row in range(some)]
        ),
    }


def _together(model: Model, matrix: NDArray[np.float64], booster: lgb.Booster) -> dict[str, Callable[[], float]]:
    ways: dict[str, Callable[[], float]] = {}
    for size in _SIZES[1:]:
        parts = [matrix[start : start + size] for start in range(0, len(matrix) - size + 1, size)][:20]
        ways[f"{size}_rows"] = _timed(model.engine.predict, parts, rows=size)
        ways[f"{size}_rows_lightgbm"] = _timed(lambda part: booster.predict(part, num_threads=1), parts, rows=size)
    return ways


def _timed(ask: Callable[[Any], Any], questions: Sequence[Any], *, rows: int = 1) -> Callable[[], float]:
    """What says what a row costs, over all questions once."""

    def measure() -> float:
        began = time.process_time()
        for question in questions:
            ask(question)
        return (time.process_time() - began) / (len(questions) * rows) * 1e6

    return measure


def _in_turns(ways: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = cycle(ways)
    for turn in range(len(ways) * (_ROUNDS + 1)):
        name = next(names)
        cost = ways[name]()
        if turn >= len(ways):  # the first round loads what is loaded at first use
            found[name].append(cost)
    return {name: round(median(costs), 2) for name, costs in found.items()}


def _starts(text: str) -> dict[str, float]:
    """CPU seconds from a process's start to its first prediction."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.txt"
        path.write_text(text, encoding="utf-8")
        programs = {name: _PROGRAM.format(work=work) for name, work in _START.items()}
        runs = {name: run([sys.executable, "-c", code, path], seconds=120) for name, code in programs.items()}
    if failed := [told.failed for told in runs.values() if told.failed]:
        raise SystemExit(f"a program failed: {failed[0]}")
    return {f"start_{name}_cpu_s": round(told.process_cpu_s, 2) for name, told in runs.items()}


def _show(told: Mapping[str, Mapping[str, float]]) -> None:
    table = Table("trees", "rows", "ours", "LightGBM", "ours / LightGBM", title="CPU us a row, one thread")
    for trees, found in told.items():
        for size in ("one_row", *(f"{size}_rows" for size in _SIZES[1:])):
            ours, theirs = found[size], found[f"{size}_lightgbm"]
            table.add_row(trees, size.replace("_", " "), f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}")
        table.add_row(trees, "one row, plain values", f"{found['one_row_values']:.1f}", "", "")
        table.add_row(trees, "start, CPU s", f"{found['start_ours_cpu_s']}", f"{found['start_lightgbm_cpu_s']}", "")
        table.add_row(trees, "apart at most", f"{found['largest_difference']:.1e}", "", "")
    CONSOLE.print(table)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--trees", type=int, nargs="+", default=[500, 2_000])
    options.add_argument("--quick", action="store_true", help="small and short: shows that it runs, and nothing else")
    given = options.parse_args()
    if given.quick:
        main([50], train_rows=2_000, rows=10_000)
    else:
        main(given.trees, train_rows=30_000, rows=20_000)
