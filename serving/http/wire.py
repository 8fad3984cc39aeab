"""HTTP/1.1 as bytes: an answer, and the head of a request without its offer to change the protocol."""

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.http.head import Headers
from serving.http.lane import Reply

_OFFER = (b"connection", b"upgrade", b"http2-settings")


def answer(reply: Reply, common: Iterable[tuple[bytes, bytes]], *, last: bool) -> bytes:
    """A whole answer; `last`: the connection ends after it."""
    parts = [STATUS_LINE[reply.status]]
    for name, value in (*common, *reply.headers):
        parts += (name, b": ", value, b"\r\n")
    if last:
        parts.append(b"connection: close\r\n")
    parts.append(b"content-length: %d\r\n\r\n" % len(reply.body))
    parts.append(reply.body)
    return b"".join(parts)


def without_offer(method: bytes, url: bytes, headers: Headers) -> bytes:
    """The head of a request as if it had offered no other protocol."""
    kept = (b"%b: %b\r\n" % (name, value) for name, value in headers if name not in _OFFER)
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, url, b"".join(kept))
