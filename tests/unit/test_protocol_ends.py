"""Real connections: what is read after a body, and how a connection ends when the client or the server says so."""

import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from serving.http.auth import Auth
from serving.http.limits import Limits
from tests.unit.serving_world import TOKEN, Raw, Twice, listening, post, row, served, slots

BODY = json.dumps({"dataframe_records": [row()]}).encode()
MANY = json.dumps({"dataframe_records": [row(number) for number in range(60)]}).encode()
ANSWER = b'{"predictions":[2.0]}'
GET = b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = b"POST /invocations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
LIMITS = Limits(header_bytes=1_000, url_bytes=200, headers=10)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def flood(raw: Raw, start: bytes) -> None:
    """Send ten times what may be unfinished, piece by piece."""
    raw.send(start)
    with suppress(ConnectionError):
        for _ in range(100):
            raw.send(b"a" * 100)
            time.sleep(0.002)


@pytest.mark.parametrize("start", [b"0\r\nx: ", chunk(BODY) + b"0\r\nx: ", b"0\r\n", b"5;a=", chunk(b"{") + b"5;a="])
def test_a_trailer_or_an_extension_without_end_is_refused(start: bytes) -> None:
    with listening(slots(served()), limits=LIMITS) as (port, _):
        with Raw(port) as raw:
            flood(raw, CHUNKED + start)
            answer = raw.answer()
            assert (answer.status, "too long" in json.loads(answer.body)["error"]) == (431, True)
            assert raw.ended()
        with Raw(port) as raw:
            assert raw.send(post(BODY)).answer().body == ANSWER


def test_a_trailer_without_end_after_an_answer_gets_no_second_one() -> None:
    with listening(slots(served()), limits=LIMITS, auth=Auth([TOKEN])) as (port, _), Raw(port) as raw:
        assert raw.send(CHUNKED).answer().status == 401
        flood(raw, b"0\r\nx: ")
        assert raw.ended()


def test_chunks_without_end_of_number_are_no_trailer() -> None:
    body = BODY + b" " * 3_000
    with listening(slots(served()), limits=LIMITS) as (port, _), Raw(port) as raw:
        raw.send(CHUNKED)
        for start in range(0, len(body), 10):
            raw.send(chunk(body[start : start + 10]))
        assert raw.send(b"0\r\nx: y\r\n\r\n").answer().body == ANSWER
        for start in range(0, len(sent := post(body)), 100):
            raw.send(sent[start : start + 100])
        assert raw.answer().body == ANSWER


def test_trailers_are_counted_and_mean_nothing() -> None:
    token = b"authorization: Bearer %b\r\n" % TOKEN.encode()
    with listening(slots(served()), limits=LIMITS, auth=Auth([TOKEN])) as (port, _):
        with Raw(port) as raw:
            assert raw.send(CHUNKED + chunk(BODY) + b"0\r\n" + token + b"\r\n").answer().status == 401
        with Raw(port) as raw:
            head = CHUNKED.removesuffix(b"\r\n") + token + b"\r\n"
            trailer = b"content-type: text/csv\r\nexpect: 100-continue\r\n\r\n"
            assert raw.send(head + chunk(BODY) + b"0\r\n" + trailer).answer().body == ANSWER
            assert raw.send(head + chunk(BODY) + b"0\r\n" + b"x: y\r\n" * 8 + b"\r\n").answer().status == 431


def test_a_request_that_cannot_begin_does_not_take_the_answer_of_the_one_before() -> None:
    gate = threading.Event()
    with listening(slots(served(model=Twice(gate=gate)))) as (port, _), Raw(port) as raw:
        raw.send(post(MANY) + b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n")
        threading.Timer(0.1, gate.set).start()
        assert raw.answer().status == 200
        assert raw.ended()


@pytest.mark.parametrize("sent", [post(MANY), post(MANY) + GET, GET + post(BODY) + post(MANY)])
def test_who_sends_no_more_is_answered_still(sent: bytes) -> None:
    gate = threading.Event()
    with listening(slots(served(model=Twice(gate=gate, is_direct=False)))) as (port, server), Raw(port) as raw:
        threading.Timer(0.2, gate.set).start()
        raw.send(sent).socket.shutdown(socket.SHUT_WR)
        answers = [raw.answer() for _ in range(sent.count(b"HTTP/1.1"))]
        assert [answer.status for answer in answers] == [200] * len(answers)
        assert answers[-1].headers["connection"] == "close"
        assert raw.ended()
        end = time.monotonic() + 5
        while server.server_state.connections:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_who_leaves_in_the_middle_of_a_request_is_let_go() -> None:
    with listening(slots(served())) as (port, _), Raw(port) as raw:
        raw.send(post(BODY)[:-1]).socket.shutdown(socket.SHUT_WR)
        assert raw.ended()


@pytest.mark.parametrize("before", [b"", GET])
@pytest.mark.parametrize("is_direct", [True, False])
def test_an_end_lets_what_is_on_its_way_arrive(before: bytes, is_direct: bool) -> None:  # noqa: FBT001
    with listening(slots(served(model=Twice(is_direct=is_direct)))) as (port, server), Raw(port) as raw:
        if before:
            assert raw.send(before).answer().status == 200
        while not server.server_state.connections:
            time.sleep(0.001)
        connection = next(iter(server.server_state.connections))
        connection.loop.call_soon_threadsafe(connection.shutdown)
        time.sleep(0.05)
        answer = raw.send(post(BODY)).answer()
        assert (answer.body, answer.headers["connection"]) == (ANSWER, "close")
        assert raw.ended()


def test_an_end_closes_what_stays_silent_soon() -> None:
    with listening(slots(served())) as (port, server), Raw(port) as silent, Raw(port) as idle:
        assert idle.send(GET).answer().status == 200
        server.should_exit = True
        began = time.monotonic()
        assert silent.ended()
        assert idle.ended()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(("line", "version"), [("connection: close, upgrade", "1.1"), ("connection: upgrade", "1.0")])
def test_an_offer_that_is_not_taken_up_changes_nothing_else(line: str, version: str) -> None:
    sent = post(BODY, line, "upgrade: h2c").replace(b"HTTP/1.1", b"HTTP/" + version.encode())
    with listening(slots(served())) as (port, _), Raw(port) as raw:
        answer = raw.send(sent).answer()
        assert (answer.body, answer.headers["connection"]) == (ANSWER, "close")
        assert raw.ended()
