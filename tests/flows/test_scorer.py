import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from andon.settings import Settings
from modelling import bundle
from registry.mlflow_store import MlflowStore
from registry.store import Submission
from storage.prediction_log import read_predictions
from tests.trips_world import World, body, definition, labelled, scorer, train, trips


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A pipeline's file and the bundles of two models of it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "pipelines").mkdir()
    file = folder / "pipelines" / "trips.py"
    file.write_text(definition())
    made = (train(file, labelled(trips(500, seed), seed), bundles=folder, seed=seed) for seed in (1, 2))
    return folder, tuple(sha256 for sha256, _ in made)


@pytest.fixture
def world(tmp_path: Path, bundles: tuple[Path, tuple[str, ...]]) -> World:
    made, digests = bundles
    home = tmp_path / "home"
    for sha256 in digests:
        shutil.copytree(made / sha256, home / "bundles" / "trips" / sha256)
    env = {"ANDON_HOME": str(home), "ANDON_PIPELINES": str(made / "pipelines"), "PATH": "/usr/bin:/bin"}
    found = World(home=home, env=env, digests=digests)
    assert found.ledger.champion("trips") is None, "it is there, and empty"
    return found


def until(happens: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def status(client: httpx.Client) -> str:
    return str(client.get("/trips/version").json()["status"])


def logged(world: World) -> pl.DataFrame:
    folder = world.home / "lake" / "predictions" / "trips"
    return read_predictions(folder, trips(0).schema, key=("trip_id",), time="at")


def test_the_champion_answers_over_rest_and_everything_else_gets_a_sentence(world: World) -> None:
    with scorer(world) as (client, process):
        assert client.get("/ping").status_code == 200
        assert client.get("/trips/ping").status_code == 503
        refused = client.post("/invocations", json=body(trips(1)))
        assert (refused.status_code, "andon retrain trips" in refused.json()["error"]) == (503, True)
        world.crown(1)
        until(lambda: status(client) == "ready")
        told = client.get("/version").json()["trips"]
        assert (told["version"], told["sha256"], told["epoch"]) == ("1", world.digests[0], 1)
        _check_predictions(client, world)
        _check_refusals(client)
        _check_what_is_told(client)

        def stopped_half_way() -> Iterator[bytes]:
            whole = json.dumps(body(trips(300))).encode()
            yield whole[:1000]
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            yield whole[1000:]

        assert client.post("/invocations", content=stopped_half_way()).status_code == 200
        assert process.wait(timeout=20) == 0
    assert logged(world).height == 300
    assert list((world.home / "lake" / "predictions" / "trips").glob("*.segment")) == []


def _check_predictions(client: httpx.Client, world: World) -> None:
    rows = trips(300)
    expected = world.bundle(1).predict(rows)
    first_of_all_rows = ""
    for path in ("/invocations", "/trips/invocations"):
        for form in ("dataframe_split", "dataframe_records"):
            for part in (slice(0, 1), slice(1, 51), slice(0, 300)):
                answer = client.post(path, json=body(rows[part], form))
                assert answer.status_code == 200, answer.text
                np.testing.assert_allclose(answer.json()["predictions"], expected[part], rtol=0, atol=1e-12)
                assert answer.headers["x-andon-model-version"] == "1"
            first_of_all_rows = first_of_all_rows or answer.headers["x-andon-prediction-id"]
    written = logged(world)
    np.testing.assert_allclose(written["prediction"].to_numpy(), expected, rtol=0, atol=1e-12)
    assert written.select(rows.columns).equals(rows)
    assert written["prediction_id"][-1] == f"{first_of_all_rows}-299"
    assert client.get("/trips/version").json()["log"] == {"written": 4 * 351, "dropped": 0}


def _check_refusals(client: httpx.Client) -> None:
    wrong = trips(2).with_columns(distance=pl.Series([1.0, 2.0]))
    request = json.dumps(body(wrong, "dataframe_records")).replace('"distance": 2.0', '"distance": "2"')
    answer = client.post("/invocations", content=request)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("column 'distance', row 1: Expected `float | null`, got `str`")
    assert client.post("/invocations", content=b"no json").status_code == 400
    assert client.post("/invocations", content=b" " * (16 * 1024 * 1024 + 1)).status_code == 413
    chunks = (b" " * 1024 * 1024 for _ in range(17))
    assert client.post("/invocations", content=chunks).status_code == 413
    assert client.get("/invocations").status_code == 405
    assert client.get("/invocations").headers["allow"] == "POST"
    assert client.post("/ping").status_code == 405
    assert client.post("/buses/invocations", json={}).json()["error"].endswith("served are: trips")
    for path in ("/", "/trips", "/trips/invocations/1", "/trips/metrics"):
        assert client.get(path).status_code == 404, path


def _check_what_is_told(client: httpx.Client) -> None:
    until(lambda: 'andon_log_rows_total{outcome="written",pipeline="trips"} 1404.0' in client.get("/metrics").text)
    counts = {
        line.split('status="')[1][:3]: float(line.split()[1])
        for line in client.get("/metrics").text.splitlines()
        if line.startswith('andon_requests_total{epoch="1",pipeline="trips"')
    }
    assert counts == {"2xx": 12, "4xx": 2, "5xx": 0}
    health = client.get("/health").json()
    assert (health["status"], health["pipelines"]["trips"]["version"]) == ("ok", "1")
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/trips/invocations" in document["paths"]


def test_a_swap_under_load_fails_no_request(world: World) -> None:
    world.crown(1)
    rows = trips(60)
    expected = {str(version): world.bundle(version).predict(rows) for version in (1, 2)}
    seen: list[str] = []
    done = threading.Event()

    def ask(url: httpx.URL, part: slice) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            while not done.is_set():
                answer = client.post("/trips/invocations", json=body(rows[part]))
                version = answer.headers["x-andon-model-version"] if answer.status_code == 200 else answer.text
                same = np.allclose(answer.json().get("predictions"), expected[version][part], rtol=0, atol=1e-12)
                seen.append(version if same else "another model's prediction")

    with scorer(world, "--pipeline", "trips") as (client, process):
        parts = (slice(0, 1), slice(0, 1), slice(0, 60))
        threads = [threading.Thread(target=ask, args=(client.base_url, part)) for part in parts]
        for thread in threads:
            thread.start()
        for version in (2, 1, 2):
            world.crown(version)
            until(lambda version=version: seen[-1:] == [str(version)])  # type: ignore[misc]
        done.set()
        for thread in threads:
            thread.join()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert set(seen) == {"1", "2"}


def test_a_bundle_with_other_bytes_is_refused_and_delays_no_other(world: World) -> None:
    world.crown(1)
    damaged = world.home / "bundles" / "trips" / ("0" * 64)
    shutil.copytree(world.home / "bundles" / "trips" / world.digests[1], damaged)
    with scorer(world) as (client, _):
        world.crown(7, sha256="0" * 64)
        until(lambda: status(client) != "ready")
        told = client.get("/trips/version").json()
        assert (told["version"], told["status"].split(":")[0]) == ("1", "refused")
        assert client.post("/invocations", json=body(trips(1))).headers["x-andon-model-version"] == "1"
        until(lambda: not damaged.exists())
        world.crown(2)
        until(lambda: client.get("/trips/version").json()["version"] == "2", seconds=5)
        assert status(client) == "ready"


def test_killed_and_started_without_a_ledger_it_serves_the_last_good_bundle(world: World) -> None:
    world.crown(1)
    with scorer(world) as (client, process):
        assert client.post("/invocations", json=body(trips(3))).status_code == 200
        process.kill()
    for path in world.home.glob("ledger.db*"):
        path.rename(path.with_name(f"moved-{path.name}"))
    assert logged(world)["version"].to_list() == ["1", "1", "1"]
    with scorer(world) as (client, _):
        answer = client.post("/invocations", json=body(trips(5)))
        np.testing.assert_allclose(answer.json()["predictions"], world.bundle(1).predict(trips(5)), rtol=0, atol=1e-12)
        assert status(client).startswith("degraded: the ledger names no champion")
        assert not (world.home / "ledger.db").exists(), "an empty one would be in the way of the one to be restored"
        for path in world.home.glob("moved-*"):
            path.rename(path.with_name(path.name.removeprefix("moved-")))
        until(lambda: status(client) == "ready")
        assert logged(world).height == 5


@pytest.mark.slow
def test_a_bundle_that_is_not_here_comes_from_mlflow_and_a_dead_mlflow_only_delays_it(world: World) -> None:
    cached = world.home / "bundles" / "trips" / world.digests[0]
    submission = Submission(
        pipeline="trips", bundle=cached, bundle_sha256=world.digests[0], intent="i", attempt=1, verdict="promote"
    )
    settings = Settings(home=world.home)
    assert MlflowStore(settings.mlflow, settings.models).register(submission) == "1"
    shutil.rmtree(world.home / "bundles")
    world.crown(1)
    with scorer(world) as (client, _):
        until(lambda: status(client) == "ready", seconds=60)
        assert client.get("/trips/version").json()["sha256"] == bundle.digest(cached) == world.digests[0]
    world.env["ANDON_MLFLOW_URI"] = "http://127.0.0.1:9"
    world.crown(2)
    with scorer(world) as (client, _):
        until(lambda: status(client) != "no champion", seconds=60)
        assert client.get("/trips/version").json()["version"] == "1"
        assert status(client).startswith("degraded: ")


def test_a_wrong_start_is_one_sentence_and_an_exit_code(world: World) -> None:
    def start(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "serving.scorer", *arguments]
        ended = subprocess.run(command, env=world.env, capture_output=True, text=True, timeout=60, check=False)
        return ended.returncode, ended.stderr

    assert start("--port", "0", "--pipeline", "buses") == (
        2,
        "scorer: there is no pipeline 'buses'; known are: trips\n",
    )
    with scorer(world) as (client, _):
        code, said = start("--port", str(client.base_url.port))
        assert (code, said.count("\n"), "choose another --port" in said) == (3, 1, True)
