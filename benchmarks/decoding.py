"""What it costs to read a request of 30 columns, strictly, beside parsers that ask nothing, and MLflow's reader.

All in one process, in turns; CPU time, the median of several rounds. The others check less: json and msgspec nothing of
the contract; MLflow turns "0.5" into a number, and lets NaN and names given twice pass.

python -m benchmarks.decoding [--quick]. Prints JSON.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import msgspec
import polars as pl
from rich.table import Table

from benchmarks.show import CONSOLE
from modelling.inputs import frame_of
from serving.requests.decoding import RowsDecoder

SCHEMA: dict[str, pl.DataType] = {
    **{f"number_{number}": pl.Float64() for number in range(24)},
    **{f"category_{number}": pl.String() for number in range(6)},
}
FORMS = ("dataframe_split", "dataframe_records", "inputs")
_SECONDS = 0.2  # of each measurement

Read = Callable[[bytes], Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What it costs to read a request.")
    parser.add_argument("--quick", action="store_true", help="a trial: short rounds, and without MLflow")
    quick = parser.parse_args(arguments).quick
    readers = {"ours": _ours(frame=False), "ours, as a frame": _ours(frame=True), "json": json.loads}
    readers |= {"msgspec": msgspec.json.decode} | ({} if quick else {"mlflow": _mlflow()})
    found = {
        f"{form} {rows}": {name: round(us, 2) for name, us in measured(body(form, rows), readers, quick=quick).items()}
        for rows in (1, 100)
        for form in FORMS
    }
    _show(found, readers)
    print(json.dumps({"cpu_us": found, "budget_us": {"1": 8, "100": 300}}))


def measured(request: bytes, readers: dict[str, Read], *, quick: bool) -> dict[str, float]:
    """Microseconds of CPU for each reader."""
    rounds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(1 if quick else 5):
        for name, read in readers.items():
            rounds[name].append(_timed(lambda read=read: read(request), seconds=0.01 if quick else _SECONDS))  # type: ignore[misc]
    return {name: median(times) * 1e6 for name, times in rounds.items()}


def body(form: str, rows: int) -> bytes:
    """As a client writes it: with some nulls, numbers of several digits."""
    dice = random.Random(7)
    records = [{name: _value(dtype, dice) for name, dtype in SCHEMA.items()} for _ in range(rows)]
    held: Any = records
    if form == "dataframe_split":
        held = {"columns": list(SCHEMA), "data": [list(record.values()) for record in records]}
    elif form == "inputs":
        held = {name: [record[name] for record in records] for name in SCHEMA}
    return json.dumps({form: held}).encode()


def _value(dtype: pl.DataType, dice: random.Random) -> Any:
    if dice.random() < 0.05:
        return None
    return round(dice.gauss(0, 100), 6) if dtype == pl.Float64 else f"level {dice.randrange(1000)}"


def _ours(*, frame: bool) -> Read:
    decoder = RowsDecoder(SCHEMA, required=())
    return (lambda text: frame_of(decoder.decode(text).columns, SCHEMA)) if frame else decoder.decode


def _mlflow() -> Read:
    """The reader of `mlflow models serve`, with the schema that a logged model has."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data
    from mlflow.types import ColSpec, Schema

    kinds = {pl.Float64: "double", pl.String: "string"}
    schema = Schema([ColSpec(kinds[type(dtype)], name, required=False) for name, dtype in SCHEMA.items()])
    return lambda text: infer_and_parse_data(json.loads(text), schema)


def _timed(work: Callable[[], Any], *, seconds: float) -> float:
    times, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds or times < 2:
        for _ in range(10):
            work()
        times += 10
    return spent / times


def _show(found: dict[str, dict[str, float]], readers: dict[str, Read]) -> None:
    table = Table("format, rows", *readers, title="CPU for a request of 30 columns, microseconds")
    for case, times in found.items():
        table.add_row(case, *(f"{times[name]:,.1f}" for name in readers))
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
