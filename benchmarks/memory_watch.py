"""Peak memory of a whole retrain (benchmarks/memory_retrain.py): of the flow's process and of its training processes,
each by itself.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.measure import anonymous_kb, children
from benchmarks.server import prefect_server

_SAMPLE_SECONDS = 0.015
_TRAINING = b"modelling.isolation_child"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """Anonymous memory in MB: of the flow's process (`parent`) and of each training process: first that which makes the
    challenger (`learn`), then that which fits it again on all rows (`refit`).
    """

    parent: float
    learn: float
    refit: float
    cpu_s: float
    outcome: str


def retrained(home: Path, rows: int) -> Peaks:
    """Make the installation of so many rows, if it is not there, and retrain a copy of it."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    with prefect_server(home.parent / "prefect") as server:
        program, env = [sys.executable, "-m", "benchmarks.memory_retrain"], env | server
        subprocess.run([*program, "make", str(home), str(rows)], check=True, env=env)
        copy = home.with_name(f"{home.name}-run")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)
        try:
            return _watched([*program, "retrain", str(copy)], env=env)
        finally:
            shutil.rmtree(copy)


def slope(peaks: Mapping[int, Peaks], process: str) -> float | None:
    """Bytes for each further row, the steepest between two sizes."""
    steps = pairwise(sorted(peaks))
    found = [
        (getattr(peaks[more], process) - getattr(peaks[few], process)) * 2**20 / (more - few) for few, more in steps
    ]
    return round(max(found), 1) if found else None


def _watched(command: Sequence[str], *, env: Mapping[str, str]) -> Peaks:
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as program:
        parent, training = 0, dict[int, int]()
        while program.poll() is None:
            parent = max(parent, anonymous_kb(program.pid, below=False))
            for child in filter(_trains, children(program.pid)):
                training[child] = max(training.get(child, 0), anonymous_kb(child))
            time.sleep(_SAMPLE_SECONDS)
        assert program.stdout is not None, "opened as a pipe"  # noqa: S101
        told = json.loads(program.stdout.read().strip().rpartition("\n")[2])
    learn, refit = [*training.values(), 0, 0][:2]
    return Peaks(
        parent=parent / 1024,
        learn=learn / 1024,
        refit=refit / 1024,
        cpu_s=told["cpu_s"],
        outcome=told["outcome"],
    )


def _trains(pid: int) -> bool:
    """NOTE: a child that has just been forked is its parent's image still."""
    try:
        return _TRAINING in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
