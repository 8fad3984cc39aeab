"""The load of benchmarks/swap.py: connections that ask one row after the other, without a pause, until told to end.

`python -m benchmarks.swap_client PLAN`; on stdin a line ends it. PLAN is JSON: host, port, path, token, connections,
bodies (a file with one body a line), turn (requests of a connection before it is opened anew), out (a file of NumPy).

Kept of each request: when it was sent and answered (wall clock, seconds), the version that the answer names, its
status, which body it was, and how often it was sent. A request whose connection breaks is sent once more, on a new
connection, as HTTP libraries do when a connection is reset; what is cut a second time, or waits too long, has failed.
"""

import asyncio
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

_LIMIT_SECONDS = 30.0
_NONE = 0  # the status of a request that nobody has answered
_PAUSE_SECONDS = 0.01  # before a connection that was refused is tried again

COLUMNS = ("sent", "answered", "version", "status", "body", "tries")


@dataclass(slots=True)
class Kept:
    """What is known of all requests, and the answer that each version gave to each body."""

    rows: list[tuple[float, float, int, int, int, int]] = field(default_factory=list)
    answers: dict[tuple[int, int], bytes] = field(default_factory=dict)
    contradictions: int = 0  # another answer of the same version to the same body

    def answered(self, version: int, body: int, content: bytes) -> None:
        """Hold an answer against the first one."""
        if self.answers.setdefault((version, body), content) != content:
            self.contradictions += 1


class Connection(asyncio.Protocol):
    """One connection: a request at a time; `answer` is done with (status, version, content), or None when it breaks."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, int, bytes] | None] | None = None
        self.transport: Any = None
        self.closed = self.last = False
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, int, bytes] | None]":
        """Send; the future is done with the answer."""
        self.answer = asyncio.get_running_loop().create_future()
        if self.closed:
            self.answer.set_result(None)
        else:
            self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        """Gather an answer; the server's are small and have a length."""
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(rest) < int(headers[b"content-length"]):
            return
        self._received = b""
        self.last = headers.get(b"connection") == b"close"
        version = int(headers.get(b"x-andon-model-version", b"0"))
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((int(head[9:12]), version, rest))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature of a protocol
        """A request that is under way is not answered."""
        self.closed = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(None)


class Caller:
    """One connection after the other."""

    def __init__(self, plan: dict[str, Any], requests: list[bytes], kept: Kept) -> None:
        self._plan, self._requests, self._kept = plan, requests, kept
        self._open: Connection | None = None

    async def run(self, first: int, ended: threading.Event) -> None:
        """Ask body after body, beginning with number `first`."""
        number = first
        while not ended.is_set():
            await self._one(number % len(self._requests))
            number += 1
            if number % self._plan["turn"] == 0:
                self._close()

    async def _one(self, body: int) -> None:
        sent, tries = time.time(), 1
        if (found := await self._send(body)) is None:
            tries, found = 2, await self._send(body)
        status, version, content = found or (_NONE, 0, b"")
        self._kept.rows.append((sent, time.time(), version, status, body, tries))
        if version:
            self._kept.answered(version, body, content)

    async def _send(self, body: int) -> tuple[int, int, bytes] | None:
        try:
            async with asyncio.timeout(_LIMIT_SECONDS):
                if self._open is None:
                    self._open = await self._connect()
                found = await self._open.ask(self._requests[body])
        except TimeoutError:
            found = None
        if found is None or self._open is None or self._open.last:
            self._close()
        return found

    async def _connect(self) -> Connection:
        while True:
            try:
                loop = asyncio.get_running_loop()
                _, made = await loop.create_connection(Connection, self._plan["host"], self._plan["port"])
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return made

    def _close(self) -> None:
        if self._open is not None:
            self._open.transport.close()
            self._open = None


def _requests(plan: dict[str, Any]) -> list[bytes]:
    head = f"POST {plan['path']} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {plan['token']}\r\n"
    head += "content-type: application/json\r\ncontent-length: "
    bodies = Path(plan["bodies"]).read_bytes().splitlines()
    return [head.encode() + b"%d\r\n\r\n" % len(body) + body for body in bodies]


async def _main(plan: dict[str, Any], kept: Kept) -> None:
    requests, ended = _requests(plan), threading.Event()

    def wait() -> None:
        sys.stdin.readline()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    count = plan["connections"]
    callers = [Caller(plan, requests, kept) for _ in range(count)]
    await asyncio.gather(
        *(caller.run(position * plan["turn"] // count, ended) for position, caller in enumerate(callers))
    )


def main(plan: dict[str, Any]) -> None:
    """Ask until told to end; then write what was kept and print what contradicts itself."""
    kept = Kept()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(plan, kept))
    rows = np.array(kept.rows, dtype=float).reshape(-1, len(COLUMNS))
    answers = {f"{version} {body}": content.decode() for (version, body), content in kept.answers.items()}
    Path(plan["out"]).with_suffix(".json").write_text(json.dumps(answers), encoding="utf-8")
    np.save(plan["out"], rows)
    print(json.dumps({"contradictions": kept.contradictions, "cpu_s": time.process_time()}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
