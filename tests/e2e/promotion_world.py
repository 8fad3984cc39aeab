"""The parcels (world.py) at each moment at which a champion may change, and processes that are killed at a named point.

A home stays where it is, since MLflow's addresses are absolute: copies of it are put back in its place.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from andon.processes import PROJECT
from tests.e2e import world
from tests.e2e.audit import audit, query
from tests.e2e.world import NAME, begins, let_a_minute_pass, wait_for

AS_OF = begins(2)
LEASE_SECONDS = 1.5
APPROVED = 'approval="always", '  # as a person wishes to be asked
Told = list[list[str]]  # kind, subject, outcome and reasons of each verdict


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an act came to its end. `code`: negative for a signal; `told`: its verdicts."""

    code: int
    told: Told
    log: str


class Runner:
    """Starts acts (see promotion_runner.py), each in a process of its own."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder, self._asked = folder, dict[int, tuple[Path, Path]]()
        # One thread for each pool is as many as these few rows need.
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.promotion_runner"],
            env={**env, **quiet}, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begin(self, env: Mapping[str, str], act: str, *, as_of: datetime = AS_OF, **more: object) -> int:
        """Start an act; returns its process."""
        log, answer = (self._folder / f"{uuid.uuid4().hex}.{kind}" for kind in ("log", "json"))
        own = {name: value for name, value in env.items() if name.startswith("ANDON_")}
        pid = self._ask(
            do="begin", act=act, env=own, as_of=as_of.isoformat(), more=more, pipeline=NAME, log=str(log),
            answer=str(answer),
        )  # fmt: skip
        self._asked[pid] = log, answer
        return pid

    def log(self, pid: int) -> str:
        """What a process has printed so far."""
        log = self._asked[pid][0]
        return log.read_text() if log.exists() else ""

    def wait(self, pid: int) -> Ended:
        """Wait for an act to end."""
        code = self._ask(do="wait", pid=pid)
        told, log = (self._asked[pid][1], self.log(pid))
        del self._asked[pid]
        return Ended(code=code, told=json.loads(told.read_text()) if told.exists() else [], log=log)

    def run(self, env: Mapping[str, str], act: str, **more: Any) -> Told:
        """Do an act; it must come to its end."""
        ended = self.wait(self.begin(env, act, **more))
        assert ended.code == 0, f"{act} ended with {ended.code}:\n{ended.log[-3000:]}"
        return ended.told

    def close(self) -> None:
        self._server.communicate(timeout=60)

    def _ask(self, **asked: object) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        answer = self._server.stdout.readline()
        assert answer, "the runner is dead"
        return int(json.loads(answer))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is killed, at which moment, and what is true after one sweep: who became champion, one after the other, and
    how the newest intent is answered (its state, as long as it is not closed).
    """

    name: str
    moment: str
    act: str
    champions: tuple[str, ...]
    answer: str
    more: Mapping[str, Any] = field(default_factory=dict)


_RETRAIN = Case(name="retrain", moment="asked", act="retrain", champions=("1", "2"), answer="promote")
_ASKING = Case(name="asking", moment="to be asked", act="retrain", champions=("1",), answer="deferred")
_YES = Case(name="yes", moment="waiting", act="answer", champions=("1", "2"), answer="approved", more={"approve": True})
_NO = Case(name="no", moment="waiting", act="answer", champions=("1",), answer="rejected", more={"approve": False})
_BACK = Case(
    name="rollback", moment="promoted", act="rollback", champions=("1", "2", "1"), answer="promote",
    more={"why": "a test wants it"},
)  # fmt: skip
_NOT_BACK = replace(_BACK, champions=("1", "2"))  # what is not in the ledger yet, nobody has decided
_SCORE = Case(name="score", moment="due", act="score", champions=("1",), answer="open")
_SCORER = Case(name="scorer", moment="promoted", act="scorer", champions=("1", "2"), answer="promote")
_SWEEP = Case(name="sweep", moment="wreck", act="reconcile", champions=("1", "2"), answer="promote")


