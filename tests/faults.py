"""A small TCP proxy before an HTTP server that breaks calls as networks and stores do. One call per connection."""

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Fault = Literal["none", "reset", "503", "hang", "stall", "trickle", "lost answer", "unconditional"]

_TRICKLE_SECONDS = 0.05
_ANSWER_503 = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultProxy:
    """`url`: where it listens. All calls pass, until `breaks` names a fault; `calls` counts them from then on.

    reset: the connection is cut. 503: the store is busy. hang: no answer ever comes. stall: half of the answer comes.
    trickle: a byte now and then. lost answer: the store acts, its answer is cut. unconditional: as a store that does
    not know If-None-Match. `acts` is told the number of each call before the call is passed on.
    """

    def __init__(self, upstream: str) -> None:
        host, port = upstream.removeprefix("http://").split(":")
        self._upstream = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._serving: set[threading.Thread] = set()
        self.acts: Callable[[int], object] = lambda _: None
        self.breaks("none")
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def breaks(self, fault: Fault, *, calls: float = float("inf"), after: int = 0) -> None:
        """From now on, `after` calls pass and then `calls` many break so."""
        with self._lock:
            self._fault, self._left, self._after, self.calls = fault, calls, after, 0

    def close(self) -> None:
        """Stop listening, and end what hangs."""
        self._closed.set()
        socket.create_connection(self._listening.getsockname()).close()
        self._accepting.join()
        self._listening.close()
        for thread in self._serving:
            thread.join()

    def _accept(self) -> None:
        while not self._closed.is_set():
            client, _ = self._listening.accept()
            thread = threading.Thread(target=self._serve, args=(client,))
            self._serving = {busy for busy in self._serving if busy.is_alive()} | {thread}
            thread.start()

    def _next(self) -> Fault:
        with self._lock:
            self.calls += 1
            if self.calls <= self._after or self._left < 1:
                return "none"
            self._left -= 1
            return self._fault

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(30)
            if request := _request(client):
                fault = self._next()
                self.acts(self.calls)
                self._act(fault, request, client)

    def _act(self, fault: Fault, request: bytes, client: socket.socket) -> None:
        if fault == "reset":
            _cut(client)
        elif fault == "503":
            client.sendall(_ANSWER_503)
        elif fault == "hang":
            self._closed.wait()
        else:
            with socket.create_connection(self._upstream, timeout=30) as server:
                server.sendall(_once(request, conditional=fault != "unconditional"))
                self._answer(fault, b"".join(iter(lambda: server.recv(65536), b"")), client)

    def _answer(self, fault: Fault, answer: bytes, client: socket.socket) -> None:
        if fault == "lost answer":
            _cut(client)
        elif fault == "stall":
            client.sendall(answer[: len(answer) // 2])
            self._closed.wait()
        elif fault == "trickle":
            for byte in answer:
                client.sendall(bytes([byte]))
                if self._closed.wait(_TRICKLE_SECONDS):
                    return
        else:
            client.sendall(answer)


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy before the server at `upstream`, `http://HOST:PORT`, while inside."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()


def _request(client: socket.socket) -> bytes:
    """The whole request; nothing when there is none."""
    got = b""
    while b"\r\n\r\n" not in got:
        if not (data := client.recv(65536)):
            return b""
        got += data
    head, _, body = got.partition(b"\r\n\r\n")
    if not body and b"100-continue" in head.lower():
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    parts, missing = [got], (int(length[1]) if length else 0) - len(body)
    while missing > 0 and (data := client.recv(65536)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _once(request: bytes, *, conditional: bool) -> bytes:
    """The request, asking for the connection to be closed after the answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    dropped = (b"connection:", b"expect:", *(() if conditional else (b"if-none-match:",)))
    kept = [field for field in fields if not field.lower().startswith(dropped)]
    return b"\r\n".join([first, *kept, b"Connection: close"]) + b"\r\n\r\n" + body


def _cut(client: socket.socket) -> None:
    """Close with a reset instead of an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
