"""Real connections to a real server: what a client may send, and how long it may take."""

import gc
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from serving.http.auth import Auth
from serving.http.desk import AT_ONCE_BYTES
from serving.http.limits import Limits
from tests.unit.serving_world import TOKEN, ListLog, Raw, Twice, listening, post, row, served, slots

BODY = json.dumps({"dataframe_records": [row()]}).encode()
ANSWER = b'{"predictions":[2.0]}'
GET = b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n"


def told(raw: Raw) -> tuple[int, str]:
    """Status and sentence of a refusal, after which the connection ends."""
    answer = raw.answer()
    assert answer.headers["connection"] == "close"
    assert raw.ended()
    return answer.status, json.loads(answer.body)["error"]


@pytest.mark.parametrize("is_direct", [True, False])
def test_requests_of_one_connection_are_answered_in_turn(is_direct: bool) -> None:  # noqa: FBT001
    log = ListLog()
    given = slots(served(model=Twice(is_direct=is_direct), log=log))
    long = json.dumps({"dataframe_records": [row(3)]}).encode() + b" " * AT_ONCE_BYTES
    with listening(given) as (port, _), Raw(port) as raw:
        for sent, expected in ((BODY, ANSWER), (long, b'{"predictions":[6.0]}'), (BODY, ANSWER)):
            answer = raw.send(post(sent)).answer()
            assert (answer.status, answer.body) == (200, expected)
            assert answer.headers["x-andon-model-version"] == "1"
            assert "date" in answer.headers
        assert raw.send(GET).answer().status == 200
        assert raw.send(post(b"{}")).answer().status == 422
        assert raw.send(post(BODY)).answer().body == ANSWER
    assert [entry[3] for entry in log.entries].count(answer.headers["x-andon-prediction-id"]) == 1


@pytest.mark.parametrize("is_direct", [True, False])
def test_requests_that_come_before_their_turn_are_answered_in_order(is_direct: bool) -> None:  # noqa: FBT001
    given = slots(served(model=Twice(is_direct=is_direct)))
    bodies = [json.dumps({"dataframe_records": [row(number)]}).encode() for number in range(20)]
    with listening(given) as (port, _), Raw(port) as raw:
        raw.send(b"".join(GET + post(body) for body in bodies))
        for number in range(20):
            assert raw.answer().body == b"{}"
            assert raw.answer().body == b'{"predictions":[%.1f]}' % (2 * number)


@pytest.mark.parametrize("is_direct", [True, False])
def test_a_request_may_come_byte_by_byte_or_in_chunks(is_direct: bool) -> None:  # noqa: FBT001
    with listening(slots(served(model=Twice(is_direct=is_direct)))) as (port, _), Raw(port) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(BODY):
            raw.send(bytes([byte]))
        assert raw.answer().body == ANSWER
        raw.send(b"POST /invocations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for start in range(0, len(BODY), 10):
            part = BODY[start : start + 10]
            raw.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert raw.send(b"0\r\nx-trailer: 1\r\n\r\n").answer().body == ANSWER
        raw.send(post(BODY, "expect: 100-continue").removesuffix(BODY))
        assert raw.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert raw.send(BODY).answer().body == ANSWER


@pytest.mark.parametrize(("line", "version"), [("connection: close", "1.1"), ("x: y", "1.0")])
def test_a_client_may_want_no_further_answer(line: str, version: str) -> None:
    with listening(slots(served())) as (port, _), Raw(port) as raw:
        assert raw.send(post(BODY, line).replace(b"HTTP/1.1", b"HTTP/" + version.encode())).answer().body == ANSWER
        assert raw.ended()


def test_tokens_are_asked_for_on_either_way_and_the_connection_lives_on() -> None:
    with listening(slots(served()), auth=Auth([TOKEN])) as (port, _), Raw(port) as raw:
        for sent in (post(BODY), post(BODY + b" " * AT_ONCE_BYTES), GET.replace(b"ping", b"version")):
            assert raw.send(sent).answer().status == 401
        assert raw.send(post(BODY, f"authorization: Bearer {TOKEN}")).answer().body == ANSWER


SMALL = Limits(
    url_bytes=200, header_bytes=1_000, headers=10, body_bytes=10_000,
    head_seconds=0.2, body_seconds=0.2, take_seconds=0.2, idle_seconds=0.4,
)  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Iterator[int]:
    """The port of a server with small limits."""
    with listening(slots(served()), limits=SMALL) as (port, _):
        yield port


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414, "the address is longer than 200 bytes"),
        (b"GET /" + b"a" * 1_200, 414, "the address is longer"),
        (b"GET /ping HTTP/1.1\r\nx: " + b"a" * 1_000 + b"\r\n\r\n", 431, "too many or too long headers"),
        (b"GET /ping HTTP/1.1\r\n" + b"x: y\r\n" * 11 + b"\r\n", 431, "too many or too long headers"),
        (post(BODY, *["x: y"] * 9), 431, "too many or too long headers"),
        (b"nonsense\r\n\r\n", 400, "no HTTP/1.1 request that can be read"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "no HTTP/1.1 request"),
        (post(BODY, "content-length: 5"), 400, "no HTTP/1.1 request"),
        (post(BODY, "transfer-encoding: chunked"), 400, "no HTTP/1.1 request"),
        (b"CONNECT example.org:80 HTTP/1.1\r\nhost: x\r\n\r\n", 400, "no HTTP/1.1 request"),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400, "no HTTP/1.1 request"),
        (b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n", 400, "no HTTP/1.1 request"),
    ],
)
def test_what_breaks_http_or_a_limit_gets_a_sentence_and_an_end(
    small: int, sent: bytes, status: int, said: str
) -> None:
    with Raw(small) as raw:
        found, sentence = told(raw.send(sent))
        assert (found, said in sentence) == (status, True), sentence
    with Raw(small) as raw:
        assert raw.send(post(BODY)).answer().body == ANSWER, "others are served on"


