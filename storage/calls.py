"""One call to S3 after another: each ends within the deadline, is tried again when the network or the store fails, and
tells what went wrong. Knows nothing of files.

The connection is s3fs's, for its way to find credentials, endpoints and regions. Its own calls are not used: their
retries add up to minutes, and none of them ends when the peer says nothing.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from functools import cache
from typing import Any

import aiohttp
from botocore import exceptions as causes  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

from storage.address import Address, shown
from storage.deadline import ended
from storage.remote import Remote
from validation.errors import ServiceDownError

Answer = Mapping[str, Any]

_TRANSIENT_CODES = ("RequestTimeout", "SlowDown", "ConditionalRequestConflict", "OperationAborted", "TooManyRequests")
_TRANSIENT = (
    causes.ConnectionError,
    causes.HTTPClientError,
    causes.IncompleteReadError,
    ResponseParserError,
    aiohttp.ClientError,
    OSError,
    EOFError,
)
_MISSING_CODES = ("404", "NoSuchKey", "NoSuchUpload")
_UNMET_CODES = ("412", "PreconditionFailed")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_CONNECTIONS = 16
_THREAD = "andon-s3"
_FAREWELL_SECONDS = 1.0
_GRACE_SECONDS = 5.0  # for a loop that is busy with other calls
_FIRST = threading.Lock()


class PreconditionError(Exception):
    """The store says that the object is, or is not, there as the call asked."""


class Calls:
    """The calls of one process to one store; for all its threads."""

    def __init__(self, remote: Remote) -> None:
        from s3fs import S3FileSystem

        self._remote = remote
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._store = S3FileSystem(
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            endpoint_url=remote.endpoint or None,
            client_kwargs={"region_name": remote.storage_options()["aws_region"]} if _has_region(remote) else {},
            config_kwargs=_configuration(remote),
        )

    def run(self, method: str, address: Address, **arguments: object) -> Answer:
        """The store's answer, with `Body` as bytes.

        FileNotFoundError and PreconditionError as the store says; ServiceDownError for all else that is no answer.
        """
        return self.wait(self.start(method, address, **arguments))

    def start(self, method: str, address: Address, **arguments: object) -> "Future[Answer]":
        """The same, while others run; `wait` for it."""
        wanted = {"Bucket": address.bucket, **({"Key": address.key} if address.key else {}), **arguments}
        return asyncio.run_coroutine_threadsafe(self._answer(method, address, wanted), _loop())

    def wait(self, started: "Future[Answer]") -> Answer:
        """What `run` returns or raises."""
        try:
            return started.result(2 * self._remote.seconds + _GRACE_SECONDS)
        except TimeoutError as cause:
            started.cancel()
            raise ended("a call to S3", self._remote.seconds) from cause

    async def _answer(self, method: str, address: Address, arguments: Mapping[str, Any]) -> Answer:
        where, heard = f"S3 {method} {shown(str(address))}", [""]
        try:
            async with asyncio.timeout(self._remote.seconds):  # the first connection, with its reading of credentials
                client = await self._connected()
            async with asyncio.timeout(self._remote.seconds):
                return await _repeated(lambda: getattr(client, method)(**arguments), heard)
        except TimeoutError as cause:
            raise ended(where, self._remote.seconds, heard[-1]) from cause
        except causes.ClientError as error:
            raise _meaning(error, where, address) from error
        except causes.BotoCoreError as error:  # no credentials, a name that cannot be, ...
            raise _refused(where, error) from error

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                self._client = await self._store.set_session()
                weakref.finalize(self, _hang_up, self._client)
        return self._client


async def _repeated(ask: Callable[[], Coroutine[Any, Any, dict[str, Any]]], heard: list[str]) -> Answer:
    """The answer, when there is one, whatever came before: that is `heard`."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await _whole(ask())
        except (causes.ClientError, *_TRANSIENT) as error:
            if not _passes(error):
                raise
            heard.append(f"; last it said: {_told(error)}")
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _whole(asked: Coroutine[Any, Any, dict[str, Any]]) -> Answer:
    answer = await asked
    if "Body" in answer:
        async with answer["Body"] as body:
            answer["Body"] = await body.read()
    return answer


def _passes(error: Exception) -> bool:
    """May the same call succeed a moment later?"""
    if not isinstance(error, causes.ClientError):
        return True
    code, status = _verdict(error)
    return status >= 500 or status == 429 or code in _TRANSIENT_CODES


def _meaning(error: Any, where: str, address: Address) -> Exception:
    code, _ = _verdict(error)
    if code in _UNMET_CODES:
        return PreconditionError(where)
    if code == "NoSuchBucket":
        return ServiceDownError(f"{where}: there is no bucket {address.bucket!r}; create it, or mend the name")
    if code in _MISSING_CODES:
        return FileNotFoundError(f"{shown(str(address))} is not there")
    return _refused(where, error)


def _verdict(error: Any) -> tuple[str, int]:
    said = error.response
    return str(said.get("Error", {}).get("Code", "")), int(said.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _refused(where: str, error: Exception) -> ServiceDownError:
    return ServiceDownError(
        f"{where} was refused: {_told(error)}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ANDON_S3_ENDPOINT, and "
        "what the bucket's policy allows"
    )


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]


def _hang_up(client: Any) -> None:
    """Close the connections; aiohttp would complain on the way out of the process."""
    closing = asyncio.run_coroutine_threadsafe(client.close(), _loop())
    if threading.current_thread().name != _THREAD:
        with contextlib.suppress(TimeoutError):
            closing.result(_FAREWELL_SECONDS)


def _has_region(remote: Remote) -> bool:
    return "aws_region" in remote.storage_options()


def _configuration(remote: Remote) -> dict[str, Any]:
    """One attempt each, since the loop above counts them; checksums of our own: not every store knows botocore's."""
    return {
        "connect_timeout": remote.connect_seconds,
        "read_timeout": remote.silence_seconds,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "max_pool_connections": _CONNECTIONS,
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "path"} if remote.endpoint else {},
    }


def _loop() -> asyncio.AbstractEventLoop:
    """One event loop for all stores of a process. NOTE: `cache` alone lets two threads that come first make two."""
    with _FIRST:
        return _started_loop()


@cache
def _started_loop() -> asyncio.AbstractEventLoop:
    """It runs in a thread that dies with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=_THREAD, daemon=True).start()
    return loop
