"""NannyML's univariate drift at its defaults: drift_with_nannyml.py univariate REFERENCE CURRENT.

`fit_cpu_s`, of the CPU seconds: fitting the reference, which it can keep between windows.
"""

# mypy: ignore-errors

import os
import sys
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it would report to its makers

import nannyml as nml
import pandas as pd
from stopwatch import cpu_seconds, timed


def univariate(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, Any]:
    names, started = list(current.columns), cpu_seconds()
    fitted = nml.UnivariateDriftCalculator(column_names=names).fit(reference)
    fit = cpu_seconds() - started
    found = fitted.calculate(current).filter(period="analysis").to_df()
    alerts = found.xs("alert", axis=1, level=2).any()
    drifted = {name for (name, _), alert in alerts.items() if alert}
    return {"rows": len(current), "judged": len(names), "drifted": sorted(drifted), "fit_cpu_s": fit}


if __name__ == "__main__":
    way, *files = sys.argv[1:]
    then, now = (pd.read_parquet(file) for file in files)
    timed(lambda: univariate(then.drop(columns="at"), now))
