"""A home with two versions of a pipeline, each with features of its own; a scorer on it; a client that asks on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

from andon.processes import PROJECT, free_port
from tests import trips_world
from tests.e2e.world import wait_for
from tests.ledger_away import ledger_away
from tests.trips_world import CARRIERS, definition, labelled, train, trips

NAME = trips_world.NAME
MADE = ("hour=pl.col('at').dt.hour()", "hour=pl.col('at').dt.minute(), far=pl.col('distance').log1p()")
MINUTES = 7  # apart, so that rows have more than one minute of the hour
ASKED = trips(40, seed=9, minutes=MINUTES, carriers=(*CARRIERS, "?"))  # no model knows the last one


def body(rows: pl.DataFrame) -> bytes:
    """A request."""
    return json.dumps(trips_world.body(rows)).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class World(trips_world.World):
    """`expected`: what the models answer to ASKED."""

    expected: Sequence[np.ndarray]

    def without_ledger(self) -> AbstractContextManager[None]:
        return ledger_away(self.home)


def build(folder: Path) -> World:
    """The home, in which each version's bundle lies."""
    home, pipelines = folder / "home", folder / "pipelines"
    pipelines.mkdir(parents=True)
    file = pipelines / f"{NAME}.py"
    digests, expected = [], []
    for number, made in enumerate(MADE, start=1):
        file.write_text(definition(made))
        rows = labelled(trips(600, number, minutes=MINUTES), number)
        sha256, model = train(file, rows, bundles=home / "bundles" / NAME, seed=number)
        digests.append(sha256)
        expected.append(model.predict(ASKED))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANDON_", "PROMETHEUS_"))}
    env = {**own, "ANDON_HOME": str(home), "ANDON_PIPELINES": str(pipelines), "PYTHONUNBUFFERED": "1"}
    return World(home=home, digests=digests, expected=expected, env=env)


def copied(world: World, folder: Path) -> World:
    """The same in a folder of its own."""
    home = folder / "home"
    shutil.copytree(world.home, home)
    env = {**world.env, "ANDON_HOME": str(home)}
    return World(home=home, digests=world.digests, expected=world.expected, env=env)


class Scorer:
    """A running scorer; `log` is what it says."""

    def __init__(self, world: World, *arguments: str, port: int = 0, **env: str) -> None:
        self.port, self.log = port or free_port(), world.home / f"scorer-{time.time_ns()}.log"
        command = [sys.executable, "-m", "serving.scorer", "--port", str(self.port), "--pipeline", NAME, *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env={**world.env, **env}, cwd=PROJECT, stdout=log, stderr=log)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def await_up(self) -> None:
        line = f"scorer: http://127.0.0.1:{self.port}\n"
        wait_for("the scorer's line", lambda: line in self.said() or self.process.poll() is not None, seconds=60)
        assert self.process.poll() is None, self.said()[-3000:]

    def said(self) -> str:
        return self.log.read_text()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    def told(self) -> dict[str, Any]:
        return self.client.get(f"/{NAME}/version").raise_for_status().json()  # type: ignore[no-any-return]

    def await_version(self, version: int, *, seconds: float = 30) -> None:
        """Wait until all workers serve it: each connection is answered by one of them."""
        served = re.compile(rf"version {version} serves now \(epoch \d+, [1-9]")
        before = len(served.findall(self.said()))

        def serves() -> bool:
            return len(served.findall(self.said())) > before or self.told()["version"] == str(version)

        wait_for(f"version {version}", serves, seconds=seconds)

    def ask(self, rows: pl.DataFrame) -> tuple[str, np.ndarray]:
        """Version and predictions, over a connection of its own."""
        answer = httpx.post(f"{self.client.base_url}/{NAME}/invocations", content=body(rows), trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-andon-model-version"], np.array(answer.json()["predictions"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        self.client.close()
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for pid in workers:
            wait_for(f"worker {pid} to end", lambda pid=pid: ended(pid), seconds=30)  # type: ignore[misc]


@contextmanager
def running(world: World, *arguments: str, port: int = 0, **env: str) -> Iterator[Scorer]:
    """A scorer that answers."""
    scorer = Scorer(world, *arguments, port=port, **env)
    try:
        scorer.await_up()
        yield scorer
    finally:
        scorer.close()


def ended(pid: int) -> bool:
    """Whether there is no such process any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Caller:
    """Asks one request after the other, each on a connection of its own; keeps versions and what was cut."""

    def __init__(self, scorer: Scorer) -> None:
        self.versions: list[str] = []
        self.cut: list[str] = []
        self.failed: list[str] = []
        self._url, self._done = f"{scorer.client.base_url}/{NAME}/invocations", threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=40)

    def _run(self) -> None:
        request = body(ASKED[:1])
        while not self._done.is_set():
            try:
                answer = httpx.post(self._url, content=request, trust_env=False, timeout=30)
            except httpx.HTTPError as error:
                self.cut.append(repr(error))
                continue
            if answer.status_code == 200:
                self.versions.append(answer.headers["x-andon-model-version"])
            else:
                self.failed.append(f"{answer.status_code} {answer.text}")
