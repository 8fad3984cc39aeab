"""NannyML's estimates of the windows of a world: CBPE or DLE with its defaults, a chunk for each window.

Usage: estimates_with_nannyml.py FOLDER classification|regression CPU
"""

# mypy: ignore-errors
# ruff: noqa: E402

import os
import sys
import warnings

os.sched_setaffinity(0, {int(sys.argv[-1])})  # before any library counts the processors
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it would report to its makers
warnings.filterwarnings("ignore")

import contextlib
from pathlib import Path
from typing import Any

import nannyml
import pandas as pd
from stopwatch import cpu_seconds, timed

NAMES = {
    "classification": {"auc": "roc_auc", "accuracy": "accuracy", "f1": "f1"},
    "regression": {"l1": "mae", "l2": "mse"},
}


def estimator(kind: str, inputs: list[str], chunk: int) -> Any:
    metrics = list(NAMES[kind].values())
    if kind == "regression":
        return nannyml.DLE(feature_column_names=inputs, y_pred="p", y_true="y", metrics=metrics, chunk_size=chunk)
    return nannyml.CBPE(
        problem_type="classification_binary", y_pred_proba="p", y_pred="decision", y_true="y",
        metrics=metrics, chunk_size=chunk,
    )  # fmt: skip


def estimates(reference: pd.DataFrame, windows: pd.DataFrame, kind: str, chunk: int) -> dict[str, Any]:
    inputs = [name for name in reference.columns if name.startswith("x")]
    started = cpu_seconds()
    made = estimator(kind, inputs, chunk).fit(reference)
    fit_cpu_s = cpu_seconds() - started
    table = made.estimate(windows).filter(period="analysis").to_df()
    told: dict[str, Any] = {"fit_cpu_s": fit_cpu_s}
    for ours, theirs in NAMES[kind].items():
        told[ours] = table[(theirs, "value")].astype(float).tolist()
        ends = [table[(theirs, f"{end}_confidence_boundary")].astype(float) for end in ("lower", "upper")]
        told[f"{ours} bounds"] = [list(pair) for pair in zip(*ends, strict=True)]
    return told


def main(folder: Path, kind: str) -> None:
    reference, windows = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "windows"))
    chunk = int((windows.pop("window") == 0).sum())
    for frame in (reference, windows):
        frame["decision"] = (frame["p"] >= 0.5).astype(int)
        frame["y"] = frame["y"].astype(int) if kind == "classification" else frame["y"]

    def work() -> dict[str, Any]:
        with contextlib.redirect_stdout(sys.stderr):
            return estimates(reference, windows, kind, chunk)

    timed(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
