"""What a request's head must be before its body is looked at: from somebody with a token, and JSON as it is."""

from collections.abc import Collection, Mapping

from serving.http.auth import Auth
from serving.requests.decoding import RequestError

Headers = Collection[tuple[bytes, bytes]]

_JSON = b"application/json"
_UTF8 = (b"utf-8", b"utf8")
_ONCE = (b"authorization", b"content-type", b"content-encoding", b"transfer-encoding", b"origin")


def check_token(headers: Headers, auth: Auth) -> None:
    """RequestError unless it may ask: 401 without a good token, 403 from a web page, 400 if that is unclear."""
    _check(_told(headers), auth)


def has_token(headers: Headers, auth: Auth) -> bool:
    """Whether the request carries a good token, or needs none; RequestError 400 if that is unclear."""
    return auth.allows(_told(headers).get(b"authorization"))


def body_bytes(headers: Headers, auth: Auth) -> int:
    """The declared length of the body (0 when none is declared); RequestError as check_token, 415 for what is no plain
    JSON, or 501.
    """
    told = _told(headers)
    _check(told, auth)
    kind = told.get(b"content-type", _JSON)
    if kind != _JSON and not _is_json(kind):
        raise RequestError(415, "the body's content-type is none that is read here; send application/json")
    if told.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestError(415, "a compressed body is not read here; send it without content-encoding")
    if told.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise RequestError(501, "this transfer-encoding is not read here; send chunked, or a content-length")
    declared = told.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def _told(headers: Headers) -> Mapping[bytes, bytes]:
    """The headers by name. NOTE: of a repeated one another program in front may have taken the other."""
    told = dict(headers)
    if len(told) < len(headers):
        names = [name for name, _ in headers]
        for name in _ONCE:
            if names.count(name) > 1:
                raise RequestError(400, f"the header {name.decode()} comes more than once; send it once")
    return told


def _check(told: Mapping[bytes, bytes], auth: Auth) -> None:
    """NOTE: a web page that somebody on this machine opens can send to it, but not without naming its origin."""
    if not auth.allows(told.get(b"authorization")):
        raise RequestError(401, "a good token is missing; send the header authorization: Bearer <token>")
    if b"origin" in told and not auth.required:
        raise RequestError(403, "web pages are answered only where tokens are asked for; set ANDON_SCORER_TOKENS")


def _is_json(kind: bytes) -> bool:
    kind, *parameters = (part.strip() for part in kind.lower().split(b";"))
    return kind in (_JSON, b"") and all(
        value.strip(b'" ') in _UTF8 for name, _, value in (each.partition(b"=") for each in parameters)
        if name.strip() == b"charset"
    )  # fmt: skip
