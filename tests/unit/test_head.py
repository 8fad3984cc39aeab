import pytest

from serving.http.auth import Auth
from serving.http.head import body_bytes, check_token, has_token
from serving.requests.decoding import RequestError
from tests.unit.serving_world import TOKEN

BEARER = (b"authorization", b"Bearer " + TOKEN.encode())
JSON = (b"content-type", b"application/json")


def status(*headers: tuple[bytes, bytes], auth: Auth) -> int:
    """Of the refusal; 200 when there is none."""
    try:
        body_bytes(headers, auth)
    except RequestError as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        (b"authorization", b"Bearer of-somebody-else-entirely", BEARER[1]),
        (b"authorization", BEARER[1], BEARER[1]),
        (b"content-type", b"text/plain", JSON[1]),
        (b"content-encoding", b"gzip", b"identity"),
        (b"transfer-encoding", b"gzip", b"chunked"),
    ],
)
def test_of_headers_that_decide_none_comes_twice(name: bytes, first: bytes, second: bytes) -> None:
    twice = [(name, first), (name, second)]
    more = [] if name == b"authorization" else [BEARER]
    with pytest.raises(RequestError, match=f"the header {name.decode()} comes more than once; send it once") as caught:
        body_bytes([*more, *twice], Auth([TOKEN]))
    assert caught.value.status == 400
    with pytest.raises(RequestError, match="more than once"):
        check_token([*more, *twice], Auth([TOKEN]))
    with pytest.raises(RequestError, match="more than once"):
        has_token([*more, *twice], Auth([TOKEN]))


def test_other_headers_may_come_twice() -> None:
    assert status(BEARER, (b"accept", b"a"), (b"accept", b"b"), auth=Auth([TOKEN])) == 200


@pytest.mark.parametrize(
    ("coding", "expected"), [(b"chunked", 200), (b"Chunked", 200), (b"gzip, chunked", 501), (b"identity", 501)]
)
def test_no_transfer_coding_is_read_but_chunked(coding: bytes, expected: int) -> None:
    assert status((b"transfer-encoding", coding), auth=Auth()) == expected


@pytest.mark.parametrize("origin", [b"http://evil.example", b"null", b"http://127.0.0.1:8000"])
def test_without_tokens_no_web_page_is_answered(origin: bytes) -> None:
    assert status((b"origin", origin), JSON, auth=Auth()) == 403
    with pytest.raises(RequestError, match="web pages are answered only where tokens are asked for"):
        check_token([(b"origin", origin)], Auth())
    assert status((b"origin", origin), JSON, BEARER, auth=Auth([TOKEN])) == 200
    assert status((b"origin", origin), JSON, auth=Auth([TOKEN])) == 401
