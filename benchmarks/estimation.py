"""How close are estimates of a performance whose labels have not come, and what do they cost? Beside NannyML.

    python -m benchmarks.estimation [--quick] [--seeds 5] [--cpu N] [--bikes FILE]

Both are given the same reference with labels, the same scores and the same windows (estimation_world.py); then the
labels are counted. Then ours alone on real days: estimation_real.py. Tables on stderr, one JSON object on stdout.

NOTE: both have one processor, the same. NannyML's LightGBM takes all of them, and its threads wait for each other in
loops: on a busy machine that cost 335 s of CPU for 5,000 rows, where 0.9 were work.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import estimation_real, estimation_report
from benchmarks.environments import NANNYML, python_of, script
from benchmarks.estimation_report import Trial
from benchmarks.estimation_world import Kind, Size, realised, write_world
from benchmarks.measure import Run, run
from benchmarks.show import steps

KINDS: tuple[Kind, ...] = ("classification", "regression")
PATIENCE_SECONDS = 1_800.0
QUICK = Size(training=2_000, reference=5_000, window=500)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    trials = measured(seeds=options.seeds, size=QUICK if options.quick else Size(), cpu=options.cpu)
    answer = estimation_report.answer(trials)
    estimation_report.show(answer)
    answer["real"] = estimation_real.measured(options.bikes, champions=1 if options.quick else 0)
    estimation_real.show(answer["real"])
    print(json.dumps({**answer, "quick": options.quick, "load_average": os.getloadavg(), "cpus": os.cpu_count()}))


def measured(*, seeds: int, size: Size, cpu: int) -> list[Trial]:
    """Each world asked of both, on this processor."""
    trials = []
    with tempfile.TemporaryDirectory() as scratch, steps(len(KINDS) * seeds, "worlds") as bar:
        for seed in range(seeds):
            for kind in KINDS:
                bar.update(bar.task_ids[0], advance=1, description=f"{kind}, seed {seed}")
                folder = write_world(Path(scratch) / f"{kind}-{seed}", kind, seed=seed, size=size)
                ours, nannyml = (asked(tool, folder, kind, cpu) for tool in COMMANDS)
                trials.append(Trial(kind=kind, came=realised(folder, kind), ours=ours, nannyml=nannyml))
    return trials


def _ours() -> list[str | Path]:
    return [sys.executable, "-m", "benchmarks.estimation_ours"]


def _nannyml() -> list[str | Path]:
    return [python_of(NANNYML), script("estimates_with_nannyml")]


COMMANDS = {"ours": _ours, "nannyml": _nannyml}


def asked(tool: str, folder: Path, kind: Kind, cpu: int) -> Run:
    """A fresh process; one that fails ends the benchmark, which has nothing to say without it."""
    got = run([*COMMANDS[tool](), folder, kind, str(cpu)], seconds=PATIENCE_SECONDS)
    if got.failed:
        raise SystemExit(f"{tool} failed on {kind}: {got.failed}")
    return got


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small world of each kind: no measurement")
    parser.add_argument("--seeds", type=int, default=0, help="worlds of each kind (5, or 1 with --quick)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the processor for both")
    parser.add_argument("--bikes", type=Path, help="the bikes' hours, as a Parquet file, for the real days")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or (1 if options.quick else 5)
    return options


if __name__ == "__main__":
    main()
