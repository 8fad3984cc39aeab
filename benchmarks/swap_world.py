"""Where swaps are measured: a home with models of different size in MLflow, its ledger, and the scorer."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from andon.processes import PROJECT, free_port
from andon.settings import Settings
from benchmarks.serving_world import DEFINITIONS, make_data
from modelling import bundle
from modelling.recipes import SPACE, Recipe
from modelling.training import fit
from registry.ledger import Change
from registry.mlflow_store import MlflowStore
from registry.sql import open_ledger
from registry.store import Submission
from tests.ledger_away import ledger_away

NAME, TOKEN, BODIES = "plain", "a-token-of-the-benchmark", 500
_RECIPE = dict(zip(SPACE, (0.05, 31, 50, 0.8, 0.8, 1.0), strict=True))
_SERVES = re.compile(rf"{NAME}: version (\d+) serves now \(epoch (\d+), (\d+) workers, since (\S+)\)")
_LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A champion of the ledger. `asked`, `done`: wall clock, when the ledger had it and when all workers served it."""

    version: int
    asked: float
    done: float
    workers: int

    @property
    def seconds(self) -> float:
        """From the ledger's row to the last worker's acknowledgement."""
        return self.done - self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`answers`: to each body, by LightGBM without a server."""

    version: int
    trees: int
    sha256: str
    answers: tuple[float, ...]


class Home:
    """An installation. `models`: as they are registered; `bodies`: a file with one request a line."""

    def __init__(self, folder: Path, trees: Sequence[int], *, rows: int) -> None:
        self.settings = Settings(home=folder, pipelines=str(DEFINITIONS))
        self.bodies, self.log = folder / "bodies.jsonl", folder / "scorer.log"
        self.promotions: list[Promotion] = []
        folder.mkdir(parents=True, exist_ok=True)
        asked = make_data(BODIES, seed=3).drop("outcome")
        self.bodies.write_bytes(b"\n".join(_body(row) for row in asked.iter_slices(1)) + b"\n")
        self._ledger = open_ledger(self.settings.ledger, key=self.settings.seal_key())
        self.models = [self._register(number, count, rows, asked) for number, count in enumerate(trees)]

    def promote(self, model: Model, sha256: str = "") -> float:
        """Write the ledger's row; returns the moment (wall clock) when it stands there."""
        champion, moment = self._ledger.champion(NAME), datetime.now(UTC)
        change = Change(
            pipeline=NAME, kind="promotion", version=str(model.version), bundle_sha256=sha256 or model.sha256,
            trained_until=moment, why="the benchmark's", data_time=moment, actor="benchmark",
        )  # fmt: skip
        self._ledger.crown(change, expected_epoch=champion.epoch if champion else 0)
        return time.time()

    def swap(self, model: Model) -> Promotion:
        """Promote, and wait until all workers serve it."""
        seen = len(_SERVES.findall(self.log.read_text(encoding="utf-8")))
        asked = self.promote(model)
        version, _, workers, since = self.await_line(_SERVES, seen)
        if int(version) != model.version:
            raise SystemExit(f"version {version} serves, and not {model.version}: see {self.log}")
        done = datetime.fromisoformat(since).timestamp()
        self.promotions.append(Promotion(version=model.version, asked=asked, done=done, workers=int(workers)))
        return self.promotions[-1]

    def await_line(self, pattern: re.Pattern[str], seen: int = 0) -> Any:
        """The next match in the scorer's log after so many."""
        end = time.monotonic() + _LIMIT_SECONDS
        while len(found := pattern.findall(self.log.read_text(encoding="utf-8"))) <= seen:
            if time.monotonic() > end:
                raise SystemExit(f"the scorer does not say {pattern.pattern!r}; see {self.log}")
            time.sleep(0.02)
        return found[seen]

    def without_ledger(self) -> AbstractContextManager[None]:
        """As long as this lasts the ledger is not there."""
        return ledger_away(self.settings.home)

    @contextmanager
    def scorer(self, workers: int) -> Iterator[tuple[int, int]]:
        """The scorer's port and its process id."""
        port = free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}
        env |= {"ANDON_HOME": str(self.settings.home.absolute()), "ANDON_PIPELINES": str(DEFINITIONS)}
        command = [sys.executable, "-m", "serving.scorer", "--port", str(port), "--workers", str(workers)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--pipeline", NAME], env={**env, "ANDON_SCORER_TOKENS": TOKEN}, cwd=PROJECT, stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            self.await_line(re.compile(r"^scorer: http", re.MULTILINE))
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            if process.wait(60) != 0:
                raise SystemExit(f"the scorer ended with {process.returncode}; see {self.log}")

    def _register(self, number: int, trees: int, rows: int, asked: pl.DataFrame) -> Model:
        """Train a model, and hand it to MLflow."""
        from andon.catalogue import find

        pipeline = find(NAME, (DEFINITIONS,))
        train = make_data(rows, seed=10 + number)
        model = fit(pipeline.spec, train, Recipe(params=_RECIPE, rounds=trees), seed=number, threads=2)
        place = self.settings.home / f"made-{number}"
        sha256 = bundle.write(
            place, model=model, pipeline=NAME, definition=pipeline.module_source, rows=train,
            definition_hash=pipeline.fingerprint, snapshot="", profile_json="{}",
        )  # fmt: skip
        submission = Submission(
            pipeline=NAME, bundle=place, bundle_sha256=sha256, intent=str(number), attempt=1, verdict="promote"
        )
        version = MlflowStore(self.settings.mlflow, self.settings.models).register(submission)
        return Model(version=int(version), trees=trees, sha256=sha256, answers=tuple(model.predict(asked).tolist()))


def workers_of(pid: int) -> list[int]:
    """The worker processes of a scorer."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def wrong_answers(answers: Path, models: Sequence[Model]) -> int:
    """How many bodies got, by any version, another prediction than LightGBM's own by more than 1e-12."""
    expected = {model.version: model.answers for model in models}
    wrong = 0
    for key, text in json.loads(answers.read_text(encoding="utf-8")).items():
        version, body = map(int, key.split())
        got = json.loads(text).get("predictions", [np.nan])
        wrong += not np.isclose(got[0], expected[version][body], rtol=0, atol=1e-12)
    return wrong


def _body(row: pl.DataFrame) -> bytes:
    return msgspec.json.encode({"dataframe_split": {"columns": row.columns, "data": row.rows()}})
