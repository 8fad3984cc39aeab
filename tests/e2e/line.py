"""A whole line: Prefect server, worker, deployments and scorer on one home, lap after lap (world.py); and a client."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import polars as pl

from andon.processes import Stack
from andon.settings import Settings
from tests.e2e import world
from tests.e2e.audit import query
from tests.e2e.world import NAME, andon, begins, drive, told, wait_for

RETRAIN, SCORE, MONITOR = "andon-retrain-on-request", "andon-score-accepted-batches", "andon-monitor-scored-windows"
LEASE_SECONDS = 5.0
_ANSWER_SECONDS = 180.0


class Line:
    """`lap`: the newest one whose files have landed. Schedules are off; of the automations only the retrain's is on."""

    def __init__(self, home: Path) -> None:
        self.home = home
        settings = Settings(home=home, pipelines=str(home / "pipelines"), lease_seconds=LEASE_SECONDS, settle_seconds=0)
        self.stack = Stack(settings, schedules=False)
        self.env = self.stack.env

    @property
    def lap(self) -> int:
        return len(list((self.home / "lake" / "landing" / NAME).glob("*.parquet"))) - 1

    def begin(self) -> None:
        """The automations of what the tests drive themselves are off; on a new home: the first champion, one lap."""
        for name in (SCORE, MONITOR):
            self.enable(name, on=False)
        if self.lap < 0:
            world.land_rows(self.home, 0)
            world.land_labels(self.home, 0)
            self.drive("ingest", "retrain", lap=1)
            world.land_rows(self.home, 1)
            self.drive("ingest", "score", "monitor")
        self.await_serving(self.champion()["version"])

    def land(self) -> int:
        """The files of the next lap arrive; returns its number."""
        lap = self.lap + 1
        world.land_labels(self.home, lap - 1)
        world.land_rows(self.home, lap)
        return lap

    def drive(self, *flows: str, lap: int | None = None) -> None:
        """Call the flows one after the other, at the beginning of the newest lap (or of `lap`)."""
        drive(self.env, begins(self.lap if lap is None else lap), *flows)

    def next_lap(self) -> str:
        """Land, ingest, score and monitor a lap; returns the id of the intent that this leads to."""
        self.land()
        self.drive("ingest", "score", "monitor")
        return str(self.intents()[-1]["id"])

    def andon(self, *arguments: str) -> list[dict[str, Any]]:
        """A command for the pipeline, e.g. ("pause", "--why", "..."), at the data time of the newest lap."""
        name, *rest = arguments
        when = ["--as-of", begins(self.lap).isoformat()] if name in ("reconcile", "rollback") else []
        return told(andon(self.env, name, NAME, *rest, *when, "--json"))

    def champion(self) -> dict[str, Any]:
        return query(self.home, "ledger.db", "select * from andon_champions order by epoch desc limit 1")[0]

    def intents(self) -> list[dict[str, Any]]:
        return query(self.home, "ledger.db", "select * from andon_intents order by created_at")

    def intent(self, key: str) -> dict[str, Any]:
        return next(row for row in self.intents() if row["id"] == key)

    def await_closed(self, intent: str) -> str:
        """Wait until the intent is answered; returns how."""
        wait_for(
            f"the answer to intent {intent}", lambda: self.intent(intent)["state"] == "closed", seconds=_ANSWER_SECONDS
        )
        return str(self.intent(intent)["outcome"])

    def await_promoted(self, intent: str) -> None:
        """Wait until the intent is answered by a promotion; otherwise AssertionError with what the ledger was told."""
        outcome = self.await_closed(intent)
        if outcome != "promote":
            told = query(self.home, "ledger.db", "select * from andon_verdicts order by seq desc limit 5")
            raise AssertionError(f"intent {intent} was answered by {outcome!r}: {told}")

    def await_serving(self, version: str) -> None:
        wait_for(f"the scorer to serve version {version}", lambda: self.serving() == version, seconds=60)

    def serving(self) -> str | None:
        """The version that the scorer serves; None while it does not answer."""
        try:
            return self.describe()["version"]  # type: ignore[no-any-return]
        except httpx.HTTPError:
            return None

    def describe(self) -> dict[str, Any]:
        """What the scorer says of itself."""
        answer = httpx.get(f"{self.stack.scorer_url}/{NAME}/version", timeout=5, trust_env=False)
        return answer.raise_for_status().json()  # type: ignore[no-any-return]

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask Prefect's server; again while its database is locked (503), as Prefect's own client does."""
        url = f"{self.env['PREFECT_API_URL']}{path}"

        def ask() -> httpx.Response | None:
            answer = httpx.request(method, url, json=body, timeout=30, trust_env=False)
            return None if answer.status_code == 503 else answer.raise_for_status()

        answered = wait_for(f"Prefect to answer {method} {path}", ask, seconds=60, every=1)
        return answered.json() if answered and answered.content else None

    def enable(self, automation: str, *, on: bool) -> None:
        (found,) = [item for item in self.api("POST", "/automations/filter", {}) if item["name"] == automation]
        self.api("PATCH", f"/automations/{found['id']}", {"enabled": on})

    def retrain_runs(self, intent: str) -> list[dict[str, Any]]:
        """Flow runs of the deployment that were started for the intent."""
        body = {"flows": {"name": {"any_": ["retrain"]}}, "sort": "START_TIME_ASC"}
        runs = self.api("POST", "/flow_runs/filter", body)
        return [run for run in runs if run["deployment_id"] and run["parameters"].get("intent") == intent]


class Client:
    """Asks for one parcel after the other, each with a key of its own, as an application does; keeps every answer."""

    def __init__(self, url: str, *, lap: int, first_key: int) -> None:
        self.answers: list[tuple[int, str]] = []  # key and version of what was acknowledged
        self.failures: list[str] = []
        self._url, self._first = f"{url}/{NAME}/invocations", first_key
        self._rows = world.rows(lap).drop("minutes")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=30)

    def versions(self) -> list[str]:
        """The versions that answered, in the order of their first answers."""
        return list(dict.fromkeys(version for _, version in self.answers))

    def _run(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._done.wait(0.02):
                self._ask(client, self._first + len(self.answers) + len(self.failures))

    def _ask(self, client: httpx.Client, key: int) -> None:
        row = self._rows[key % self._rows.height].with_columns(parcel_id=pl.lit(key, pl.Int64))
        try:
            answer = client.post(self._url, content=msgspec.json.encode({"dataframe_records": row.to_dicts()}))
        except httpx.HTTPError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        if answer.status_code == 200 and len(answer.json()["predictions"]) == 1:
            self.answers.append((key, answer.headers["x-andon-model-version"]))
        else:
            self.failures.append(f"{answer.status_code} {json.dumps(answer.text)[:200]}")


@contextmanager
def open_line(home: Path) -> Iterator[Line]:
    """A line on the home, which may have a history; all its servers end with the block."""
    line = Line(home)
    with line.stack:
        line.begin()
        yield line
