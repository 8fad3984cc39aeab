"""How soon, and how well, does a search tune? Beside FLAML, LightGBMTuner, plain Optuna and no tuning at all.

    python -m benchmarks.tuning [--quick] [--seeds 5] [--bikes FILE] [--folder FOLDER] [--jobs N]

Every cell (a task, a tool, a seed) runs in a fresh process with one thread within 60 seconds of CPU; its result is kept
in `--folder`, and is not run again while it is there. `--jobs` processes run at once, each on a processor of its own.
Tables on stderr, one JSON object on stdout.
"""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks import tuning_report
from benchmarks.environments import TUNERS, python_of, script
from benchmarks.measure import run
from benchmarks.show import CONSOLE, steps
from benchmarks.tuning_tasks import prepare

PEERS = ("flaml", "lightgbm_tuner", "tpe", "control")
TOOLS = (*PEERS, "ours", "warm")
PATIENCE_SECONDS = 3_600.0  # on the wall
QUICK_SHRINK, QUICK_SECONDS = 25, 3.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One search."""

    task: str
    tool: str
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.task}-{self.tool}-{self.seed}"


def cells_of(tasks: Sequence[str], tools: Sequence[str], seeds: int) -> list[Cell]:
    """All tools in turns, task by task, seed by seed: whatever ends it early has been fair to all.

    Each split of the bikes has one seed, its own number, and no warm run.
    """
    cells = []
    for seed in range(seeds):
        now = [task for task in tasks if not task.startswith("bikes-") or task == f"bikes-{seed}"]
        cells += [Cell(task, tool, seed) for task in now for tool in tools if (task, tool) != (f"bikes-{seed}", "warm")]
    return cells


def command(cell: Cell, folder: Path, seconds: float) -> list[str | Path]:
    """What runs a cell in a process of its own."""
    where = (folder / "tasks" / cell.task, str(cell.seed), str(seconds))
    if cell.tool in PEERS:
        return [python_of(TUNERS), script("tune_with_peers"), cell.tool, *where]
    return [sys.executable, "-m", "benchmarks.tuning_ours", *where, *(["warm"] if cell.tool == "warm" else [])]


def run_cells(cells: Sequence[Cell], folder: Path, *, seconds: float, cpus: Sequence[set[int]]) -> None:
    """Those whose results are not there yet, one at a time on each of these sets of processors; one that fails is said,
    and is missing in the answer.
    """
    kept = folder / "cells"
    kept.mkdir(parents=True, exist_ok=True)
    missing = [cell for cell in cells if not (kept / f"{cell.name}.json").exists()]
    free: SimpleQueue[set[int]] = SimpleQueue()
    for own in cpus:
        free.put(own)

    def one(cell: Cell) -> str:
        if (kept / f"{cell.name}.json").exists():  # by another run on this folder, meanwhile
            return ""
        own = free.get()
        os.sched_setaffinity(0, own)  # of this thread, and so of what it starts
        got = run(command(cell, folder, seconds), seconds=PATIENCE_SECONDS, env={**os.environ, "OMP_NUM_THREADS": "1"})
        free.put(own)
        if got.failed:
            return f"{cell.name} failed: {got.failed}"
        told = {"seconds": seconds, "cpu_s": got.cpu_s, "wall_s": got.wall_s, "peak_mb": got.peak_mb, **got.found}
        part = kept / f"{cell.name}.part"
        part.write_text(json.dumps(told), encoding="utf-8")
        part.rename(kept / f"{cell.name}.json")
        return ""

    with ThreadPoolExecutor(len(cpus)) as pool, steps(len(missing), "cells") as bar:
        for cell, failed in zip(missing, pool.map(one, missing), strict=True):
            bar.update(bar.task_ids[0], advance=1, description=cell.name)
            if failed:
                CONSOLE.print(failed)


def results(cells: Sequence[Cell], folder: Path) -> Iterator[tuning_report.Found]:
    """Of the cells that were run."""
    for cell in cells:
        path = folder / "cells" / f"{cell.name}.json"
        if path.exists():
            told = json.loads(path.read_text(encoding="utf-8"))
            yield tuning_report.Found(task=cell.task, tool=cell.tool, seed=cell.seed, told=told)


def finite(told: Any) -> Any:
    """The same with None where a number is none or never came: JSON knows neither."""
    if isinstance(told, dict):
        return {name: finite(value) for name, value in told.items()}
    if isinstance(told, list):
        return [finite(value) for value in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        shrink = QUICK_SHRINK if options.quick else 1
        tasks = prepare(folder / "tasks", bikes_file=options.bikes, shrink=shrink)
        seconds = QUICK_SECONDS if options.quick else options.seconds
        if options.tasks:
            tasks = [task for task in tasks if task in options.tasks.split(",")]
        tools = [tool for tool in TOOLS if tool in options.only.split(",")]
        cells = cells_of(tasks, tools, options.seeds)
        there = os.sched_getaffinity(0)
        pinned = [{cpu} for cpu in sorted(there, reverse=True)[: options.jobs]]
        run_cells(cells, folder, seconds=seconds, cpus=[there] * options.jobs if options.unpinned else pinned)
        answer = tuning_report.answer(list(results(cells, folder)), seconds=seconds)
    tuning_report.show(answer)
    print(
        json.dumps(
            {
                **finite(answer),
                "quick": options.quick,
                "load_average": os.getloadavg(),
                "cpus": os.cpu_count(),
            }
        )
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small synthetic tasks, three seconds: no measurement")
    parser.add_argument("--seeds", type=int, default=0, help="of each task but the bikes (5, or 1 with --quick)")
    parser.add_argument("--bikes", type=Path, help="the bikes' hours, as a Parquet file")
    parser.add_argument("--folder", type=Path, help="where tasks and results are kept")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--unpinned", action="store_true", help="for a machine that others use, too")
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU, for each search")
    parser.add_argument("--only", default=",".join(TOOLS), help="tools, with commas between")
    parser.add_argument("--tasks", default="", help="tasks, with commas between (all)")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or (1 if options.quick else 5)
    return options


if __name__ == "__main__":
    main()