def test_heads_and_bodies_at_the_limit_are_taken(small: int) -> None:
    with Raw(small) as raw:
        path = b"/" + b"a" * 199
        assert raw.send(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path).answer().status == 404
        assert raw.send(b"GET /ping HTTP/1.1\r\nx: %b\r\n\r\n" % (b"a" * 995)).answer().status == 200
        assert raw.send(b"GET /ping HTTP/1.1\r\n" + b"x: y\r\n" * 10 + b"\r\n").answer().status == 200
        assert raw.send(post(BODY + b" " * (10_000 - len(BODY)))).answer().body == ANSWER
        assert raw.send(post(BODY + b" " * (10_001 - len(BODY)))).answer().status == 413


def test_a_header_without_end_is_noticed_before_it_is_whole() -> None:
    limits = Limits(header_bytes=1_000, url_bytes=200)
    with listening(slots(served()), limits=limits) as (port, _), Raw(port) as raw:
        raw.send(b"GET /ping HTTP/1.1\r\nx: ")
        for _ in range(14):
            raw.send(b"a" * 100)
            time.sleep(0.01)
        status, said = told(raw)
        assert (status, "too long" in said) == (431, True)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /ping HTTP/1.1\r\nhost:",
        b"GET ",
        post(BODY)[:-1],
        post(BODY + b" " * 9_000)[:-1],
        b"POST /invocations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_ended(small: int, sent: bytes) -> None:
    began = time.monotonic()
    with Raw(small) as raw:
        assert raw.send(post(BODY)).answer().body == ANSWER
        status, said = told(raw.send(sent))
        assert (status, said) == (408, "this request took too long to arrive; send it in one go")
        assert 0.2 <= time.monotonic() - began < 5


@pytest.mark.parametrize("start", [b"GET /", post(BODY).removesuffix(BODY)])
def test_a_client_that_drips_is_ended_all_the_same(small: int, start: bytes) -> None:
    with Raw(small) as raw:
        raw.send(start)
        for _ in range(30):
            raw.send(b"x")
            time.sleep(0.02)
        assert told(raw)[0] == 408


@pytest.mark.parametrize("sent", [b"", GET, post(BODY), b"\r\n"])
def test_an_idle_connection_is_closed_without_a_word(small: int, sent: bytes) -> None:
    with Raw(small) as raw:
        raw.send(sent)
        if sent.strip():
            assert raw.answer().status == 200
        assert raw.ended()


def test_a_client_that_does_not_read_its_answers_is_ended() -> None:
    many = json.dumps({"dataframe_records": [row(number, wind=number / 7) for number in range(200)]}).encode()
    limits = Limits(take_seconds=0.3)
    with listening(slots(served()), limits=limits) as (port, server):
        with Raw(port) as raw:
            raw.socket.settimeout(0.5)
            with suppress(OSError):
                for _ in range(5_000):
                    raw.send(post(many))
            until(lambda: not server.server_state.connections)
        with Raw(port) as raw:
            assert raw.send(post(BODY)).answer().body == ANSWER


