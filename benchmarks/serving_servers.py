"""The servers that are compared: how each is started, what it is sent, and where its answer holds the predictions."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from andon.processes import PROJECT, free_port
from benchmarks.environments import python_of, script
from benchmarks.serving_world import DEFINITIONS, MANY, World, install

TOKEN = "a-token-of-the-benchmark"  # noqa: S105 - it protects nothing
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`command` makes the command line out of world, scratch folder and port; `bodies` names the family of requests."""

    name: str
    command: Callable[[World, Path, int], Sequence[str]]
    bodies: str
    predictions: Callable[[Any], Sequence[float]] = lambda answer: answer["predictions"]
    path: str = "/invocations"
    token: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    gaps: bool = True


def ours(world: World, scratch: Path, port: int) -> Sequence[str]:
    """The scorer as it is shipped: log and tokens on, one worker."""
    install(world, _home(world, scratch))
    return [sys.executable, "-m", "serving.scorer", "--port", str(port), "--workers", "1", "--pipeline", world.name]


def trivial(_: World, __: Path, port: int) -> Sequence[str]:
    """Our server around a handler that does nothing."""
    return [sys.executable, "-m", "benchmarks.serving_trivial", str(port)]


def mlflow(world: World, scratch: Path, port: int) -> Sequence[str]:
    """`mlflow models serve` with one worker."""
    python, target = python_of("mlflow_serving"), scratch / f"mlflow-{world.name}-{world.trees}"
    if not target.exists():
        made = [python, script("serve_with_mlflow"), world.folder, target, world.name]
        subprocess.run(list(map(str, made)), check=True, capture_output=True, cwd=scratch)
    options = ["--env-manager", "local", "--workers", "1", "--host", "127.0.0.1", "-p", str(port)]
    return [str(python.with_name("mlflow")), "models", "serve", "-m", str(target), *options]


def fastapi(world: World, _: Path, port: int) -> Sequence[str]:
    """FastAPI and pandas, on uvicorn with uvloop."""
    return [str(python_of("mlflow_serving")), str(script("serve_with_fastapi")), str(world.folder), str(port)]


def bentoml(_: World, __: Path, port: int) -> Sequence[str]:
    """`bentoml serve` with one worker."""
    service = f"{script('serve_with_bentoml').stem}:Invocations"
    return [
        str(python_of("bentoml").with_name("bentoml")),
        "serve",
        service,
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]


def mlserver(world: World, scratch: Path, port: int) -> Sequence[str]:
    """`mlserver start` without parallel workers: one process."""
    place = scratch / f"mlserver-{world.trees}"
    place.mkdir(exist_ok=True)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (place / "settings.json").write_text(json.dumps({"parallel_workers": 0, "host": "127.0.0.1", **ports}))
    model = {
        "name": "bench",
        "implementation": "serve_with_mlserver.BoosterModel",
        "parameters": {"uri": str(world.folder)},
    }
    (place / "model-settings.json").write_text(json.dumps(model))
    return [str(python_of("mlserver").with_name("mlserver")), "start", str(place)]


OURS = Server(name="ours", command=ours, bodies="raw", token=TOKEN)
PEERS: Mapping[str, Server] = {
    "mlflow": Server(name="mlflow", command=mlflow, bodies="codes"),
    "fastapi": Server(name="fastapi", command=fastapi, bodies="bare"),
    "bentoml": Server(name="bentoml", command=bentoml, bodies="bare", predictions=lambda answer: answer),
    "mlserver": Server(
        name="mlserver", command=mlserver, bodies="v2", path="/v2/models/bench/infer", gaps=False,
        predictions=lambda answer: answer["outputs"][0]["data"],
    ),
}  # fmt: skip
TRIVIAL = Server(name="trivial", command=trivial, bodies="raw", predictions=lambda answer: answer["predictions"])
MLFLOW_DERIVED = Server(name="mlflow", command=mlflow, bodies="raw")


@contextmanager
def running(server: Server, world: World, scratch: Path, env: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """The server's process id and address, once it answers with the right predictions."""
    port = free_port()
    whole = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(script("x").parent), str(PROJECT)]), "DO_NOT_TRACK": "1",
        "BENTOML_DO_NOT_TRACK": "true", "BENCH_FOLDER": str(world.folder), "ANDON_SCORER_TOKENS": TOKEN,
        "ANDON_HOME": str(_home(world, scratch)),
        "ANDON_PIPELINES": str(DEFINITIONS), **server.env, **env,
    }  # fmt: skip
    command = list(server.command(world, scratch, port))
    whole["PATH"] = os.pathsep.join([str(Path(command[0]).parent), whole["PATH"]])  # mlflow starts uvicorn by its name
    with (scratch / f"{server.name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=whole, cwd=scratch, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}{server.path}"
            _wait_and_check(server, world, process, url, scratch / f"{server.name}.log")
            yield process.pid, url
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_and_check(server: Server, world: World, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Every server must give the model's own predictions before it is measured."""
    (body, *_) = world.bodies[server.bodies, MANY].read_bytes().splitlines()
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            answer = _ask(url, body, server.token)
            break
        except OSError as error:
            if time.monotonic() > end or process.poll() is not None:
                raise SystemExit(
                    f"{server.name} does not answer ({error}); see {log}: {log.read_text()[-1500:]}"
                ) from error
            time.sleep(0.3)
    if server.name == "trivial":
        return
    expected = world.expected if server.gaps else world.expected_without_gaps
    found = [float(value) for value in server.predictions(answer)]
    worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    if worst > 1e-12:
        raise SystemExit(f"{server.name} answers other predictions than the model's, {worst:.2g} away")


def _ask(url: str, body: bytes, token: str) -> Any:
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def _home(world: World, scratch: Path) -> Path:
    return scratch / f"home-{world.name}-{world.trees}"
