"""Uvicorn's HTTP protocol with limits on what a connection may send and how long it may take, and a short way.

Of a request: its first line, its headers, and how long they and the body take; of a connection: how long it is idle,
and leaves its answer unread. What breaks HTTP or a limit is answered by a short sentence, and the connection ends.
The short way: a small POST whose body is here is given to the application's `at_once`, without scope, task and events.
"""

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.http.app import App
from serving.http.desk import AT_ONCE_BYTES
from serving.http.lane import Reply, sentence
from serving.http.limits import Limits
from serving.http.overdue import ANSWER, BODY, HEAD, IDLE, LINGER, Watch
from serving.http.wire import answer, without_offer

_LOG = logging.getLogger(__name__)


def http_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol for `uvicorn.Config(http=...)`; a new one for each server."""
    return type("HttpProtocol", (_Protocol,), {"limits": limits, "watch": Watch(limits)})


class _Protocol(HttpToolsProtocol):
    """One connection. NOTE: httptools calls the `on_...` methods while data is fed to it."""

    limits: Limits
    watch: Watch

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.phase, self.turn = HEAD, 0  # what the client is at, and in which request; for the watch
        self._app = config.app if isinstance(config.app, App) else None
        self._broken: tuple[int, str] = (400, "this is no HTTP/1.1 request that can be read; mend it")
        self._deaf = self._last = False  # nothing is read any more; it ends after what is under way
        self._held, self._chunk = False, b""  # the short way: the body is gathered here
        self._head_bytes = self._fed = self._declared = self._unread = 0
        self._simple = True

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

    def data_received(self, data: bytes) -> None:
        """Parse it; whatever is wrong with it ends the connection."""
        if self._deaf:
            return
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            _LOG.debug("a request could not be read", exc_info=error)
            self._refuse(*self._broken)
        if self.phase == HEAD and not self._deaf:
            self._check_unfinished_head(len(data))

    def on_message_begin(self) -> None:
        """A request begins. Its scope is made later, and only if it is needed."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.phase = HEAD
        self.turn += 1
        self._head_bytes = self._declared = self._unread = 0
        self._fed = -1
        self._simple = True

    def on_url(self, url: bytes) -> None:
        """A part of the first line."""
        self.url += url
        if len(self.url) > self.limits.url_bytes:
            self._break(414, f"the address is longer than {self.limits.url_bytes:,} bytes; shorten it")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, also of those that may follow a body."""
        name = name.lower()
        self.headers.append((name, value))
        self._head_bytes += len(name) + len(value) + 4  # colon, space and end of line
        if self._head_bytes > self.limits.header_bytes or len(self.headers) > self.limits.headers:
            self._break(431, "this request has too many or too long headers; send fewer or shorter ones")
        if name == b"content-length":
            self._declared = int(value)
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
            self._simple = False

    def on_headers_complete(self) -> None:
        """The application is called now, or when the body is here."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            return
        self.phase = BODY
        self._held = self._can_hold()
        if not self._held:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """A part of the body; what nobody reads any more is bounded as well."""
        if self._held:
            self._chunk = self._chunk + body if self._chunk else body
            return
        super().on_body(body)
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > self.limits.body_bytes:
                self.transport.close()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.parser.should_upgrade():
            return
        if self._held:
            self._answer_held()
            return
        super().on_message_complete()
        self.phase = IDLE if self.cycle.response_complete else ANSWER

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
        """The server ends: answer what is under way, also what has only begun to arrive."""
        if self._held or (self.phase == HEAD and self.turn > 0):
            self._last = True
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

    def _feed(self, data: bytes) -> None:
        """Parse it. NOTE: the parser reads no body where another protocol is offered (Java's client offers HTTP/2 with
        its first request); that is never taken up, so such a request is parsed again as if it had offered none.
        """
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
                rest = rest[:0]
            except httptools.HttpParserUpgrade as offer:
                head, rest = without_offer(self.parser.get_method(), self.url, self.headers), rest[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)

    def _break(self, status: int, message: str) -> None:
        """Stop the parser; only an exception does."""
        self._broken = (status, message)
        raise ValueError(message)

    def _check_unfinished_head(self, received: int) -> None:
        """NOTE: the parser tells a header when it is whole, so an endless one must be noticed here. What came together
        with the beginning may have been the end of another request, and is not counted.
        """
        self._fed = 0 if self._fed < 0 else self._fed + received
        if self._fed > self.limits.url_bytes + self.limits.header_bytes:
            self._refuse(431, "the head of this request is too long; send fewer or shorter headers")

    def _can_hold(self) -> bool:
        """Whether this may go the short way: a small, plain POST, and nothing is under way."""
        parser = self.parser
        return (
            0 < self._declared <= AT_ONCE_BYTES
            and self._simple
            and self._app is not None
            and self._app.answers_at_once(self.url)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self._under_way()
            and not self.flow.write_paused
        )

    def _answer_held(self) -> None:
        self._held, body, self._chunk = False, self._chunk, b""
        reply = None if self._app is None else self._app.at_once(self.url, self.headers, body)
        if reply is None:
            self._begin()
            super().on_body(body)
            super().on_message_complete()
            self.phase = ANSWER
            return
        self._write(reply)
        self.server_state.total_requests += 1
        self.phase = IDLE
        if self._last:
            self.transport.close()

    def _begin(self) -> None:
        """Call the application, as uvicorn does."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.scope["headers"] = self.headers = headers
        self.url, self.expect_100_continue = url, expect
        super().on_headers_complete()

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
        if self._under_way():
            if self.phase == HEAD or self.pipeline or self.cycle.response_started:
                self._end()
                return
            self.cycle.disconnected = True  # the application waits for the rest of the body
            self.cycle.message_event.set()
        self._held, self._last = False, True
        self._write(sentence(status, message))
        self._deaf, self.phase = True, LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()  # NOTE: to close it with data unread would take back what was just said
        else:
            self.transport.close()
