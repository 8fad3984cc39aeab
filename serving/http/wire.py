"""HTTP/1.1 as bytes: an answer, and the head of a request without its offer to change the protocol."""

from collections.abc import Iterable

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.http.head import Headers
from serving.http.lane import Reply

_OFFER = (b"upgrade", b"http2-settings")


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


def without_offer(parser: httptools.HttpRequestParser, url: bytes, headers: Headers) -> bytes:
    """The head of the request that was parsed as if it had offered no other protocol; all else is as it was."""
    kept = (b"%b: %b\r\n" % (name, _kept(name, value)) for name, value in headers if name not in _OFFER)
    version = parser.get_http_version().encode()
    return b"%b %b HTTP/%b\r\n%b\r\n" % (parser.get_method(), url, version, b"".join(kept))


def _kept(name: bytes, value: bytes) -> bytes:
    if name != b"connection":
        return value
    return b", ".join(option for each in value.split(b",") if (option := each.strip()).lower() not in _OFFER)