def _at(prefix: str, names: str, *cases: Case) -> dict[str, tuple[Case, ...]]:
    return {f"{prefix}.{name}": cases for name in names.split()}


# All points between "the challenger is trained" and "all workers serve", and who is killed there.
POINTS: Mapping[str, tuple[Case, ...]] = {
    **_at("retrain", "claimed trained compared written refitted checked judged registered recorded", _RETRAIN),
    **_at("store", "run_created logged version_created aliased", _RETRAIN),
    **_at("promotion", "crowned projected", _RETRAIN, _YES),
    **_at("retrain", "promoted closed", _RETRAIN),
    **_at("approval", "asked", _ASKING),
    **_at("approval", "answered", _YES, _NO),
    **_at("approval", "crowned", _YES),
    **_at("rollback", "proven", _NOT_BACK),
    **_at("rollback", "crowned projected", _BACK),
    **_at("reconcile", "mended cleared", _SWEEP),
    **_at("score", "started predicted delivered recorded", _SCORE),
    **_at("publish", "filed appended", _SCORE),
    **_at("scorer", "seen fetched loaded swapped remembered", _SCORER),
}


class Moments:
    """One home, and copies of it, each made when it is first asked for: "due" (a batch is to be scored), "asked" (a
    retrain is asked for), "to be asked" (the same, and a person decides), "waiting" (for that person), "wreck" (of the
    retrain, whose verdict stands in the ledger) and "promoted" (the second champion, that no scorer has seen yet).
    """

    def __init__(self, folder: Path, prefect: Mapping[str, str]) -> None:
        self.home, self._copies = world.build(folder / "home"), folder / "moments"
        self.env = world.environment(
            self.home,
            **prefect,
            ANDON_LEASE_SECONDS=str(LEASE_SECONDS),
            ANDON_SETTLE_SECONDS="0",
            ANDON_SCORER_URL="http://127.0.0.1:9",  # nobody listens there
            ANDON_ACTOR="test",
        )
        self.runner = Runner(folder, self.env)
        self._copies.mkdir()

    def at(self, moment: str) -> Path:
        """The home as it was at this moment."""
        made = self._copies / moment
        if not made.exists():
            earlier, live = self._ways()[moment]
            if earlier:
                self.at(earlier)
            live()
            shutil.copytree(self.home, made)
        shutil.rmtree(self.home)
        return shutil.copytree(made, self.home)

    def intent(self) -> str:
        """The newest intent."""
        return str(query(self.home, "ledger.db", "select id from andon_intents order by created_at")[-1]["id"])

    def answer(self) -> str:
        """How the newest intent was answered, or its state."""
        newest = query(self.home, "ledger.db", "select state, outcome from andon_intents order by created_at")[-1]
        return str(newest["outcome"] if newest["state"] == "closed" else newest["state"])

    def kill(self, point: str, case: Case) -> None:
        """Do the case's act up to this point, at which it must die."""
        more = {"intent": self.intent()} if case.act == "retrain" else case.more
        ended = self.runner.wait(self.runner.begin({**self.env, "ANDON_KILL_AT": point}, case.act, **more))
        assert ended.code == -signal.SIGKILL, f"{point} was not reached ({ended.told}):\n{ended.log[-3000:]}"

    def pass_time(self) -> None:
        """Until the leases of the dead are over, and as if open intents had waited for a minute."""
        held = "select 1 from andon_leases where holder != '' and expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')"
        wait_for("leases to expire", lambda: not query(self.home, "ledger.db", held), seconds=30)
        let_a_minute_pass(self.home)

    def reconcile(self) -> Told:
        """One sweep."""
        return self.runner.run(self.env, "reconcile")

    @contextmanager
    def scorer(self, **env: str) -> Iterator[str]:
        """The address of a scorer on this home."""
        pid = self.runner.begin({**self.env, **env}, "scorer")
        try:
            yield wait_for("the scorer to answer", lambda: _address(self.runner.log(pid)), seconds=60)
        finally:
            os.kill(pid, signal.SIGTERM)
            ended = self.runner.wait(pid)
        assert ended.code == 0, f"the scorer ended with {ended.code}:\n{ended.log[-3000:]}"

    def serving(self, **env: str) -> dict[str, Any]:
        """What a scorer that is started now says that it serves."""
        with self.scorer(**env) as url:
            return httpx.get(f"{url}/{NAME}/version", timeout=5, trust_env=False).raise_for_status().json()  # type: ignore[no-any-return]

    def _begin(self) -> None:
        """The first champion serves; a lap of data has passed, and the next one comes in."""
        world.land_rows(self.home, 0)
        world.land_labels(self.home, 0)
        self._drive("ingest", "retrain", as_of=begins(1))
        assert self.serving()["version"] == "1"
        world.land_rows(self.home, 1)
        self._drive("ingest", "score", "monitor", as_of=begins(1))
        world.land_labels(self.home, 1)
        world.land_rows(self.home, 2)
        self._drive("ingest")

    def _ways(self) -> Mapping[str, tuple[str, Callable[[], None]]]:
        """To each moment: from which earlier one, and how."""
        return {
            "due": ("", self._begin),
            "asked": ("due", lambda: self._drive("score", "monitor")),
            "to be asked": ("asked", lambda: self._define('approval="always"')),
            "waiting": ("to be asked", self._answer_intent),
            "wreck": ("asked", self._die),
            "promoted": ("asked", self._answer_intent),
        }

    def _answer_intent(self) -> None:
        self.runner.run(self.env, "retrain", intent=self.intent())

    def _die(self) -> None:
        self.kill("retrain.recorded", _RETRAIN)
        self.pass_time()

    def _define(self, policy: str) -> None:
        """Add to the gate's policy."""
        file = self.home / "pipelines" / f"{NAME}.py"
        file.write_text(file.read_text().replace("gate=Gate(", f"gate=Gate({policy}, "))

    def _drive(self, *acts: str, as_of: datetime = AS_OF) -> None:
        for act in acts:
            self.runner.run(self.env, act, as_of=as_of)


