"""Which connections have been at the same for too long: one look at all of them, now and then.

So a request costs no timer, and a limit may be exceeded by a quarter of it.
"""

import asyncio
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from serving.http.limits import Limits

HEAD, BODY, ANSWER, IDLE, LINGER, TAKE = range(6)  # what a client is at, or is waited for

_LONGEST_LOOK_SECONDS = 1.0
_LINGER_SECONDS = 2.0  # for a client that was refused to read why
_NO_PROGRESS = 4  # looks in the time of the shortest limit


class Connection(Protocol):
    """What the watch sees of a connection (serving/http/protocol.py)."""

    phase: int
    turn: int
    flow: FlowControl
    transport: asyncio.Transport

    def overdue(self, phase: int) -> None:
        """It has been in this phase for too long."""
        ...


class Watch:
    """Knows the connections of one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = {
            HEAD: limits.head_seconds,
            BODY: limits.body_seconds,
            IDLE: limits.idle_seconds,
            TAKE: limits.take_seconds,
            LINGER: _LINGER_SECONDS,
        }
        self._every = min(_LONGEST_LOOK_SECONDS, min(self._seconds.values()) / _NO_PROGRESS)
        self._since: dict[Connection, tuple[tuple[int, int], float]] = {}
        self._running = False

    def add(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Watch it."""
        self._since[connection] = ((connection.phase, connection.turn), loop.time())
        if not self._running:
            self._running = True
            loop.call_later(self._every, self._look, loop)

    def drop(self, connection: Connection) -> None:
        """Watch it no more."""
        self._since.pop(connection, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection, (before, since) in list(self._since.items()):
            seen = (_phase(connection), connection.turn)
            if seen != before:
                self._since[connection] = (seen, now)
            elif seen[0] != ANSWER and now - since > self._seconds[seen[0]]:
                connection.overdue(seen[0])
        self._running = bool(self._since)
        if self._running:
            loop.call_later(self._every, self._look, loop)


def _phase(connection: Connection) -> int:
    """What the client is at: it may leave an answer unread, or be unable to go on because we do not read."""
    if connection.phase in (ANSWER, IDLE) and connection.transport.get_write_buffer_size() > 0:
        return TAKE
    return ANSWER if connection.flow.read_paused else connection.phase
