"""What the estimates of both were worth: errors by kind of shift, intervals, CPU seconds; for JSON and for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from benchmarks.estimation_world import METRICS, SHIFTS, WINDOWS, Floats, Kind, Shift
from benchmarks.measure import Run
from benchmarks.show import CONSOLE

TARGETS = {"error_vs_nannyml": 1.05, "cpu_vs_nannyml": 1 / 20, "cpu_vs_nannyml_regression": 1 / 3}
TOOLS = ("ours", "nannyml", "constant")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One world: what came by metric, and what both had estimated."""

    kind: Kind
    came: dict[str, Floats]
    ours: Run
    nannyml: Run


def answer(trials: Sequence[Trial]) -> dict[str, Any]:
    """`error_vs_nannyml`: the worst metric under covariate shift. `cpu_*`: of medians over the worlds."""
    errors = {kind: {name: _errors(trials, kind, name) for name in names} for kind, names in METRICS.items()}
    worst = {
        f"{kind} {name}": by_shift["covariate"]["ours"] / by_shift["covariate"]["nannyml"]
        for kind, by_name in errors.items()
        for name, by_shift in by_name.items()
    }
    return {
        "benchmark": "estimation",
        "error_vs_nannyml": round(max(worst.values()), 3),
        "cpu_vs_nannyml": _cpu(trials, "classification"),
        "cpu_vs_nannyml_regression": _cpu(trials, "regression"),
        "error_vs_nannyml_by_metric": {name: round(value, 3) for name, value in worst.items()},
        "mean_absolute_error": errors,
        "within_bounds": {
            kind: {name: _within(trials, kind, name) for name in names} for kind, names in METRICS.items()
        },
        "cpu_s": {kind: _seconds(trials, kind) for kind in METRICS},
        "estimator_kb": {kind: round(_median(trials, kind, "kb"), 1) for kind in METRICS},
        "worlds": len(trials),
    }


def show(told: dict[str, Any]) -> None:
    """Bad news first: what is missed, where NannyML is nearer, and where both are blind."""
    for name, most in TARGETS.items():
        if told[name] > most:
            CONSOLE.print(f"MISSED: {name} is {told[name]}, wanted at most {most:.3g}")
    nearer = [
        f"{name}, {shift} ({values['nannyml']:.4f} against our {values['ours']:.4f})"
        for by_name in told["mean_absolute_error"].values()
        for name, by_shift in by_name.items()
        for shift, values in by_shift.items()
        if values["nannyml"] < values["ours"] and shift != "concept"
    ]
    CONSOLE.print(f"NannyML is nearer in: {'; '.join(nearer) or 'nothing'}")
    CONSOLE.print("Under a changed concept no estimate without labels can be right: see the rows below.")
    CONSOLE.print(_error_table(told))
    CONSOLE.print(_cost_table(told))


def _of(trials: Sequence[Trial], kind: str) -> list[Trial]:
    return [trial for trial in trials if trial.kind == kind]


def _among(shift: Shift) -> npt.NDArray[np.bool_]:
    return np.array([window.shift == shift for window in WINDOWS])


def _errors(trials: Sequence[Trial], kind: str, name: str) -> dict[str, dict[str, float]]:
    """By shift: mean absolute error of both, and of saying always what the windows without any shift had on average."""
    found: dict[str, dict[str, float]] = {}
    for shift in SHIFTS:
        own, quiet = _among(shift), _among("none")
        said = {tool: [np.array(getattr(trial, tool).found[name]) for trial in _of(trials, kind)] for tool in TOOLS[:2]}
        came = [trial.came[name] for trial in _of(trials, kind)]
        said["constant"] = [np.full(len(truth), truth[quiet].mean()) for truth in came]
        found[shift] = {
            tool: round(float(np.mean([np.abs(a[own] - b[own]).mean() for a, b in zip(values, came, strict=True)])), 5)
            for tool, values in said.items()
        }
    return found


def _within(trials: Sequence[Trial], kind: str, name: str) -> dict[str, dict[str, float]]:
    """By shift: the share of windows whose realised value lies in the interval (ours: 0.95 without drift)."""
    found: dict[str, dict[str, float]] = {}
    for shift in SHIFTS:
        own = _among(shift)
        found[shift] = {}
        for tool in TOOLS[:2]:
            hits = []
            for trial in _of(trials, kind):
                lower, upper = np.array(getattr(trial, tool).found[f"{name} bounds"]).T
                hits.append(((lower <= trial.came[name]) & (trial.came[name] <= upper))[own].mean())
            found[shift][tool] = round(float(np.mean(hits)), 3)
    return found


def _cpu(trials: Sequence[Trial], kind: str) -> float:
    ours, nannyml = (median(getattr(trial, tool).cpu_s for trial in _of(trials, kind)) for tool in TOOLS[:2])
    return round(float(ours / nannyml), 4)


def _median(trials: Sequence[Trial], kind: str, name: str) -> float:
    return float(median(trial.ours.found[name] for trial in _of(trials, kind)))


def _seconds(trials: Sequence[Trial], kind: str) -> dict[str, float]:
    """CPU seconds of the work (fit and estimate), of its fit alone, and wall seconds; medians."""
    own, found = _of(trials, kind), {}
    for tool in TOOLS[:2]:
        runs = [getattr(trial, tool) for trial in own]
        found[tool] = round(median(run.cpu_s for run in runs), 4)
        found[f"{tool} fit"] = round(median(run.found["fit_cpu_s"] for run in runs), 4)
        found[f"{tool} wall"] = round(median(run.wall_s for run in runs), 4)
        found[f"{tool} with imports"] = round(median(run.process_cpu_s for run in runs), 3)
    return found


def _error_table(told: dict[str, Any]) -> Table:
    table = Table(
        "", "shift", "ours", "NannyML", "constant", "in our bounds", "in NannyML's", title="Mean absolute error"
    )
    for kind, by_name in told["mean_absolute_error"].items():
        for name, by_shift in by_name.items():
            for shift, values in by_shift.items():
                within = told["within_bounds"][kind][name][shift]
                shares = [f"{within[tool]:.0%}" for tool in TOOLS[:2]]
                table.add_row(f"{kind}: {name}", shift, *[f"{values[tool]:.4f}" for tool in TOOLS], *shares)
    return table


def _cost_table(told: dict[str, Any]) -> Table:
    table = Table("", "CPU s", "of it fit", "wall s", "CPU s with imports", title="Fit and estimate")
    for kind, spent in told["cpu_s"].items():
        for tool in TOOLS[:2]:
            names = (tool, f"{tool} fit", f"{tool} wall", f"{tool} with imports")
            table.add_row(f"{kind}: {tool}", *[f"{spent[name]:.3f}" for name in names])
    return table