def check_consistent(home: Path, *, champions: tuple[str, ...]) -> dict[str, Any]:
    """Ledger and MLflow say the same, read as they lie there; nothing is half done. Returns the champion's row."""
    found = audit(home)  # epochs without gaps, the chain, the alias, the bytes, no lease, each batch scored once
    assert found["versions"] == list(champions)
    judged = {
        row["subject"] for row in query(home, "ledger.db", "select subject from andon_verdicts where kind = 'gate'")
    }
    marked = query(home, "mlflow.db", "select version, value from model_version_tags where key = 'verdict'")
    verdicts = {str(row["version"]): row["value"] for row in marked}
    versions = [str(row["version"]) for row in query(home, "mlflow.db", "select version from model_versions")]
    unknown = {version: verdicts.get(version) for version in versions if version not in judged}
    assert set(unknown.values()) <= {"abandoned"}, "versions that nobody judged are not marked"
    assert not query(home, "mlflow.db", "select name from runs where status = 'RUNNING'"), "a run is said to go on"
    aliases = query(home, "mlflow.db", "select version from registered_model_aliases where alias = 'challenger'")
    assert not {str(row["version"]) for row in aliases} & set(unknown), "a dead attempt is said to be the challenger"
    left = [path.name for path in (home / "work").iterdir() if path.name.lstrip(".").startswith(NAME)]
    assert left == [], "a dead attempt has left a folder"
    return dict(found["champions"][-1])


def _address(log: str) -> str:
    found = re.search(r"^scorer: (http\S+)$", log, re.MULTILINE)
    return found[1] if found else ""
