"""The scorer's REST interface, as a plain ASGI application: routes, status codes and headers. It keeps no state."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from serving.decoding import RequestError
from serving.slot import Slot

MAX_BODY_BYTES = 16 * 1024 * 1024
INLINE_ROWS = 50  # more rows are predicted in a thread, so that other requests need not wait
INLINE_BYTES = 64 * 1024  # longer bodies are decoded there, too

_LOG = logging.getLogger(__name__)
_METHODS = {"invocations": "POST", "ping": "GET", "version": "GET"}

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _DisconnectedError(Exception):
    """The caller left before the request was whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


class App:
    """Answers for the pipelines of `slots`; heavy requests are worked on in `pool`."""

    def __init__(self, slots: Mapping[str, Slot], pool: Executor) -> None:
        self._slots = slots
        self._pool = pool

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """One request. Never a stack trace: what is not foreseen is logged, and answered by a sentence."""
        try:
            reply = await self._reply(scope, receive)
        except _DisconnectedError:
            return
        except RequestError as error:
            reply = _sentence(error.status, str(error))
        except Exception:  # noqa: BLE001 - one request may fail, the scorer may not
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            reply = _sentence(500, "the scorer failed on this request; its log says why")
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(reply.body)),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Mapping[str, Any], receive: Receive) -> Reply:
        *front, action = scope["path"].strip("/").split("/")
        if action not in _METHODS or len(front) > 1:
            raise RequestError(404, f"there is nothing at {scope['path']}; try /{{pipeline}}/invocations or /version")
        slot = self._slot(front, action)
        if scope["method"] != _METHODS[action]:
            allowed = _METHODS[action]
            refusal = _sentence(405, f"{scope['method']} is not answered here; use {allowed}")
            return Reply(status=405, body=refusal.body, headers=((b"allow", allowed.encode()),))
        if action == "ping":
            return _ping(slot)
        if action == "version":
            return Reply(body=msgspec.json.encode(self._describe(slot)))
        assert slot is not None  # noqa: S101 - _slot names one for each invocation
        return await self._predict(slot, scope, receive)

    def _slot(self, front: list[str], action: str) -> Slot | None:
        """The slot that a path names; None for all of them."""
        if front:
            if front[0] in self._slots:
                return self._slots[front[0]]
            raise RequestError(404, f"there is no pipeline {front[0]!r} here; served are: {', '.join(self._slots)}")
        if action != "invocations":
            return None
        if len(self._slots) == 1:
            return next(iter(self._slots.values()))
        raise RequestError(
            404, f"several pipelines are served; use /{{pipeline}}/invocations: {', '.join(self._slots)}"
        )

    def _describe(self, slot: Slot | None) -> Mapping[str, Any]:
        return slot.describe() if slot else {name: each.describe() for name, each in self._slots.items()}

    async def _predict(self, slot: Slot, scope: Mapping[str, Any], receive: Receive) -> Reply:
        body = await _read(scope, receive)
        served = slot.served  # a swap in between does not touch this request
        if served is None:
            return _no_champion(slot)
        raw = await self._run(served.decoder.decode, body, inline=len(body) <= INLINE_BYTES)
        now = datetime.now(UTC)
        answer = await self._run(lambda: served.answer(raw, at=now), inline=raw.height <= INLINE_ROWS)
        headers = (
            (b"x-andon-model-version", answer.version.encode()),
            (b"x-andon-prediction-id", answer.prediction_id.encode()),
        )
        return Reply(body=answer.body, headers=headers)

    async def _run(self, work: Callable[..., Any], *arguments: Any, inline: bool) -> Any:
        if inline:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


async def _read(scope: Mapping[str, Any], receive: Receive) -> bytes:
    """The whole body; RequestError 413 as soon as it is known to be too long."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    chunks: list[bytes] = []
    size, more = int(declared) if declared.isdigit() else 0, True
    if size <= MAX_BODY_BYTES:
        size = 0
    while more and size <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
    if size > MAX_BODY_BYTES:
        raise RequestError(413, f"the body is longer than {MAX_BODY_BYTES:,} bytes; send fewer rows at a time")
    return b"".join(chunks)


def _ping(slot: Slot | None) -> Reply:
    """Of the scorer: it answers. Of a pipeline: it could answer a request."""
    return Reply(body=b"{}") if slot is None or slot.served else _no_champion(slot)


def _no_champion(slot: Slot) -> Reply:
    remedy = f"train one: andon retrain {slot.pipeline}" if slot.status == "no champion" else "see /version"
    return _sentence(503, f"pipeline {slot.pipeline!r} cannot answer yet: {slot.status}; {remedy}")


def _sentence(status: int, message: str) -> Reply:
    close = ((b"connection", b"close"),) if status == 413 else ()  # the rest of the body is not read
    return Reply(status=status, body=msgspec.json.encode({"error": message}), headers=close)
