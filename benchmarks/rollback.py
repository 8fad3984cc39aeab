"""How long does it take until the old model serves? Two champions of the flights, rolled back and forth under load.

An installation of its own, with real servers: SQLite, MLflow, Prefect's server, the scorer. A client asks for one
flight after the other without a pause; every answer names its version.

python -m benchmarks.rollback [--rollbacks N] [--commands N]. Prints JSON.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import polars as pl
from rich.table import Table

from andon.processes import PROJECT
from benchmarks.rollback_stage import NAME, installation, open_site, speaking_to, two_champions
from benchmarks.show import CONSOLE
from demo.data import prepare_flights
from demo.stage import fresh
from demo.weeks import asked

if TYPE_CHECKING:
    from registry.ledger import Champion
    from tasks.site import Site

_LIMIT_SECONDS = 60.0
_CALM_SECONDS = (1.0, 1.5)  # between two rollbacks, so that they meet the scorer's poll at any moment of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One rollback, in seconds: from the call to the ledger's row, and from the row to the first answer.

    `cpu_s`: of the processes that it started: the load check; with a command, the command and its load check.
    """

    call_to_row_s: float
    row_to_answer_s: float
    call_to_return_s: float
    cpu_s: float

    @property
    def call_to_answer_s(self) -> float:
        """What a person waits for."""
        return self.call_to_row_s + self.row_to_answer_s


class Client:
    """Asks for one row after the other and keeps when which version answered; `failures`: all but status 200."""

    def __init__(self, url: str, rows: pl.DataFrame) -> None:
        self.answers: list[tuple[float, str]] = []
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self._url = url
        self._bodies = [msgspec.json.encode({"dataframe_records": [row]}) for row in rows.to_dicts()]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def first(self, version: str, *, since: float) -> float:
        """The moment of the first answer of `version` after `since`; waits for it."""
        end = time.time() + _LIMIT_SECONDS
        seen = 0
        while time.time() < end:
            for moment, answered in self.answers[seen:]:
                seen += 1
                if answered == version and moment > since:
                    return moment
            time.sleep(0.01)
        raise TimeoutError(f"version {version} does not answer; see the scorer's log")

    def _run(self) -> None:
        with httpx.Client(timeout=10.0, trust_env=False) as client:
            for body in cycle(self._bodies):
                if self._done.is_set():
                    return
                self._ask(client, body)

    def _ask(self, client: httpx.Client, body: bytes) -> None:
        began = time.perf_counter()
        try:
            answer = client.post(self._url, content=body)
        except httpx.HTTPError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        self.seconds.append(time.perf_counter() - began)
        if answer.status_code == httpx.codes.OK:
            self.answers.append((time.time(), answer.headers["x-andon-model-version"]))
        else:
            self.failures.append(f"{answer.status_code} {answer.text[:200]}")


def main(rollbacks: int, commands: int) -> None:
    """Measure in a scratch folder; a table on stderr, one line of JSON on stdout."""
    with tempfile.TemporaryDirectory(prefix="andon-rollback-") as scratch:
        settings = fresh(Path(scratch) / "home")
        replay = prepare_flights(Path(scratch) / "arriving")
        with installation(settings) as (env, url), speaking_to(env):
            site = open_site()
            sizes = two_champions(site, replay, Path(scratch))
            with Client(f"{url}/{NAME}/invocations", asked(replay, 20, site.pipeline.lookups)) as client:
                client.first("2", since=0.0)
                client.failures.clear()  # until the scorer has seen its first champion it answers 503, as it should
                called = _back_and_forth(site, client, rollbacks, lambda to: _call(site, to))
                typed = _back_and_forth(site, client, commands, lambda to: _type(env, to))
    _tell(called, typed, client, bundle_mb=sizes)


def _back_and_forth(site: "Site", client: Client, times: int, roll: Callable[[str], None]) -> list[Way]:
    """Roll back to the other version so many times; what does not answer in time raises."""
    chance, ways = random.Random(7), list[Way]()
    for _ in range(times):
        time.sleep(chance.uniform(*_CALM_SECONDS))
        to = "1" if _champion(site).change.version == "2" else "2"
        began, used = time.time(), _children_cpu_s()
        roll(to)
        returned, row = time.time(), _champion(site).recorded_at.timestamp()
        answered = client.first(to, since=began)
        ways.append(
            Way(
                call_to_row_s=row - began,
                row_to_answer_s=answered - row,
                call_to_return_s=returned - began,
                cpu_s=_children_cpu_s() - used,
            )
        )
    return ways


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _champion(site: "Site") -> "Champion":
    return site.ledger.champions(NAME)[-1]


def _call(site: "Site", to: str) -> None:
    from tasks.promote import roll_back_to

    roll_back_to(site, to, "the benchmark goes back and forth", datetime.now(UTC))


def _type(env: dict[str, str], to: str) -> None:
    command = [sys.executable, "-m", "andon.cli", "rollback", NAME, "--to", to, "--why", "back and forth"]
    done = subprocess.run(command, env=env, cwd=PROJECT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the command ended with {done.returncode}: {done.stderr[-2000:]}")


def _tell(called: Sequence[Way], typed: Sequence[Way], client: Client, *, bundle_mb: Sequence[float]) -> None:
    answer: dict[str, Any] = {"rollbacks": len(called), "commands": len(typed)}
    shown = Table("seconds", "median", "worst", title="from a rollback to the old model's first answer")
    names = ("call_to_row_s", "row_to_answer_s", "call_to_answer_s", "call_to_return_s", "cpu_s")
    for of, ways in (("", called), ("command_", typed)):
        for name in names if ways else ():
            found = [getattr(way, name) for way in ways]
            answer |= {f"{of}{name}": round(median(found), 3), f"{of}{name}_worst": round(max(found), 3)}
            shown.add_row(f"{of}{name}".replace("_", " ")[:-2], f"{median(found):.2f}", f"{max(found):.2f}")
    CONSOLE.print(shown)
    for failure in client.failures[:5]:
        CONSOLE.print(f"failed: {failure}")
    waits = [seconds * 1e3 for seconds in client.seconds]
    answer |= {"requests": len(waits), "failed": len(client.failures)}
    answer |= {"request_median_ms": round(median(waits), 2), "request_p99_ms": round(quantiles(waits, n=100)[-1], 2)}
    answer |= {"request_worst_ms": round(max(waits), 1), "bundle_mb": [round(size, 2) for size in bundle_mb]}
    print(json.dumps({**answer, "load_average": os.getloadavg(), "cpus": os.cpu_count()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollbacks", type=int, default=10, help="by call, in this process")
    parser.add_argument("--commands", type=int, default=3, help="by `andon rollback`, from a shell")
    options = parser.parse_args()
    main(options.rollbacks, options.commands)
