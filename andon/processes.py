"""The local servers of an installation: Prefect's server and worker, and the scorer; started, watched and stopped.

Used by `andon up`, the demo and the tests. It decides nothing: what runs is what prefect.yaml and the settings say.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from andon.addresses import announce, announced, withdraw
from andon.child import Process, start
from andon.settings import Settings
from validation.errors import AndonError, RefusedError, ServiceDownError

PROJECT = Path(__file__).resolve().parent.parent
POOL = "andon"
LOOPBACK = "127.0.0.1"
_START_SECONDS = 180.0  # a cold Prefect server on a busy machine took 65 s
_DEPLOY_SECONDS = 180.0
_STOP_SECONDS = 4.0  # for each of four servers


class PortInUseError(AndonError):
    """Another program listens on a port that is asked for."""

    exit_code = 2


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_port(port: int, *, of: str) -> None:
    """PortInUseError when somebody listens on `port`; `of` names the server that wants it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as cause:
            raise PortInUseError(
                f"port {port} for the {of} is in use ({cause.strerror}); stop the other program or choose another port"
            ) from cause


def environment(settings: Settings, *, prefect_port: int, scorer_port: int | None = None) -> dict[str, str]:
    """The environment that all children share: absolute places, this Prefect server, and nobody else's profile."""
    home = settings.home.absolute()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ANDON_FAMILY"))}
    return {
        **own,
        "ANDON_HOME": str(home),
        "ANDON_LAKE": settings.lake_root,
        "ANDON_S3_ENDPOINT": settings.s3_endpoint,
        "ANDON_S3_REGION": settings.s3_region,
        "ANDON_REMOTE_SECONDS": str(settings.remote_seconds),
        "ANDON_LEDGER_URL": settings.ledger,
        "ANDON_MLFLOW_URI": settings.mlflow,
        "ANDON_PIPELINES": os.pathsep.join(map(str, settings.pipeline_folders)),
        "ANDON_SCORER_URL": f"http://{LOOPBACK}:{scorer_port}" if scorer_port else settings.scorer_url,
        "ANDON_SETTLE_SECONDS": str(settings.settle_seconds),
        "ANDON_LEASE_SECONDS": str(settings.lease_seconds),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{prefect_port}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def start_prefect_server(home: Path, port: int, *, env: Mapping[str, str], wait: bool = True) -> Process:
    """Start Prefect's server on `port` with its SQLite database below `home`; ready when this returns."""
    check_port(port, of="Prefect server")
    command = [program("prefect"), "server", "start", "--host", LOOPBACK, "--port", str(port)]
    server = start("prefect-server", command, env=env, logs=home / "logs", cwd=PROJECT)
    if wait:
        wait_until_up(server, f"http://{LOOPBACK}:{port}/api/health")
    return server


def start_worker(home: Path, *, env: Mapping[str, str], project: Path = PROJECT) -> Process:
    """Start a process worker on the pool; it may still be connecting when this returns."""
    command = [program("prefect"), "worker", "start", "--pool", POOL, "--type", "process", "--name", "andon-local"]
    return start("prefect-worker", command, env=env, logs=home / "logs", cwd=project)


def start_scorer(home: Path, port: int, *, env: Mapping[str, str], wait: bool = True) -> Process:
    """Start the scorer on `port`; answering when this returns, though maybe still without a champion."""
    check_port(port, of="scorer")
    command = [sys.executable, "-m", "serving.scorer", "--port", str(port)]
    scorer = start("scorer", command, env=env, logs=home / "logs", cwd=PROJECT)
    if wait:
        wait_until_up(scorer, f"http://{LOOPBACK}:{port}/ping")
    return scorer


def deploy(env: Mapping[str, str], *, project: Path = PROJECT) -> None:
    """Create the work pool if need be, and deploy everything in the project's prefect.yaml; may be repeated."""
    if not answers(f"{env['PREFECT_API_URL']}/work_pools/{POOL}", status=200):
        pool = _prefect(["work-pool", "create", POOL, "--type", "process"], env=env, project=project)
        if pool.returncode and "already exists" not in pool.stdout:
            raise ServiceDownError(f"Prefect would not create the work pool {POOL!r}:\n{pool.stdout[-1500:]}")
    deployed = _prefect(["--no-prompt", "deploy", "--all"], env=env, project=project)
    if deployed.returncode:
        raise ServiceDownError(f"`prefect deploy --all` failed in {project}:\n{deployed.stdout[-1500:]}")


def wait_until_up(process: Process, url: str, *, status: int | None = None, seconds: float = _START_SECONDS) -> None:
    """Return when `url` answers (with `status`, if one is named).

    ServiceDownError with the log's tail when the process ends or takes too long.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.alive():
            break
        if answers(url, status=status):
            return
        time.sleep(0.1)
    how = "does not answer" if process.alive() else f"ended with code {process.popen.returncode}"
    raise ServiceDownError(f"the {process.name} {how}; its log {process.log} ends with:\n{process.tail()}")


def answers(url: str, *, status: int | None = None, seconds: float = 2.0) -> bool:
    """Whether anything answers at `url` (with `status`, if one is named)."""
    try:
        got = httpx.get(url, timeout=seconds, trust_env=False).status_code
    except httpx.HTTPError:
        return False
    return status in (None, got)


class Stack:
    """All servers of an installation on this machine, for the length of a `with` block.

    `schedules=False` leaves the schedules of prefect.yaml asleep: a replay keeps its own time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        prefect_port: int | None = None,
        scorer_port: int | None = None,
        schedules: bool = True,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = settings.home.absolute()
        self.prefect_port = prefect_port or free_port()
        self.scorer_port = scorer_port or free_port()
        self.env = environment(settings, prefect_port=self.prefect_port, scorer_port=self.scorer_port)
        self.env["PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"] = str(schedules).lower()
        self.processes: dict[str, Process] = {}
        self._tell = tell
        self._starters: dict[str, Callable[[], Process]] = {
            "server": lambda: start_prefect_server(self.home, self.prefect_port, env=self.env, wait=False),
            "scorer": lambda: start_scorer(self.home, self.scorer_port, env=self.env, wait=False),
            "worker": lambda: start_worker(self.home, env=self.env),
        }

    @property
    def prefect_url(self) -> str:
        """Where Prefect's UI is."""
        return f"http://{LOOPBACK}:{self.prefect_port}"

    @property
    def scorer_url(self) -> str:
        """Where predictions are asked for."""
        return f"http://{LOOPBACK}:{self.scorer_port}"

    def __enter__(self) -> Self:
        if announced(self.home):
            raise RefusedError(
                f"the servers of {self.home} run already; stop them first (Ctrl-C where `andon up` runs), or, if they "
                "do not, remove up.json there"
            )
        try:
            announce(self.home, self.env)
            self._tell("starting Prefect server and scorer")
            self.start("server")
            self.start("scorer")
            wait_until_up(self.processes["server"], f"{self.prefect_url}/api/health")
            self._tell("deploying the flows")
            worker = self.start("worker")
            wait_until_up(worker, f"{self.env['PREFECT_API_URL']}/work_pools/{POOL}", status=200)
            deploy(self.env)
            wait_until_up(self.processes["scorer"], f"{self.scorer_url}/ping")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, name: str, command: Sequence[str]) -> Process:
        """Start one more process that lives with the others."""
        self._starters[name] = lambda: start(name, command, env=self.env, logs=self.home / "logs", cwd=PROJECT)
        return self.start(name)

    def start(self, name: str) -> Process:
        """Start the process `name` (again)."""
        if name in self.processes:
            self.processes[name].kill()
        self.processes[name] = self._starters[name]()
        return self.processes[name]

    def dead(self) -> tuple[str, ...]:
        """The names of the processes that have ended by themselves."""
        return tuple(name for name, process in self.processes.items() if not process.alive())

    def close(self) -> None:
        """Stop all, the last started first; may be repeated."""
        while self.processes:
            _, process = self.processes.popitem()
            process.stop(limit_seconds=_STOP_SECONDS)
        withdraw(self.home)


def _prefect(arguments: list[str], *, env: Mapping[str, str], project: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - our own program
            [program("prefect"), *arguments],
            env=dict(env),
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEPLOY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as cause:
        raise ServiceDownError(f"`prefect {' '.join(arguments)}` took longer than {_DEPLOY_SECONDS:.0f} s") from cause


def program(name: str) -> str:
    """A console script of this environment, whether or not it is on the PATH."""
    return str(Path(sys.executable).parent / name)
