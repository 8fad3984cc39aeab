"""However the bytes of a connection are cut into pieces, and whatever they are: in this process, without a socket."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httptools
import uvicorn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from serving.http.app import App
from serving.http.auth import Auth
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.http.protocol import http_protocol
from tests.unit.serving_world import Twice, post, row, served, slots

LIMITS = Limits(header_bytes=2_000, url_bytes=500, body_bytes=5_000)


class Memory:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written, self.closed, self.ended = b"", False, False

    def get_extra_info(self, *_: object) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.ended, "nothing is written after the end"
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class Answers:
    """Reads status and body of each answer; an answer that is not HTTP raises."""

    def __init__(self, data: bytes) -> None:
        self.all: list[tuple[int, bytes]] = []
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.all.append((self._parser.get_status_code(), self._body))
        self._body = b""


async def told(pieces: Sequence[bytes], *, is_direct: bool) -> tuple[bytes, bool]:
    """What a connection writes, and whether it stays open, when these pieces arrive, one after the other."""
    with ThreadPoolExecutor(1) as pool:
        app = App(slots(served(model=Twice(is_direct=is_direct))), pool, auth=Auth(), metrics=Metrics())
        config = uvicorn.Config(app, http=http_protocol(LIMITS), ws="none", lifespan="off", log_config=None)
        config.load()
        made: Any = config.http_protocol_class
        protocol, transport = made(config, ServerState(), {}), Memory()
        protocol.connection_made(transport)
        for piece in pieces:
            if not transport.closed:
                protocol.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        open_still = not transport.closed
        protocol.connection_lost(None)
    return transport.written, open_still


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(ends)]


def request(kind: int, number: int) -> tuple[bytes, tuple[int, bytes]]:
    """A request, and its answer."""
    body = json.dumps({"dataframe_records": [row(number)]}).encode()
    answer = (200, b'{"predictions":[%.1f]}' % (2 * number))
    if kind == 0:
        return post(body), answer
    if kind == 1:
        lengths = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
        return b"POST /invocations HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + lengths + b"0\r\n\r\n", answer
    if kind == 2:
        return b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n", (200, b"{}")
    return post(b"{", "connection: upgrade", "upgrade: h2c"), (400, b"")


PLACES = st.lists(st.integers(0, 10_000), max_size=8)


@settings(max_examples=40, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=6),
    places=PLACES,
    is_direct=st.booleans(),
)
def test_answers_do_not_depend_on_how_the_requests_are_cut(
    requests: list[tuple[int, int]],
    places: list[int],
    is_direct: bool,  # noqa: FBT001
) -> None:
    made = [request(kind, number) for kind, number in requests]
    written, stays_open = asyncio.run(told(cut(b"".join(sent for sent, _ in made), places), is_direct=is_direct))
    found = [(status, body if status == 200 else b"") for status, body in Answers(written).all]
    assert found == [answer for _, answer in made]
    assert stays_open


@settings(max_examples=60, deadline=None)
@given(
    start=st.sampled_from([b"", b"GET /ping HTTP/1.1\r\n", post(b"{}"), post(b"{}" * 90)[:-3], request(1, 1)[0][:-9]]),
    noise=st.lists(
        st.binary(max_size=300) | st.sampled_from([b"\r\n", b"\r\n\r\n", b": ", b"GET / HTTP/1.1\r\n"]), max_size=8
    ),
    is_direct=st.booleans(),
)
@example(start=b"", noise=[b"GET / HTTP/1.1\r\nx: ", *[b"y" * 300] * 8, b"z" * 300], is_direct=True)
def test_whatever_comes_every_answer_is_http_and_none_is_a_failure(
    start: bytes,
    noise: list[bytes],
    is_direct: bool,  # noqa: FBT001
) -> None:
    written, _ = asyncio.run(told([start, *noise], is_direct=is_direct))
    assert all(status < 500 for status, _ in Answers(written).all)
