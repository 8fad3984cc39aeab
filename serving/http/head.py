"""What a request's head must be before its body is looked at: from somebody with a token, and JSON as it is."""

from collections.abc import Iterable

from serving.http.auth import Auth
from serving.requests.decoding import RequestError

Headers = Iterable[tuple[bytes, bytes]]

_JSON = b"application/json"
_UTF8 = (b"utf-8", b"utf8")


def check_token(headers: Headers, auth: Auth) -> None:
    """RequestError 401 unless the request carries a good token."""
    if not auth.allows(dict(headers).get(b"authorization")):
        raise RequestError(401, "a good token is missing; send the header authorization: Bearer <token>")


def body_bytes(headers: Headers, auth: Auth) -> int:
    """The declared length of the body (0 when none is declared); RequestError 401, or 415 for what is no plain JSON."""
    told = dict(headers)
    if not auth.allows(told.get(b"authorization")):
        check_token(headers, auth)
    kind = told.get(b"content-type", _JSON)
    if kind != _JSON and not _is_json(kind):
        raise RequestError(415, "the body's content-type is none that is read here; send application/json")
    if told.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestError(415, "a compressed body is not read here; send it without content-encoding")
    declared = told.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def _is_json(kind: bytes) -> bool:
    kind, *parameters = (part.strip() for part in kind.lower().split(b";"))
    return kind in (_JSON, b"") and all(
        value.strip(b'" ') in _UTF8 for name, _, value in (each.partition(b"=") for each in parameters)
        if name.strip() == b"charset"
    )  # fmt: skip
