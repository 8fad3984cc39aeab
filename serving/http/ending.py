"""How a connection begins and ends: when the client, the server or the clock says so, and what is answered before that.

What is under way is answered, and who is refused is told why.
"""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.http.lane import Reply, sentence
from serving.http.limits import Limits
from serving.http.overdue import ANSWER, BODY, HEAD, IDLE, LINGER, Watch
from serving.http.wire import answer

_LAST_CALL_SECONDS = 0.2  # for a request that is on its way when the server ends


class Ending(HttpToolsProtocol):
    """One connection; what is read of it is its subclass's affair."""

    limits: Limits
    watch: Watch

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.phase, self.turn = HEAD, 0  # what the client is at, and in which request; for the watch
        self._deaf = self._last = False  # nothing is read any more; it ends after what is under way
        self._held = False  # the request goes the short way, and its body is gathered

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take it, unless there are too many."""
        super().connection_made(transport)
        self.watch.add(self, self.loop)
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "the scorer has as many connections as it can hold; ask again in a second")

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self.watch.drop(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # uvicorn closes it in any case
        """The client sends no more; True leaves it open for the answers that are under way (TLS cannot do that)."""
        if self.scheme == "https" or self.phase in (BODY, LINGER) or not self._under_way():
            return None
        self._deaf = self._last = True
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """An answer was sent by the application."""
        last = self._last and not self.pipeline
        super().on_response_complete()
        self._unset_keepalive_if_required()  # idle connections are the watch's
        if self.phase == ANSWER and not self.pipeline:
            self.phase = IDLE
        if last:
            self.transport.close()

    def shutdown(self) -> None:
        """The server ends: answer what is under way, also what has only begun to arrive, or is about to."""
        if self._held or self.phase in (HEAD, IDLE):
            self._last = True
            self.loop.call_later(_LAST_CALL_SECONDS, self._close_if_quiet)
        else:
            super().shutdown()

    def overdue(self, phase: int) -> None:
        """The client has been at the same for too long; called by the watch."""
        if phase == IDLE or (phase == HEAD and self.turn == 0):
            self.transport.close()
        elif phase in (HEAD, BODY) and not self._last:
            self._refuse(408, "this request took too long to arrive; send it in one go")
        else:
            self.transport.abort()

    def _close_if_quiet(self) -> None:
        """NOTE: to close it at once would take back requests whose first bytes lie unread."""
        if self.phase == IDLE or self.turn == 0:
            self.transport.close()

    def _write(self, reply: Reply) -> None:
        self.transport.write(answer(reply, self.server_state.default_headers, last=self._last))

    def _under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end(self) -> None:
        """Read no more, and end after the answers that are under way."""
        self._deaf = self._last = True
        if not self._under_way():
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Say why, and end; if requests before this one are under way, they are answered instead."""
        is_begun = self.phase == BODY and not self._held and self.cycle is not None and self.cycle.scope is self.scope
        if self._under_way():
            if not is_begun or self.pipeline or self.cycle.response_started:
                self._end()
                return
            self.cycle.disconnected = True  # the application waits for the rest of the body
            self.cycle.message_event.set()
        elif is_begun:  # it was answered before its body was whole
            self._end()
            return
        self._held, self._last = False, True
        self._write(sentence(status, message))
        self._deaf, self.phase = True, LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()  # NOTE: to close it with data unread would take back what was just said
        else:
            self.transport.close()
