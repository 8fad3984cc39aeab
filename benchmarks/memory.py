"""Parquet files -> binned Dataset -> 20 trees, 20 columns: CPU and peak memory, beside pandas.

    python -m benchmarks.memory [--rows 2_000_000 8_000_000 20_000_000] [--repeat 3 2 1] [--folder SCRATCH]
    [--retrain-rows 500_000 2_000_000 6_000_000]

And what a whole retrain of such rows holds, out of an installation that took them in: benchmarks/memory_watch.py.

Every run is a fresh process with one thread, ways in turns. `stream`: in parts, as scan_dataset chooses above
STREAM_CELLS; `frame`: Polars' frame in memory, as it chooses below; "ours" is whichever it chooses. `pandas`:
read_parquet -> categories -> lightgbm.Dataset, with the same parameters, so the same trees (`agree`);
`pandas_defaults`: with LightGBM's own bins, up to 10M rows. Needs 90 bytes of disk for each row, and pandas 8 GB of
memory for 20M. --quick: to see it run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Run, run
from benchmarks.memory_modes import INPUTS, WAYS
from benchmarks.memory_watch import Peaks, retrained, slope
from benchmarks.show import CONSOLE, Figures, figures, finish, ratio, steps, table

_SECONDS = 3_600.0
_ROWS = (2_000_000, 8_000_000, 20_000_000)
_GIB = 2**30
_DEFAULTS_UP_TO = 10_000_000  # it takes a third more memory than pandas already does
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}

Runs = Mapping[int, Mapping[str, Sequence[Run]]]


def main() -> None:
    """Make what is missing, measure, and tell."""
    options = _options()
    repeats = dict(zip(options.rows, options.repeat, strict=False))
    runs: dict[int, dict[str, list[Run]]] = {}
    with steps(sum(repeats.values()) * len(options.only), "memory") as bar:  # a few less, if sizes are large
        for rows, repeat in repeats.items():
            folder = _made(options.folder / f"memory-{rows}", rows)
            ways = [way for way in options.only if way != "pandas_defaults" or rows <= _DEFAULTS_UP_TO]
            runs[rows] = {way: [] for way in ways}
            for _ in range(repeat):
                for way in ways:
                    bar.update(bar.task_ids[0], advance=1, description=f"{rows:,} {way}")
                    runs[rows][way].append(_run(way, folder))
    found = {rows: _figures(ways) for rows, ways in runs.items()}
    retrains = _retrains(options)
    told = {**answer(runs, found), **of_retrains(retrains)} if runs else of_retrains(retrains)
    _show(told, found)
    finish(told, {f"{way}_{rows}": one for rows, ways in found.items() for way, one in ways.items()})


def answer(runs: Runs, found: Mapping[int, Mapping[str, Figures]]) -> dict[str, Any]:
    """The figures that are asked for; None for what was not run, or failed. "ours": as the product chooses.

    `cpu_vs_pandas`, `dataset_cpu_vs_pandas`: of the worst size; `bytes_per_row`: the steepest slope of peak anonymous
    memory between two sizes, training included; `rows_in_24gib`: by that slope from the largest size on.
    """
    from modelling.boosting.streaming import STREAM_CELLS  # loads lightgbm: not while programs are measured

    ours = {rows: "stream" if rows * INPUTS > STREAM_CELLS else "frame" for rows in found}
    times = {rows: ratio(ways.get(ours[rows]), ways.get("pandas")) for rows, ways in found.items()}
    binned = {rows: _binned(ways, ours[rows], "pandas") for rows, ways in runs.items()}
    defaults = {rows: ratio(ways.get(ours[rows]), ways.get("pandas_defaults")) for rows, ways in found.items()}
    slopes = {way: _slope(found, way) for way in ("stream", "pandas")}
    return {
        "benchmark": "memory",
        "rows": list(found),
        "bytes_per_row": slopes["stream"],
        "bytes_per_row_pandas": slopes["pandas"],
        "rows_in_24gib": _rows_in(24 * _GIB, found, "stream", slopes["stream"]),
        "rows_in_24gib_pandas": _rows_in(24 * _GIB, found, "pandas", slopes["pandas"]),
        "rows_in_24gib_is": "extrapolated from the largest size that was run, by the slope",
        "cpu_vs_pandas": _worst(times),
        "cpu_vs_pandas_by_rows": times,
        "ours_is": ours,
        "frame_cpu_vs_pandas_by_rows": {r: ratio(w.get("frame"), w.get("pandas")) for r, w in found.items()},
        "cpu_vs_pandas_defaults_by_rows": defaults,
        "dataset_cpu_vs_pandas": _worst(binned),
        "dataset_cpu_vs_pandas_by_rows": binned,
        "agree": all(one.agree for ways in found.values() for way, one in ways.items() if way != "pandas_defaults"),
        "failed": {f"{way}_{rows}": f.failed for rows, ways in found.items() for way, f in ways.items() if f.failed},
    }


def of_retrains(peaks: Mapping[int, Peaks]) -> dict[str, Any]:
    """What the processes of a retrain hold for each further row, by the steepest slope between two sizes: the training
    process of the challenger or of the refit, whichever holds more, and the flow's.
    """
    training = [slope(peaks, process) for process in ("learn", "refit")]
    return {
        "retrain_training_bytes_per_row": max((one for one in training if one is not None), default=None),
        "retrain_parent_bytes_per_row": slope(peaks, "parent"),
        "retrains": {rows: asdict(one) for rows, one in peaks.items()},
    }


def _retrains(options: argparse.Namespace) -> dict[int, Peaks]:
    found = {}
    with steps(len(options.retrain_rows), "retrains") as bar:
        for rows in options.retrain_rows:
            bar.update(bar.task_ids[0], description=f"a retrain of {rows:,}")
            found[rows] = retrained(options.folder / f"memory-home-{rows}", rows)
            bar.advance(bar.task_ids[0])
    return found


def _worst(ratios: Mapping[int, float | None]) -> float | None:
    known = [one for one in ratios.values() if one is not None]
    return max(known) if known else None


def _binned(ways: Mapping[str, Sequence[Run]], of: str, to: str) -> float | None:
    """CPU from files to the binned Dataset alone, before any tree."""
    if any(not ways.get(way) or any(one.failed for one in ways[way]) for way in (of, to)):
        return None
    ours, theirs = (median(one.found["dataset_cpu_s"] for one in ways[way]) for way in (of, to))
    return float(round(ours / theirs, 3))


def _slope(found: Mapping[int, Mapping[str, Figures]], way: str) -> float | None:
    sizes = sorted(rows for rows, ways in found.items() if way in ways and not ways[way].failed)
    peaks = {rows: found[rows][way].peak_mb * 2**20 for rows in sizes}
    steep = [(peaks[more] - peaks[few]) / (more - few) for few, more in pairwise(sizes)]
    return round(max(steep), 1) if steep else None


def _rows_in(room: int, found: Mapping[int, Mapping[str, Figures]], way: str, slope: float | None) -> int | None:
    if slope is None or slope <= 0:
        return None
    largest = max(rows for rows, ways in found.items() if way in ways and not ways[way].failed)
    return int(largest + (room - found[largest][way].peak_mb * 2**20) / slope)


def _figures(ways: Mapping[str, Sequence[Run]]) -> dict[str, Figures]:
    """All ways but the one with other bins must have grown the trees of the first."""
    first = next((one.found for ones in ways.values() for one in ones if not one.failed), {})
    truth = {name: first.get(name) for name in ("rows", "trees")}
    return {
        way: figures(ones, {"rows": truth["rows"]} if way == "pandas_defaults" else truth) for way, ones in ways.items()
    }


def _made(folder: Path, rows: int) -> Path:
    subprocess.run([sys.executable, "-m", "benchmarks.memory_modes", "make", str(folder), str(rows)], check=True)
    return folder


def _run(way: str, folder: Path) -> Run:
    for path in folder.iterdir():
        path.read_bytes()  # so that none waits for the disk
    return run(
        [sys.executable, "-m", "benchmarks.memory_modes", way, folder],
        seconds=_SECONDS,
        env={**os.environ, **_ONE_THREAD},
    )


def _show(told: Mapping[str, Any], found: Mapping[int, Mapping[str, Figures]]) -> None:
    for rows, ways in found.items():
        table(f"{rows:,} rows x 20, files -> Dataset -> 20 trees", ways.items(), base=ways.get("pandas"))
    for rows, one in told["retrains"].items():
        CONSOLE.print(
            f"A retrain of {rows:,} rows, MB at most: the flow's process {one['parent']:,.0f}, training "
            f"{one['learn']:,.0f}, the refit {one['refit']:,.0f}."
        )
    CONSOLE.print(
        f"Bytes for each further row: training {told['retrain_training_bytes_per_row']}, the flow's process "
        f"{told['retrain_parent_bytes_per_row']}."
    )
    if not found:
        return
    CONSOLE.print(
        f"CPU, ours / pandas, worst size: {told['cpu_vs_pandas']} (at most 0.8 wanted); until the Dataset alone: "
        f"{told['dataset_cpu_vs_pandas']}. Bytes a row, streamed and trained: {told['bytes_per_row']} (80), pandas "
        f"{told['bytes_per_row_pandas']}. Rows in 24 GiB, extrapolated: {told['rows_in_24gib']}."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=_ROWS)
    parser.add_argument("--repeat", type=int, nargs="*", default=(3, 2, 1), help="runs of each size")
    parser.add_argument("--retrain-rows", type=int, nargs="*", default=(500_000, 2_000_000, 6_000_000))
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(WAYS), help="these ways")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "andon-benchmarks")
    parser.add_argument("--quick", action="store_true", help="some thousand rows, once")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.repeat, options.retrain_rows = [20_000, 40_000], [1, 1], [20_000]
    return options


if __name__ == "__main__":
    main()
