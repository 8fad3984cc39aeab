"""How often does the gate promote what is no better, and see what is?

    python -m benchmarks.gate [--quick] [--only simulation,slices,seeds,cycles,bootstrap] [--real ...]

Score-level worlds with a known gain beside newer-is-better, the paired test and DeLong's; slices; real LightGBM that
differs by its seed alone; fifty cycles over alpha; what an interval costs beside the bootstrap. `--real` asks real
weeks instead: benchmarks/gate_real.py. Tables on stderr, one JSON object on stdout. What is simulated, and how, stands
in the modules gate_*.py.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

from benchmarks import gate_bootstrap, gate_cycles, gate_report, gate_seeds, gate_simulation, gate_slices
from benchmarks.gate_world import World
from benchmarks.show import CONSOLE

PARTS = ("simulation", "slices", "seeds", "cycles", "bootstrap")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_QUICK_WORLDS = tuple(World(rows=rows, days=14, ar=ar) for rows in (1_000, 2_000) for ar in (None, 0.4))
Job = tuple[str, Callable[[], Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything; `step`: decisions of one job."""

    decisions: int
    step: int
    seeds: int
    cycles: int
    rows: int
    plain: tuple[int, int]
    ends_rows: int
    ends: int
    worlds: tuple[World, ...] = gate_simulation.WORLDS
    slices: tuple[World, ...] = gate_slices.WORLDS


FULL = Size(
    decisions=4_000, step=250, seeds=200, cycles=1_000, rows=1_000_000, plain=(20, 4), ends_rows=20_000, ends=10_000
)
QUICK = Size(
    decisions=40, step=20, seeds=2, cycles=2, rows=20_000, plain=(5, 2), ends_rows=2_000, ends=100,
    worlds=_QUICK_WORLDS, slices=_QUICK_WORLDS[:2],
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    options, rest = _options(arguments)
    for name in _THREADS:  # numbers are counted per process; a matrix product would start as many threads as processors
        os.environ[name] = "1"
    if options.real:
        from benchmarks import gate_real

        print(json.dumps(gate_real.main(rest)))
        return
    size = QUICK if options.quick else FULL
    found = measured(size, only=options.only, rows=options.rows, processes=options.processes, seed=options.seed)
    gate_report.show(found)
    print(json.dumps({"benchmark": "gate", "quick": options.quick, "seed": options.seed, **found}))


def measured(size: Size, *, only: Sequence[str], rows: Sequence[int], processes: int, seed: int) -> dict[str, Any]:
    """Run the parts that are asked for; the bootstrap is timed when nothing else of ours is running."""
    started = time.perf_counter()
    results = _run(_jobs(size, only=only, rows=rows, seed=seed), processes=processes)
    answer: dict[str, Any] = {"alpha": gate_simulation.ALPHA, "decisions": size.decisions}
    if {"simulation", "slices"} & set(only):
        answer |= gate_report.simulation(results["simulation"], results["slices"])
    if "seeds" in only:
        answer |= gate_report.seeds([trial for trials in results["seeds"] for trial in trials])
    if "cycles" in only:
        answer["cycles"] = gate_cycles.together([outcome for outcomes in results["cycles"] for outcome in outcomes])
    if "bootstrap" in only:
        work = partial(
            gate_bootstrap.measured,
            rows=size.rows, resamples=1_000, repeats=size.plain, ends_rows=size.ends_rows, ends=size.ends,
        )  # fmt: skip
        answer["bootstrap"] = _run([("bootstrap", work)], processes=1)["bootstrap"][0]  # numpy there has one thread
        answer["bootstrap_speedup"] = answer["bootstrap"]["bootstrap_speedup"]
    usage = os.times()
    cpu = usage.user + usage.system + usage.children_user + usage.children_system
    return answer | {"cpu_s": round(cpu), "wall_s": round(time.perf_counter() - started)}


def _options(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="real weeks; further options are gate_real.py's")
    parser.add_argument("--quick", action="store_true", help="everything at tiny size, in less than a minute")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help="parts, by comma")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default=[], help="worlds")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=11)
    options, rest = parser.parse_known_args(arguments)
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    if rest and not options.real:
        parser.error(f"unknown options: {' '.join(rest)}")
    return options, rest


def _jobs(size: Size, *, only: Sequence[str], rows: Sequence[int], seed: int) -> list[Job]:
    steps = [min(size.step, size.decisions - first) for first in range(0, size.decisions, size.step)]
    jobs: list[Job] = []
    for number, world in enumerate(size.worlds):
        if rows and world.rows not in rows:
            continue
        for part, trials in enumerate(steps):
            jobs.append(("simulation", partial(gate_simulation.chunk, world, (seed, 1, number, part), trials)))
    for number, world in enumerate(size.slices):
        for part, trials in enumerate(steps):
            jobs.append(("slices", partial(gate_slices.chunk, world, (seed, 2, number, part), trials)))
    each = -(-size.seeds // 4)
    jobs += [
        ("seeds", partial(gate_seeds.trials, first, min(each, size.seeds - first), seed=seed))
        for first in range(0, size.seeds, each)
    ]
    each = -(-size.cycles // 10)
    for number, error in enumerate(gate_cycles.ERRORS):
        for first in range(0, size.cycles, each):
            count = min(each, size.cycles - first)
            jobs.append(("cycles", partial(gate_cycles.runs, error, (seed, 3, number, first), count)))
    return [job for job in jobs if job[0] in only]


def _run(jobs: Sequence[Job], *, processes: int) -> dict[str, list[Any]]:
    """Results by part, in the order of the jobs."""
    results: dict[int, Any] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting: dict[Future[Any], int] = {pool.submit(work): number for number, (_, work) in enumerate(jobs)}
        for done in as_completed(waiting):
            results[waiting[done]] = done.result()
            if len(results) % max(len(jobs) // 40, 1) == 0:
                CONSOLE.print(f"{len(results)} of {len(jobs)} jobs; the last: {jobs[waiting[done]][0]}")
    return {name: [results[number] for number, job in enumerate(jobs) if job[0] == name] for name in PARTS}


if __name__ == "__main__":
    main()
