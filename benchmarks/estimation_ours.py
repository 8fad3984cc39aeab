"""Andon's estimates of the windows of a world (estimation_world.py): what is registered, then each window asked.

python -m benchmarks.estimation_ours FOLDER classification|regression CPU
"""

import os
import sys

if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[-1])})  # before any library counts the processors

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.optimize  # here, since imports are not timed
import scipy.special  # noqa: F401

from benchmarks.estimation_world import INPUTS, METRICS
from benchmarks.peers.stopwatch import cpu_seconds, timed
from modelling.estimator import Estimator, build_estimator
from modelling.spec import Spec


def spec_of(kind: str) -> Spec:
    return Spec(
        features=lambda rows: rows,
        raw_schema={name: pl.Float64() for name in INPUTS},
        key=("key",),
        time="at",
        target="y",
        task="binary" if kind == "classification" else "regression",
        metric="logloss" if kind == "classification" else "l2",
    )


def estimates(reference: pl.DataFrame, windows: list[pl.DataFrame], kind: str) -> dict[str, Any]:
    """By metric: the estimates and their bounds; with the CPU seconds of registration alone, and the size in kB."""
    started = cpu_seconds()
    made = build_estimator(
        spec_of(kind),
        reference.select(INPUTS),
        predictions=reference["p"].to_numpy(),
        labels=reference["y"].to_numpy(),
        windows=np.arange(reference.height) // windows[0].height,
    )
    if made is None:
        raise SystemExit("there is nothing to estimate with: too few windows in the reference")
    text = made.to_json()
    fit_cpu_s, carried = cpu_seconds() - started, Estimator.from_json(text)
    found = [carried.estimate(window.select(INPUTS), window["p"].to_numpy()) for window in windows]
    told: dict[str, Any] = {"fit_cpu_s": fit_cpu_s, "kb": len(text) / 1e3}
    for name in METRICS[kind]:
        told[name] = [item.metrics[name] for item in found if item]
        told[f"{name} bounds"] = [item.intervals[name] for item in found if item]
    return told


def main(folder: Path, kind: str) -> None:
    reference = pl.read_parquet(folder / "reference.parquet")
    windows = pl.read_parquet(folder / "windows.parquet").partition_by("window", maintain_order=True)
    timed(lambda: estimates(reference, windows, kind))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
