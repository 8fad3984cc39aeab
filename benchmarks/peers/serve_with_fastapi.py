"""The server that most teams write themselves: FastAPI, pandas, Booster.predict. serve_with_fastapi.py FOLDER PORT."""

import json
import sys
from pathlib import Path

import lightgbm as lgb
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

FOLDER, PORT = Path(sys.argv[1]), int(sys.argv[2])
BOOSTER = lgb.Booster(model_file=str(FOLDER / "model.txt"))
NAMES = [column["name"] for column in json.loads((FOLDER / "encoding.json").read_text())]
app = FastAPI()


class Request(BaseModel):
    """Rows in the order of the model's columns."""

    rows: list[list[float | None]]


@app.get("/ping")
def ping() -> dict[str, str]:
    return {}


@app.post("/invocations")
def invocations(request: Request) -> dict[str, list[float]]:
    frame = pd.DataFrame(request.rows, columns=NAMES, dtype=float)
    return {"predictions": BOOSTER.predict(frame).tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, loop="uvloop", http="httptools", access_log=False, log_level="warning")
