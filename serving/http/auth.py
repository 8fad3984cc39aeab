"""Who may ask: bearer tokens, of which several are good at the same time, so that they can be rotated.

Tokens are compared as SHA-256 digests, all of them and in constant time; they stand in no message and no log.
"""

import hashlib
import hmac
import ipaddress
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from andon.settings import Settings
from validation.errors import DefinitionError

SHORTEST_TOKEN = 16
MOST_TOKENS = 100  # each request is compared with all of them
LOOK_SECONDS = 1.0  # how often the file is looked at, at most

_SCHEME = b"bearer "
_DEGRADED = "degraded: "
_REMEDY = "make one: openssl rand -hex 32"
_Stamp = tuple[int, int, int]


class Auth:
    """Knows the good tokens; without any, everybody may ask. `trouble` says why the file's last tokens still hold."""

    def __init__(
        self,
        tokens: Iterable[str] = (),
        *,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_trouble: Literal["raise", "wait"] = "raise",
    ) -> None:
        """DefinitionError when a token is too short, or the file cannot be read or holds none.

        With `on_trouble="wait"` a file that is no good lets nobody in until it is, or until `hold` is called.
        """
        self.trouble = ""
        self._fixed = _digests(tokens, where="ANDON_SCORER_TOKENS")
        self._file, self._clock = file, clock
        self._stamp: _Stamp | None = None
        self._look_at = clock() + LOOK_SECONDS
        self._of_file: tuple[bytes, ...] = ()
        if file is not None:
            try:
                self._stamp, self._of_file = _read(file)
            except (OSError, DefinitionError) as error:
                if on_trouble == "raise":
                    raise
                self.trouble = f"{_DEGRADED}{error}"
        self._good = self._fixed + self._of_file

    @property
    def required(self) -> bool:
        """Whether a request needs a token."""
        return self._file is not None or bool(self._fixed)

    @property
    def of_file(self) -> tuple[bytes, ...]:
        """The digests of the last good tokens of the file."""
        return self._of_file

    @property
    def lets_nobody_in(self) -> bool:
        """Whether tokens are needed, and none is known."""
        return self.required and not self._good

    def hold(self, of_file: Iterable[bytes]) -> None:
        """Let these digests be the last good ones of the file, if it has not been read yet."""
        told = tuple(of_file)
        if told and self._file is not None and not self._of_file:
            self._of_file = told
            self._good = self._fixed + self._of_file
            self.trouble = _trouble(self.trouble.removeprefix(_DEGRADED))

    def look(self) -> None:
        """See whether the file has changed; at most once a second."""
        if self._file is not None and self._clock() >= self._look_at:
            self._look(self._file)

    def allows(self, authorization: bytes | None) -> bool:
        """Whether the value of the header `authorization` (None: there is none) carries a good token."""
        self.look()
        if not self.required:
            return True
        if authorization is None or authorization[:7].lower() != _SCHEME:
            return False
        given, good = hashlib.sha256(authorization[7:].strip()).digest(), False
        for digest in self._good:
            good |= hmac.compare_digest(given, digest)
        return good

    def _look(self, file: Path) -> None:
        """Read the file again when it is another one; what cannot be read leaves the tokens as they are."""
        self._look_at = self._clock() + LOOK_SECONDS
        try:
            if _stamp(file) != self._stamp or self.trouble:
                self._stamp, self._of_file = _read(file)
                self._good = self._fixed + self._of_file
                self.trouble = ""
        except (OSError, DefinitionError) as error:
            self.trouble = _trouble(error)


def auth_of(settings: Settings, *, on_trouble: Literal["raise", "wait"] = "raise") -> Auth:
    """The tokens of the settings; DefinitionError when they are no good ones (of a file: see Auth)."""
    tokens = [token.strip() for token in settings.scorer_tokens.get_secret_value().split(",")]
    return Auth(filter(None, tokens), file=settings.scorer_token_file, on_trouble=on_trouble)


def check_exposure(host: str, auth: Auth, *, tls: bool) -> str:
    """DefinitionError when others than this machine could ask without a token; else a warning, or nothing."""
    if is_loopback(host):
        return ""
    if not auth.required:
        raise DefinitionError(
            f"{host} can be reached from elsewhere, and the scorer takes no tokens yet; set ANDON_SCORER_TOKENS or "
            f"ANDON_SCORER_TOKEN_FILE ({_REMEDY}), or listen on 127.0.0.1"
        )
    return "" if tls else f"tokens and rows travel unencrypted to {host}; give a certificate, or put TLS in front"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _trouble(error: object) -> str:
    return f"{_DEGRADED}the last good tokens hold on: {error}"


def _read(file: Path) -> tuple[_Stamp, tuple[bytes, ...]]:
    try:
        stamp = _stamp(file)
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        why = cause.strerror if isinstance(cause, OSError) else "it is no text"
        raise DefinitionError(f"the token file {file} cannot be read: {why}; put it back") from cause
    tokens = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not tokens:
        raise DefinitionError(f"the token file {file} holds no token; write one a line ({_REMEDY})")
    return stamp, _digests(tokens, where=f"the token file {file}")


def _stamp(file: Path) -> _Stamp:
    found = os.stat(file)  # noqa: PTH116  # a microsecond less than Path.stat, in the path of a request
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digests(tokens: Iterable[str], *, where: str) -> tuple[bytes, ...]:
    listed = list(tokens)
    if len(listed) > MOST_TOKENS:
        raise DefinitionError(f"{where} holds {len(listed)} tokens; leave at most {MOST_TOKENS}")
    for number, token in enumerate(listed, start=1):
        if len(token) < SHORTEST_TOKEN:
            raise DefinitionError(f"{where}: token {number} is shorter than {SHORTEST_TOKEN} characters; {_REMEDY}")
    return tuple(hashlib.sha256(token.encode()).digest() for token in listed)
