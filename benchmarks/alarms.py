"""How often does the drift alarm go off when nothing has changed, and does it when something has?

    python -m benchmarks.alarms [--quick] [--references 200] [--processes 3] [--rows 1000,10000,100000] [--null iid,day]

The product's detector as it runs, window after window, on simulated counts; beside it the rules of Evidently and
NannyML, tests with Bonferroni and the stability index on the same counts, at their defaults and at our rate of false
alarms. Tables on stderr, one JSON object on stdout. What is simulated stands in the modules alarms_*.py.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from benchmarks import alarms_nannyml, alarms_report
from benchmarks.alarms_cell import told
from benchmarks.alarms_trial import Trial, trial
from benchmarks.alarms_world import CHANGES, NULLS, World
from benchmarks.show import steps

ROWS = (1_000, 10_000, 100_000)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_STEP = 5  # references of one job
_QUICK_CHANGES = ("mean +0.5 sd", "new level 1 %", "label shift 10 points")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many `references` of each world, and on how many of them (the first) the changes of `kinds` are tried."""

    references: int
    changed: int
    kinds: tuple[str, ...]
    seed: int


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    for name in _THREADS:
        os.environ[name] = "1"
    plan = Plan(
        references=options.references,
        changed=options.references if options.changed is None else options.changed,
        kinds=_QUICK_CHANGES if options.quick else tuple(CHANGES),
        seed=options.seed,
    )
    worlds = [World(rows=rows, null=null) for rows in options.rows for null in options.null]
    found = measured(worlds, plan, processes=options.processes)
    checked = None if options.no_peer else alarms_nannyml.checked(quick=options.quick)
    answer = {**alarms_report.answered(found["cells"]), "nannyml_check": checked, **found}
    alarms_report.show(answer)
    print(json.dumps({"benchmark": "alarms", "quick": options.quick, "seed": options.seed, **answer}))


def measured(worlds: Sequence[World], plan: Plan, *, processes: int) -> dict[str, Any]:
    """All worlds; the same for the same seed, however many processes."""
    started = time.perf_counter()
    jobs = [(world, first) for world in worlds for first in range(0, plan.references, _STEP)]
    trials: dict[World, dict[int, list[Trial]]] = {world: {} for world in worlds}
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        steps(len(jobs), "references") as bar,
    ):
        waiting = {pool.submit(several, world, first, plan): (world, first) for world, first in jobs}
        for done in as_completed(waiting):
            world, first = waiting[done]
            trials[world][first] = done.result()
            bar.update(bar.task_ids[0], advance=1)
    cells = [told(world, [item for first in sorted(parts) for item in parts[first]]) for world, parts in trials.items()]
    return {"cells": cells, "seconds": round(time.perf_counter() - started, 1)}


def several(world: World, first: int, plan: Plan) -> list[Trial]:
    """The trials of one job."""
    return [
        trial(world, number, seed=plan.seed, kinds=plan.kinds if number < plan.changed else ())
        for number in range(first, min(first + _STEP, plan.references))
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarms", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few references of small worlds: a trial run")
    parser.add_argument("--references", type=int)
    parser.add_argument("--changed", type=int, help="on how many of them changes are tried; all")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--null", type=lambda text: text.split(","), default=list(NULLS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-peer", action="store_true", help="without the check against NannyML itself")
    options = parser.parse_args(arguments)
    options.references = options.references or (2 if options.quick else 200)
    options.rows = options.rows or ([1_000] if options.quick else list(ROWS))
    return options


if __name__ == "__main__":
    main()
