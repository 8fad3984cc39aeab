"""The eight features of benchmarks/serving_definitions/derived.py in pandas, as a data scientist would write them."""

import json
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd


class Derived:
    """Raw rows in, predictions out."""

    def __init__(self, folder: Path) -> None:
        self.booster = lgb.Booster(model_file=str(folder / "model.txt"))
        columns = json.loads((folder / "encoding.json").read_text())
        self.names = [column["name"] for column in columns]
        self.codes = {
            column["name"]: {level: code for code, level in enumerate(column["levels"])}
            for column in columns
            if column["levels"] is not None
        }

    def predict(self, rows: pd.DataFrame) -> Any:
        """Predictions of raw rows."""
        at = pd.to_datetime(rows["at"], format="ISO8601", utc=True)
        made = rows.assign(
            hour=at.dt.hour.astype(float),
            weekday=(at.dt.weekday + 1).astype(float),
            logarithm=np.log1p(rows["x0"].astype(float).abs()),
            ratio=rows["x1"].astype(float) / (rows["x2"].astype(float).abs() + 1),
            difference=rows["x3"].astype(float) - rows["x4"].astype(float),
            square=rows["x5"].astype(float) * rows["x5"].astype(float),
            clipped=rows["x6"].astype(float).clip(-1, 1),
            family=rows["c0"].str.slice(0, 3),
        )
        for name, codes in self.codes.items():
            made[name] = made[name].map(codes)
        return self.booster.predict(made[self.names].astype(float))
