"""A scorer without ledger and model: champions that answer from their rows, asked in this process or over a socket."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httptools
import polars as pl
import uvicorn

from modelling.encoding import UnknownLevelError
from registry.ledger import Champion, Change
from serving.http.app import App
from serving.http.auth import Auth
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.http.protocol import http_protocol
from serving.requests.decoding import RowsDecoder
from serving.requests.rows import Rows
from serving.slot import Served, Slot

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
SCHEMA = {"id": pl.Int64(), "wind": pl.Float64(), "kind": pl.String()}
TOKEN = "a-token-of-a-good-length"  # noqa: S105  # of this test


@dataclass
class Twice:
    """Answers twice the wind, fails where it is below 0, and knows only the kinds "a" and "b"."""

    is_direct: bool = True
    factor: float = 2.0
    asked: list[int] = field(default_factory=list)  # how many rows, each time
    gate: threading.Event | None = None  # it answers once this is set

    def predict_values(self, columns: Sequence[Sequence[Any]]) -> list[float]:
        if self.gate is not None:
            assert self.gate.wait(20)
        self.asked.append(len(columns[0]))
        for row, kind in enumerate(columns[2]):
            if kind not in ("a", "b"):
                raise UnknownLevelError(f"column 'kind', row {row}: it is none of the model's; send a or b")
        if any(wind < 0 for wind in columns[1]):
            raise ZeroDivisionError("no wind is below 0")
        return [self.factor * wind for wind in columns[1]]


@dataclass(eq=False)
class ListLog:
    """Keeps what is appended in a list; a `full` one drops it."""

    entries: list[tuple[str, list[list[Any]], list[Any], str, int]] = field(default_factory=list)
    full: bool = False
    written: int = 0
    dropped: int = 0
    sampled_out: int = 0

    def append(self, version: str, columns: Any, predictions: Any, *, prediction_id: str, at_us: int) -> bool:
        if self.full:
            self.dropped += len(predictions)
            return False
        self.entries.append((version, [list(column) for column in columns], list(predictions), prediction_id, at_us))
        self.written += len(predictions)
        return True


@dataclass
class Kinds:
    """Looks the kind up: it is "b", and as old as it is told."""

    trouble: str = ""
    age_seconds: float = 1.0

    def fill(self, rows: Rows) -> None:
        rows.columns[2] = ["b"] * rows.height


def champion(version: str = "1", *, pipeline: str = "trips", epoch: int | None = None) -> Champion:
    change = Change(
        pipeline=pipeline, kind="promotion", version=version, bundle_sha256=version * 64, trained_until=NOON,
        why="test", data_time=NOON, actor="test",
    )  # fmt: skip
    return Champion(epoch=epoch or int(version), change=change, from_version=None, recorded_at=NOON)


def served(version: str = "1", *, model: Twice | None = None, pipeline: str = "trips", **more: Any) -> Served:
    return Served(
        champion=champion(version, pipeline=pipeline),
        loaded_at=NOON,
        decoder=RowsDecoder(SCHEMA, required=("id",), looked_up={"kinds": ["kind"]} if "lookups" in more else {}),
        predictor=model or Twice(),
        log=more.pop("log", None) or ListLog(),
        **more,
    )


def slots(*serving: Served) -> dict[str, Slot]:
    made = {each.champion.change.pipeline: Slot(each.champion.change.pipeline) for each in serving}
    for each in serving:
        made[each.champion.change.pipeline].served = each
    return made


def row(number: int = 1, **values: Any) -> dict[str, Any]:
    return {"id": number, "wind": float(number), "kind": "a"} | values


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Asking:
    """Asks an application without a socket."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def ask(self, method: str, path: str, *chunks: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        waiting = list(chunks or (b"",))
        sent: list[dict[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            if not waiting:
                return {"type": "http.disconnect"}
            await asyncio.sleep(0)
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await self.app({"type": "http", "method": method, "path": path, "headers": given}, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]} if sent else {}
        return Answer(sent[0]["status"] if sent else 0, told, sent[1]["body"] if sent else b"")


@contextmanager
def asking(given: Mapping[str, Slot], *, auth: Auth | None = None, limits: Limits | None = None) -> Iterator[Asking]:
    with ThreadPoolExecutor(2) as pool:
        yield Asking(App(given, pool, auth=auth or Auth(), metrics=Metrics(), limits=limits))


@contextmanager
def listening(
    given: Mapping[str, Slot], *, auth: Auth | None = None, limits: Limits | None = None, **options: Any
) -> Iterator[tuple[int, uvicorn.Server]]:
    """A real server on a socket of this machine, in a thread: its port, and itself. `options` are uvicorn's."""
    limits = limits or Limits()
    listener = socket.create_server(("127.0.0.1", 0))
    with ThreadPoolExecutor(2) as pool:
        app = App(given, pool, auth=auth or Auth(), metrics=Metrics(), limits=limits)
        server = uvicorn.Server(
            uvicorn.Config(
                app, loop="uvloop", http=http_protocol(limits), ws="none", lifespan="off", access_log=False,
                server_header=False, proxy_headers=False, log_config=None, timeout_graceful_shutdown=5, **options,
            )
        )  # fmt: skip
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.005)
            yield listener.getsockname()[1], server
        finally:
            server.should_exit = True
            thread.join()
            listener.close()


class Raw:
    """A socket, and the answers that are read from it."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._answers: list[Answer] = []
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._answers.append(Answer(self._parser.get_status_code(), self._headers, self._body))
        self._headers, self._body = {}, b""

    def send(self, data: bytes) -> "Raw":
        self.socket.sendall(data)
        return self

    def answer(self) -> Answer:
        """The next answer; AssertionError when the connection ends before it."""
        while not self._answers:
            data = self.socket.recv(65536)
            assert data, "the connection ended without an answer"
            self._parser.feed_data(data)
        return self._answers.pop(0)

    def ended(self) -> bool:
        """Whether the other end closes the connection, and sends nothing more."""
        try:
            return self.socket.recv(65536) == b""
        except ConnectionResetError:
            return True


def post(body: bytes, *lines: str, path: str = "/invocations") -> bytes:
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
