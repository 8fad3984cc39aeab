"""A real scorer, whose champion takes columns of every type, before clients that are not ours.

schemathesis reads the scorer's own OpenAPI document and looks for answers that it does not tell; MLflow's client for
its own scoring servers gets predictions.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from andon.catalogue import load as load_pipeline
from tests.trips_world import NOON, World, scorer, train

TOKEN = "of-the-tests-and-long-enough"  # noqa: S105  # no secret
EXAMPLES = 40
DEFINITION = """
from typing import Annotated
import pandera.polars as pa
import polars as pl
from andon import Labels, Pipeline, Source

class Trips(pa.DataFrameModel):
    trip_id: str
    at: Annotated[pl.Datetime, "us", "UTC"]
    distance: float = pa.Field(nullable=True)
    share: pl.Float32 = pa.Field(nullable=True)
    seats: pl.Int16 = pa.Field(nullable=True)
    number: pl.UInt64 = pa.Field(nullable=True)
    late: bool = pa.Field(nullable=True)
    day: pl.Date = pa.Field(nullable=True)
    made: Annotated[pl.Datetime, "ns", None] = pa.Field(nullable=True)
    carrier: str = pa.Field(nullable=True)
    size: Annotated[pl.Enum, ["s", "m"]] = pa.Field(nullable=True)

def features(trips: pl.LazyFrame) -> pl.LazyFrame:
    return trips.with_columns(pl.col("day").dt.month(), pl.col("made").dt.hour())

PIPELINE = Pipeline(
    name="trips",
    source=Source(path="landing/trips/*.parquet", time="at", key="trip_id"),
    labels=Labels(path="landing/labels/*.parquet", target="delayed"),
    contract=Trips,
    features=features,
    task="binary",
)
"""
# JSON Schema calls 3.0 an integer, the scorer does not, as no schema can say.
HOOKS = """
import schemathesis

def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(held) for name, held in value.items()}
    return [whole(held) for held in value] if isinstance(value, list) else value

@schemathesis.hook
def map_body(context, body):
    return whole(body)
"""


def rows(count: int) -> dict[str, list[object]]:
    return {
        "trip_id": [str(row) for row in range(count)],
        "at": [NOON + timedelta(minutes=row) for row in range(count)],
        "distance": [float(row % 17) for row in range(count)],
        "share": [row % 5 / 5 for row in range(count)],
        "seats": [row % 200 for row in range(count)],
        "number": list(range(count)),
        "late": [row % 3 == 0 for row in range(count)],
        "day": [date(2013, 1 + row % 12, 1) for row in range(count)],
        "made": [datetime(2013, 1, 1, row % 24) for row in range(count)],  # noqa: DTZ001  # the column has no zone
        "carrier": ["AA" if row % 2 else "UA" for row in range(count)],
        "size": ["s" if row % 2 else "m" for row in range(count)],
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Its champion takes columns of every type."""
    file = tmp_path / "pipelines" / "trips.py"
    file.parent.mkdir()
    file.write_text(DEFINITION)
    schema = load_pipeline(file).raw_schema
    learned = pl.DataFrame(rows(300), schema=schema).with_columns(delayed=pl.col("distance") > 8)
    sha256, _ = train(file, learned, bundles=tmp_path / "bundles" / "trips", seed=1)
    env = {"ANDON_HOME": str(tmp_path), "ANDON_PIPELINES": str(file.parent), "PATH": os.environ["PATH"]}
    made = World(home=tmp_path, env=env, digests=[sha256])
    made.crown(1)
    return made


@contextmanager
def outliving(world: World, **env: str) -> Iterator[str]:
    """The address of a scorer that is still there when it has been asked, and ends when it is told to."""
    with scorer(world, **env) as (client, process):
        yield str(client.base_url)
        assert process.poll() is None
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.slow
def test_schemathesis_finds_no_answer_that_the_document_does_not_tell(world: World) -> None:
    home = world.home
    (home / "hooks.py").write_text(HOOKS)
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color", "--continue-on-failure"]
    with outliving(world, ANDON_SCORER_TOKENS=TOKEN) as address:
        command = [str(program), "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {TOKEN}", *options]
        env = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(home), "PATH": os.environ["PATH"], "HOME": str(home)}
        found = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert found.returncode == 0, f"{found.stdout[-8000:]} {found.stderr[-2000:]}"
    passed = re.search(r"(\d+) generated, (\d+) passed", found.stdout)
    assert passed is not None
    assert passed[1] == passed[2]
    assert int(passed[1]) > 1_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")  # MLflow's import, of its own types
def test_mlflows_own_client_is_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of MLflow's formats, as its client and its documents write them; but NaN, which is no JSON, is refused."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    frame = pl.DataFrame(rows(3), schema=load_pipeline(world.home / "pipelines" / "trips.py").raw_schema)
    pandas = frame.to_pandas()
    model = world.bundle(1)
    with outliving(world) as address:
        host, _, port = address.removeprefix("http://").rpartition(":")
        client: Any = ScoringServerClient(host, int(port))  # type: ignore[no-untyped-call]
        client.ping()
        answer = client.invoke(pandas)
        assert answer.get_predictions()[0].to_list() == model.predict(frame).tolist()
        holes = pandas.assign(distance=[1.5, None, 2.5], carrier=["AA", None, None])
        with pytest.raises(Exception, match=r"column 'distance', row 1: Expected `float . null`, got NaN"):
            client.invoke(holes)
        split, records = (json.loads(holes.to_json(orient=how, date_format="iso")) for how in ("split", "records"))
        lists = {name: [record[name] for record in records] for name in records[0]}
        for body in (
            {"dataframe_split": split},
            {"dataframe_records": records},
            {"instances": records},
            {"inputs": lists},
        ):
            told = httpx.post(f"{address}/invocations", json=body, trust_env=False)
            assert told.json() == {"predictions": model.predict(_with_holes(frame)).tolist()}, body
        epoch = {"inputs": [records[0] | {"at": 1357041600000}]}  # as pandas has written it by default
        told = httpx.post(f"{address}/invocations", json=epoch, trust_env=False)
        assert told.json()["error"].endswith('send a moment like "2013-01-31T06:15:00Z" (pandas: date_format="iso")')


def _with_holes(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(distance=pl.Series([1.5, None, 2.5]), carrier=pl.Series(["AA", None, None]))
