"""Uvicorn's HTTP protocol with limits on what a connection may send and how long it may take, and a short way.

Of a request: its first line, its headers, and how long they and the body take; of a connection: how long it is idle,
and leaves its answer unread. What breaks HTTP or a limit is answered by a short sentence, and the connection ends.
The short way: a small POST whose body is here is given to the application's `at_once`, without scope, task and events.
"""

import logging
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.http.app import App
from serving.http.desk import AT_ONCE_BYTES
from serving.http.ending import Ending
from serving.http.intake import Intake, Refusal
from serving.http.limits import Limits
from serving.http.overdue import ANSWER, BODY, HEAD, IDLE, Watch
from serving.http.wire import without_offer

_LOG = logging.getLogger(__name__)


def http_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol for `uvicorn.Config(http=...)`; a new one for each server."""
    return type("HttpProtocol", (_Protocol,), {"limits": limits, "watch": Watch(limits)})


class _Protocol(Ending):
    """One connection. NOTE: httptools calls the `on_...` methods while data is fed to it."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._app = config.app if isinstance(config.app, App) else None
        self._broken: Refusal = (400, "this is no HTTP/1.1 request that can be read; mend it")
        self._chunk = b""  # the short way: the body is gathered here
        self._intake, self._declared, self._unread = Intake(self.limits), 0, 0
        self._simple = True

    def data_received(self, data: bytes) -> None:
        """Parse it; whatever is wrong with it ends the connection."""
        if self._deaf:
            return
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            _LOG.debug("a request could not be read", exc_info=error)
            self._refuse(*self._broken)
        if self.phase in (HEAD, BODY) and not self._deaf and (refusal := self._intake.received(len(data))):
            self._refuse(*refusal)

    def on_message_begin(self) -> None:
        """A request begins. Its scope is made later, and only if it is needed."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.phase = HEAD
        self.turn += 1
        self._declared = self._unread = 0
        self._intake.begin()
        self._simple = True

    def on_url(self, url: bytes) -> None:
        """A part of the first line."""
        self.url += url
        if refusal := self._intake.address(len(self.url)):
            self._break(refusal)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those that may follow a body are counted, and mean nothing."""
        if refusal := self._intake.header(name, value):
            self._break(refusal)
        if self.phase == BODY:
            return
        name = name.lower()
        self.headers.append((name, value))
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
        self._intake.progress()
        self._held = self._can_hold()
        if not self._held:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """A part of the body; what nobody reads any more is bounded as well."""
        self._intake.progress()
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
                head, rest = without_offer(self.parser, self.url, self.headers), rest[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)

    def _break(self, refusal: Refusal) -> None:
        """Stop the parser; only an exception does."""
        self._broken = refusal
        raise ValueError(refusal[1])

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
        if self._last:
            self.cycle.keep_alive = False
