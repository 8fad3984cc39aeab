"""The installation of deciding.py with live rows, what versions say of them in the shadow, labels, and a scorer that
tells its figures: the log, the lake, the ledger and HTTP are real.

Rows are given answers, so that a version is as good or bad as a test wants it.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import polars as pl
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from flows.ingest import ingest
from registry.ledger import Intent, Recorded
from storage.log_keeper import LogKeeper, Shadow
from storage.prediction_log import PredictionLog
from tasks.crowning import finish
from tasks.leases import holding
from tests.flows.deciding import NAME, Deciding, day

SURE, UNSURE = 0.9, 0.6  # what is given to that which happened: a small loss, and a large one
Says = Callable[[pl.DataFrame], npt.NDArray[Any]]


def saying(chance: float, *, wobble: float = 0.02) -> Says:
    """A version that gives this chance to what happens, a little more or less by the day; it knows by the wind."""

    def predict(raw: pl.DataFrame) -> npt.NDArray[Any]:
        late = raw["wind"].to_numpy() > 0
        given = chance + wobble * np.sin(raw["ride"].to_numpy())
        return np.asarray(np.where(late, given, 1 - given))

    return predict


def failing(raw: pl.DataFrame) -> npt.NDArray[Any]:
    """A version whose features meet what they do not know."""
    raise ValueError(f"no level of {raw.height} rows is known")


def rows_of(since: datetime, *, days: int, per_day: int = 48) -> pl.DataFrame:
    """Rides at even distances from `since` on; the wind blows from the east (above 0) for those that are late."""
    at = [since + timedelta(days=days) * number / (days * per_day) for number in range(days * per_day)]
    wind = np.where(np.random.default_rng(5).random(len(at)) < 0.5, 3.0, -3.0)
    return pl.DataFrame(
        {
            "ride": range(100_000, 100_000 + len(at)),
            "at": pl.Series(at, dtype=pl.Datetime("us", "UTC")),
            "stop": "north",
            "day": [moment.date() for moment in at],
            "wind": wind,
        }
    )


def json_of(rows: pl.DataFrame) -> bytes:
    """A request for these rows, as clients send it."""
    records = rows.with_columns(pl.col("at").dt.to_string("iso:strict"), pl.col("day").cast(pl.String)).to_dicts()
    return json.dumps({"dataframe_records": records}).encode()


@dataclass
class Scorer:
    """Tells figures as a scorer does. `status` None: it does not know the pipeline."""

    url: str = ""
    status: str | None = "ready"
    text: str = ""
    token: str = ""  # that it asks for
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def count(
        self,
        reigns: Mapping[int, tuple[int, int]],
        *,
        shadows: Mapping[str, tuple[int, int, float]] | None = None,
        seconds: float = 0.002,
        pipeline: str = NAME,
        versions: Mapping[int, str] | None = None,
    ) -> None:
        """By epoch: answers that were right, and that failed. By version in the shadow: scored, failed, seconds.

        `versions`: of the reigns whose version is not the same number.
        """
        registry = CollectorRegistry()
        of_reign, of_shadow = ["pipeline", "version", "epoch"], ["pipeline", "version"]
        requests = Counter("andon_requests", "n", [*of_reign, "status"], registry=registry)
        took = Histogram("andon_request_seconds", "s", of_reign, registry=registry, buckets=(0.001, 0.005, 0.05, 0.5))
        rows = Counter("andon_shadow_rows", "n", [*of_shadow, "outcome"], registry=registry)
        spent = Counter("andon_shadow_seconds", "s", of_shadow, registry=registry)
        for epoch, (fine, failed) in reigns.items():
            of = (pipeline, (versions or {}).get(epoch, str(epoch)), str(epoch))
            for status, many in (("2xx", fine), ("5xx", failed), ("4xx", 1_000)):
                requests.labels(*of, status).inc(many)
            for _ in range(fine + failed):
                took.labels(*of).observe(seconds)
        for version, (scored, failed, total) in (shadows or {}).items():
            rows.labels(pipeline, version, "scored").inc(scored)
            rows.labels(pipeline, version, "failed").inc(failed)
            spent.labels(pipeline, version).inc(total)
        self.text = generate_latest(registry).decode()


@contextmanager
def scoring() -> Iterator[Scorer]:
    scorer = Scorer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("authorization", "")
            scorer.asked.append({"path": self.path, "authorization": given})
            told = self.path == "/metrics" or scorer.status is not None
            refused = scorer.token and given != f"Bearer {scorer.token}"
            body = scorer.text if self.path == "/metrics" else json.dumps({"status": scorer.status, "version": "1"})
            self.send_response(401 if refused else 200 if told else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scorer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield scorer
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Rolling(Deciding):
    """The installation, whose definition has this rollout."""

    def define(self, rollout: str, *, approval: str = "never", matures: str = "1s", more: str = "") -> None:
        path: Path = self.home / "pipelines" / f"{NAME}.py"
        text = path.read_text()
        text = text.replace("import Gate,", "import Rollout, Gate,", 1)
        text = text.replace('gate=Gate(approval="always")', f'gate=Gate(approval="{approval}"), rollout={rollout}')
        text = text.replace('target="late"', f'target="late", matures_after="{matures}"{more}')
        path.write_text(text)

    def pass_gate(self, version: str = "3", *, asks: str = "") -> tuple[Intent, Recorded]:
        """A wish, and the gate's verdict that answers it; nothing has followed from it yet."""
        wish = {"intent_id": f"intent-{version}", "pipeline": NAME, "reason": "drift", "data_time": day(14)}
        return self.ledger.ask(**wish), self.judge(version, asks=asks)  # type: ignore[arg-type]

    def finished(self, version: str = "3") -> None:
        """As a retrain ends that was killed right after the gate's verdict."""
        intent, judged = self.pass_gate(version)
        with holding(self.site, "retrain") as lease:
            assert lease is not None
            assert self.ledger.claim(intent.id, lease=lease) is not None
            finish(self.site, intent, judged, day(14), lease=lease)

    def log(self, rows: pl.DataFrame, *, live: tuple[str, Says], shadow: tuple[str, Says]) -> None:
        """The rows are answered by one version, and scored by the other in the shadow."""
        folder = self.site.lake.predictions(NAME)
        version, says = live
        with PredictionLog(folder, dict(rows.schema), compacting=False) as log:
            for part in rows.iter_slices(50):
                log.write(version, part, says(part), prediction_id=uuid4().hex, at=self.ledger.now())
        keeper = LogKeeper(folder, shadows=lambda: [Shadow(version=shadow[0], predict=shadow[1])])
        keeper.start()
        keeper.stop()

    def label(self, rows: pl.DataFrame, *, as_of: datetime) -> None:
        """What became of the rows is known, and taken in."""
        known = rows.filter(pl.col("at") <= as_of)
        labels = known.select("ride", late=pl.col("wind") > 0, known_at=pl.col("at"))
        path = self.home / "lake" / "landing" / "late" / f"{as_of:%Y%m%d%H}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        labels.write_parquet(path)
        ingest(NAME, as_of=as_of)

    def word(self, kind: str) -> tuple[str, str]:
        """Subject and outcome of the newest verdict of a kind."""
        row = self.ledger.verdicts(NAME, kind=kind, limit=1)[-1]
        return row.subject, row.outcome

    def state(self) -> tuple[str, str]:
        """State and outcome (or condition) of the newest intent."""
        intent = self.ledger.intents(NAME)[-1]
        return intent.state, intent.outcome or intent.condition
