"""A BentoML service, as its documentation writes one; the folder stands in BENCH_FOLDER."""

import json
import os
from pathlib import Path

import bentoml
import lightgbm as lgb
import pandas as pd

FOLDER = Path(os.environ["BENCH_FOLDER"])


@bentoml.service(workers=1, traffic={"timeout": 60})
class Invocations:
    """One worker; rows of codes in, predictions out."""

    def __init__(self) -> None:
        self.booster = lgb.Booster(model_file=str(FOLDER / "model.txt"))
        self.names = [column["name"] for column in json.loads((FOLDER / "encoding.json").read_text())]

    @bentoml.api
    def invocations(self, rows: list[list[float | None]]) -> list[float]:
        """Predictions of the rows."""
        return self.booster.predict(pd.DataFrame(rows, columns=self.names, dtype=float)).tolist()
