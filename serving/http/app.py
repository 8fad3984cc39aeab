"""The scorer's REST interface, as a plain ASGI application: routes, status codes and headers. It keeps no state."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any

import msgspec

from serving.http.auth import Auth
from serving.http.batching import ALL_ERRORS
from serving.http.desk import Desk, DisconnectedError, Message, Receive, no_champion
from serving.http.head import Headers, body_bytes, check_token, has_token
from serving.http.health import condition, health
from serving.http.lane import JSON, Reply, sentence
from serving.http.limits import Limits
from serving.http.metrics import CONTENT_TYPE, Metrics
from serving.requests.decoding import RequestError
from serving.slot import Slot

__all__ = ["App", "Message", "Receive", "Send"]

_METHODS = {
    "invocations": "POST", "ping": "GET", "health": "GET", "version": "GET", "metrics": "GET", "openapi.json": "GET",
}  # fmt: skip
_OF_ONE = ("invocations", "ping", "version")  # of one pipeline as well
_OPEN = ("/ping", "/health")  # for everybody, so that whatever restarts or routes can look

Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """Answers for the pipelines of `slots` in one event loop; heavy requests are worked on in `pool`."""

    def __init__(
        self, slots: Mapping[str, Slot], pool: Executor, *, auth: Auth, metrics: Metrics, limits: Limits | None = None
    ) -> None:
        self._slots, self._pool, self._auth, self._metrics = slots, pool, auth, metrics
        self._desk = Desk(pool, metrics=metrics, limits=limits or Limits())
        self._targets = {f"/{name}/invocations".encode(): slot for name, slot in slots.items()}
        if len(slots) == 1:
            self._targets[b"/invocations"] = next(iter(slots.values()))

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """One request. Never a stack trace: what is not foreseen is logged, and answered by a sentence."""
        try:
            reply = await self._reply(scope, receive)
        except DisconnectedError:
            return
        except ALL_ERRORS as error:
            reply = self._desk.failed(error)
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def answers_at_once(self, target: bytes) -> bool:
        """Whether a short POST to this address needs no waiting: one of a pipeline without expressions."""
        slot = self._targets.get(target)
        return slot is not None and slot.served is not None and slot.served.predictor.is_direct

    def at_once(self, target: bytes, headers: Headers, body: bytes) -> Reply | None:
        """The answer to a POST whose whole body is here, if that needs no waiting; None: call the application.

        Never raises. Who may not ask gets the application's refusal, too.
        """
        slot = self._targets.get(target)
        if slot is None:
            return None
        try:
            body_bytes(headers, self._auth)
        except RequestError:
            return None
        return self._desk.at_once(slot, body)

    def update(self) -> None:
        """Copy what logs have counted, and forget champions that were swapped out; each second, on the loop."""
        for slot in self._slots.values():
            self._desk.forget(slot)
        self._desk.update()

    async def _reply(self, scope: Mapping[str, Any], receive: Receive) -> Reply:
        path, method, headers = scope["path"], scope["method"], scope["headers"]
        if method == "POST" and (slot := self._targets.get(path.encode())) is not None:
            return await self._desk.answer(slot, receive, body_bytes(headers, self._auth))
        if path not in _OPEN:
            check_token(headers, self._auth)
        slot, action = self._route(path)
        if method != (allowed := _METHODS[action]) and (method, allowed) != ("HEAD", "GET"):
            told = "GET, HEAD" if allowed == "GET" else allowed
            return sentence(405, f"{method} is not answered here; use {told}", (b"allow", told.encode()))
        if action == "invocations":
            assert slot is not None  # noqa: S101  # _route names one for each invocation
            return await self._desk.answer(slot, receive, body_bytes(headers, self._auth))
        return await self._get(action, slot, headers)

    def _route(self, path: str) -> tuple[Slot | None, str]:
        """What a path asks for, of which pipeline (None: of all); RequestError 404."""
        *front, action = path.strip("/").split("/")
        if action not in _METHODS or len(front) > 1 or (front and action not in _OF_ONE):
            raise RequestError(404, "there is nothing at this path; try /{pipeline}/invocations or /version")
        if front:
            if front[0] in self._slots:
                return self._slots[front[0]], action
            raise RequestError(404, f"there is no such pipeline here; served are: {', '.join(self._slots)}")
        if action != "invocations" or len(self._slots) == 1:
            return (next(iter(self._slots.values())) if action == "invocations" else None), action
        raise RequestError(
            404, f"several pipelines are served; use /{{pipeline}}/invocations: {', '.join(self._slots)}"
        )

    async def _get(self, action: str, slot: Slot | None, headers: Headers) -> Reply:
        if action == "ping":
            return _ping(slot)
        if action == "health":
            return self._health(headers)
        if action == "version":
            told = slot.describe() if slot else {name: each.describe() for name, each in self._slots.items()}
            return _json(told)
        make = self._metrics.text if action == "metrics" else self._openapi
        body = await asyncio.get_running_loop().run_in_executor(self._pool, make)
        return Reply(200, (((b"content-type", CONTENT_TYPE),) if action == "metrics" else (JSON,)), body)

    def _health(self, headers: Headers) -> Reply:
        """For everybody one word, for those with a token also why."""
        tokens = self._auth.trouble
        told = condition(self._slots, tokens=tokens)
        status = 503 if told == "unready" else 200
        if not has_token(headers, self._auth):
            return _json({"status": told}, status)
        return _json(health(self._slots, now=datetime.now(UTC), tokens=tokens), status)

    def _openapi(self) -> bytes:
        from serving.requests.openapi import openapi

        served = {name: slot.served for name, slot in self._slots.items()}
        described = {name: each.decoder if each else None for name, each in served.items()}
        return msgspec.json.encode(openapi(described, secured=self._auth.required))


def _ping(slot: Slot | None) -> Reply:
    """Of the scorer: it answers. Of a pipeline: it could answer a request."""
    return _json({}) if slot is None or slot.served else sentence(503, no_champion(slot))


def _json(told: object, status: int = 200) -> Reply:
    return Reply(status, (JSON,), msgspec.json.encode(told))
