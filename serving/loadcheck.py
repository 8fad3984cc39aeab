"""Would the scorer serve this bundle? `python -P -m serving.loadcheck FOLDER SHA256` prints a LoadCheck as JSON.

The bundle is loaded and verified, and then asked as clients ask: JSON goes through the scorer's application, decoder
and model: each golden row alone and with others, many rows in each form, and what must be refused. The socket and
the log are left out: nothing is written anywhere. The figures are judged by the gate, not here.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from modelling.encoding import UnknownLevelError
from modelling.loadcheck import LoadCheck
from registry.ledger import Champion, Change
from serving.http.app import App, Message
from serving.http.auth import Auth
from serving.http.desk import AT_ONCE_BYTES, INLINE_ROWS
from serving.http.metrics import Metrics
from serving.slot import Served, Slot
from validation.errors import RegistryError

if TYPE_CHECKING:
    from modelling.bundle import Bundle

QUERIES = 100
BYTES_PER_MB = 1e6

_OK, _UNPROCESSABLE = 200, 422
_TARGET = b"/invocations"
_TOGETHER = "golden rows that arrive together"
_NO_VALUE = {"no": "value"}  # of a column of any type


class AnswerError(RegistryError):
    """The engine does not answer as the scorer must."""


@dataclass(slots=True, eq=False)
class NoLog:
    """The log of a check: it keeps nothing."""

    written: int = 0
    dropped: int = 0
    sampled_out: int = 0

    def append(self, *_: object, **__: object) -> bool:
        """Say that the rows are kept."""
        return True


class Client:
    """Asks the scorer's application, in this process."""

    def __init__(self, served: Served, pool: ThreadPoolExecutor) -> None:
        slot = Slot(served.champion.change.pipeline)
        slot.served = served
        self._served, self._app = served, App({slot.pipeline: slot}, pool, auth=Auth(), metrics=Metrics())

    async def ask(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, by the way that the server would take."""
        if len(body) <= AT_ONCE_BYTES and self._app.answers_at_once(_TARGET):
            reply = self._app.at_once(_TARGET, (), body)
            if reply is not None:
                return reply.status, reply.body
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app({"method": "POST", "path": _TARGET.decode(), "headers": ()}, receive, send)
        return sent[0]["status"], sent[1]["body"]

    def refuses(self, row: Mapping[str, Any]) -> bool:
        """Whether the definition refuses this row for a category that is not the model's."""
        rows = self._served.decoder.decode(msgspec.json.encode({"dataframe_records": [row]}))
        try:
            self._served.predictor.predict_values(rows.columns)
        except UnknownLevelError:
            return True
        return False

    async def expect(self, request: Mapping[str, Any], predictions: Sequence[Any], *, what: str) -> None:
        """AnswerError unless the answer holds these predictions, each a tuple of k."""
        from modelling.golden import TOLERANCE, as_table, deviation

        body = msgspec.json.encode(request)
        status, answer = await self.ask(body)
        if status >= 500:  # ask again, without the application, which hides why
            self._served.predictor.predict_values(self._served.decoder.decode(body).columns)
        if status != _OK:
            raise AnswerError(f"{what}: the engine answers {status} {answer.decode()}, expected predictions")
        found = as_table(np.array(msgspec.json.decode(answer)["predictions"], dtype=float))
        if (worst := deviation(found, np.array(predictions))) > TOLERANCE:
            raise AnswerError(f"{what}: the engine's predictions are {worst:.2g} away from what was stored; train anew")

    async def expect_refusal(self, request: Mapping[str, Any], *, what: str) -> None:
        """AnswerError unless the caller is told in a sentence that the request cannot be answered."""
        status, answer = await self.ask(msgspec.json.encode(request))
        if status != _UNPROCESSABLE or not msgspec.json.decode(answer)["error"]:
            raise AnswerError(f"{what}: the engine answers {status} {answer.decode()[:200]}, expected a refusal (422)")


def check(folder: Path, sha256: str) -> LoadCheck:
    """Load, verify and ask the bundle in this process; failures are returned, never raised."""
    from modelling.bundle import load  # loads LightGBM, which reads the variable that `main` sets

    try:
        bundle = load(folder, sha256=sha256)
        bundle.verify()
        seconds = asyncio.run(_ask(bundle))
    except Exception as error:  # noqa: BLE001  # whatever it is, the answer is no, and why
        return LoadCheck(ok=False, error=f"{type(error).__name__}: {error}")
    return LoadCheck(
        ok=True,
        latency_ms=median(seconds) * 1e3,
        latency_p95_ms=quantiles(seconds, n=20)[-1] * 1e3,
        size_mb=sum(path.stat().st_size for path in folder.iterdir()) / BYTES_PER_MB,
    )


async def _ask(bundle: "Bundle") -> list[float]:
    """Ask everything; returns the seconds of requests with one row."""
    from serving.loading import ready

    golden = list(zip(bundle.manifest.golden_rows, bundle.manifest.golden_predictions, strict=True))
    with ThreadPoolExecutor(1) as pool:
        client = Client(ready(bundle, _candidate(bundle), NoLog()), pool)
        known = [(row, prediction) for row, prediction in golden if not client.refuses(row)]
        if not known:
            raise AnswerError(
                "the model refuses all of its golden rows; train anew, or set Serving(on_unknown='missing')"
            )
        for number, (row, prediction) in enumerate(known):
            await client.expect({"dataframe_records": [row]}, [prediction], what=f"golden row {number} alone")
        together = (client.expect({"instances": [row]}, [prediction], what=_TOGETHER) for row, prediction in known)
        await asyncio.gather(*together)
        many = list(islice(cycle(known), INLINE_ROWS + 1))
        rows, predictions = [row for row, _ in many], [prediction for _, prediction in many]
        for form, request in _forms(rows).items():
            await client.expect(request, predictions, what=f"many golden rows as {form}")
        await _expect_refusals(client, rows[0])
        return [await _timed(client, msgspec.json.encode({"dataframe_records": rows[:1]})) for _ in range(QUERIES)]


async def _expect_refusals(client: Client, row: Mapping[str, Any]) -> None:
    await client.expect_refusal({"dataframe_records": [{}]}, what="a row without columns")
    for name in row:
        broken = {"dataframe_records": [{**row, name: _NO_VALUE}]}
        await client.expect_refusal(broken, what=f"a row whose {name!r} is no value")


def _forms(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """The same rows in each form that a client may choose."""
    data = [list(row.values()) for row in rows]
    return {
        "dataframe_records": {"dataframe_records": list(rows)},
        "dataframe_split": {"dataframe_split": {"columns": list(rows[0]), "data": data}},
        "inputs": {"inputs": {name: [row[name] for row in rows] for name in rows[0]}},
        "instances": {"instances": list(rows)},
    }


async def _timed(client: Client, body: bytes) -> float:
    began = time.perf_counter()
    await client.ask(body)
    return time.perf_counter() - began


def _candidate(bundle: "Bundle") -> Champion:
    """As if the bundle were champion."""
    manifest, moment = bundle.manifest, bundle.manifest.trained_until
    change = Change(
        pipeline=manifest.pipeline,
        kind="promotion",
        version="candidate",
        bundle_sha256=bundle.sha256,
        trained_until=moment,
        why="its load check",
        data_time=moment,
        actor="load check",
    )
    return Champion(epoch=1, change=change, from_version=None, recorded_at=moment)


def main(folder: str, sha256: str) -> int:
    """Check, and print the answer alone: what the bundle's own code prints goes to stderr."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the scorer has it
    sys.stdout.flush()
    answers = os.dup(1)
    os.dup2(2, 1)
    answer = check(Path(folder), sha256)
    os.write(answers, msgspec.json.encode(answer))
    return not answer.ok


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