def test_a_body_that_nobody_reads_is_bounded_as_well() -> None:
    limits = Limits(body_bytes=10_000)
    with listening(slots(served()), auth=Auth([TOKEN]), limits=limits) as (port, _), Raw(port) as raw:
        raw.send(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert raw.answer().status == 401
        raw.send(b" " * 10_000)
        with suppress(ConnectionError):
            raw.send(b" ")
        assert raw.ended()


def until(happens: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_what_a_slow_model_makes_wait_is_no_slow_client() -> None:
    """The second body is so long that it is not read on before the first request is answered."""
    gate, limits = threading.Event(), Limits(head_seconds=0.2, body_seconds=0.2, take_seconds=0.2)
    with listening(slots(served(model=Twice(gate=gate))), limits=limits) as (port, _), Raw(port) as raw:
        many = json.dumps({"dataframe_records": [row(number) for number in range(60)]}).encode()
        threading.Timer(1.0, gate.set).start()
        raw.send(post(many) + post(BODY + b" " * 300_000)[:-1])
        assert raw.answer().status == 200
        assert raw.send(b" ").answer().body == ANSWER


def test_more_connections_than_there_may_be_are_told_so() -> None:
    with listening(slots(served()), limits=Limits(connections=3)) as (port, _):
        held = [Raw(port).send(GET) for _ in range(3)]
        assert [raw.answer().status for raw in held] == [200] * 3
        with Raw(port) as raw:
            assert told(raw)[0] == 503
        held.pop().socket.close()
        until(lambda: asks(port) == 200)
        for each in held:
            each.socket.close()


def asks(port: int) -> int:
    with Raw(port) as raw:
        return raw.send(GET).answer().status


def test_another_protocol_is_not_spoken_but_the_request_is_answered() -> None:
    """As Java's client asks: it offers HTTP/2 with its first request."""
    with listening(slots(served())) as (port, _), Raw(port) as raw:
        raw.send(post(BODY, "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAAA"))
        assert raw.answer().body == ANSWER
        assert raw.send(post(BODY)).answer().body == ANSWER
        raw.send(GET.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n") + post(BODY))
        assert raw.answer().body == b"{}"
        assert raw.answer().body == ANSWER


CHUNKED = b"POST /invocations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)


@pytest.mark.parametrize("whole", [post(BODY), CHUNKED, post(BODY + b" " * AT_ONCE_BYTES)])
@pytest.mark.parametrize("sent", [5, 40, 100])
def test_an_end_lets_what_has_begun_to_arrive_finish(whole: bytes, sent: int) -> None:
    with listening(slots(served())) as (port, server), Raw(port) as raw, Raw(port) as idle:
        assert idle.send(GET).answer().status == 200
        assert raw.send(GET).answer().status == 200
        raw.send(whole[:sent])
        time.sleep(0.05)
        server.should_exit = True
        assert idle.ended()
        assert raw.send(whole[sent:]).answer().body == ANSWER
        assert raw.ended()


def test_nothing_stays_of_connections_that_have_ended() -> None:
    with listening(slots(served())) as (port, server):
        for _ in range(50):
            with Raw(port) as raw:
                assert raw.send(post(BODY)).answer().status == 200
            with Raw(port) as raw:
                raw.send(post(BODY)[:-1])
        until(lambda: not server.server_state.connections)
        gc.collect()
        kind = server.config.http_protocol_class
        assert sum(type(each) is kind for each in gc.get_objects()) <= 1


def certificate(folder: Path) -> dict[str, Any]:
    """uvicorn's options for a server that is localhost, by its own word."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key").write_bytes(private)
    (folder / "cert").write_bytes(made.public_bytes(Encoding.PEM))
    return {"ssl_keyfile": str(folder / "key"), "ssl_certfile": str(folder / "cert")}


def test_the_same_holds_over_tls(tmp_path: Path) -> None:
    options = certificate(tmp_path)
    tls = ssl.create_default_context(cafile=options["ssl_certfile"])
    with listening(slots(served()), limits=SMALL, **options) as (port, _):
        with Raw(port, tls) as raw:
            for sent in (post(BODY), post(BODY + b" " * AT_ONCE_BYTES)):
                assert raw.send(sent).answer().body == ANSWER
            assert raw.ended()
        for sent, status in ((b"GET /" + b"a" * 300, 414), (b"GET /", 408), (post(BODY)[:-1], 408)):
            with Raw(port, tls) as raw:
                assert told(raw.send(sent))[0] == status
