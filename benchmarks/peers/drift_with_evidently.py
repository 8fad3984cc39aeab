"""Evidently's preset for drift at its defaults: drift_with_evidently.py preset REFERENCE CURRENT."""

# mypy: ignore-errors

import os
import sys
from typing import Any

os.environ["DO_NOT_TRACK"] = "1"  # it would report to its makers

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from stopwatch import timed


def dataset(rows: pd.DataFrame) -> Dataset:
    """As a user says it who knows the kinds of the columns; otherwise many levels are taken for text."""
    kinds = DataDefinition(
        numerical_columns=[name for name in rows.columns if name.startswith("x")],
        categorical_columns=[name for name in rows.columns if name.startswith("c")],
    )
    return Dataset.from_pandas(rows, data_definition=kinds)


def preset(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, Any]:
    snapshot = Report([DataDriftPreset()]).run(dataset(current), dataset(reference))
    columns = [metric for metric in snapshot.dict()["metrics"] if "ValueDrift" in metric["metric_name"]]
    drifted = [each["config"]["column"] for each in columns if _drifted(each)]
    return {"rows": len(current), "judged": len(columns), "drifted": sorted(drifted)}


def _drifted(metric: dict[str, Any]) -> bool:
    """Its distances are drift from the threshold on; p-values would be below it, but it takes none at this size."""
    if "p_value" in metric["config"]["method"]:
        raise SystemExit(f"a p-value was not expected: {metric['config']}")
    return float(metric["value"]) >= metric["config"]["threshold"]


if __name__ == "__main__":
    way, *files = sys.argv[1:]
    then, now = (pd.read_parquet(file) for file in files)
    timed(lambda: preset(then.drop(columns="at"), now))
