"""Saves the model for `mlflow models serve`: serve_with_mlflow.py FOLDER TARGET plain|derived.

plain: MLflow's own LightGBM flavour, which takes numbers alone: the client sends category codes. derived: a Python
model that computes the features from raw columns.
"""

import json
import sys
from pathlib import Path

import lightgbm as lgb
import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema


def main(folder: Path, target: Path, kind: str) -> None:
    if kind == "plain":
        names = [column["name"] for column in json.loads((folder / "encoding.json").read_text())]
        signature = ModelSignature(inputs=Schema([ColSpec("double", name, required=False) for name in names]))
        booster = lgb.Booster(model_file=str(folder / "model.txt"))
        mlflow.lightgbm.save_model(booster, str(target), signature=signature, pip_requirements=["lightgbm"])
        return
    here = Path(__file__).resolve().parent
    mlflow.pyfunc.save_model(
        str(target),
        python_model=str(here / "serve_derived_model.py"),
        artifacts={"model": str(folder)},
        code_paths=[str(here / "serving_features.py")],
        pip_requirements=["lightgbm", "pandas"],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
