"""Where requests for predictions are worked on: at once, with others, or in a thread; never more than is bounded."""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from serving.http.batching import ALL_ERRORS
from serving.http.lane import Lane, Reply, refusal, sentence
from serving.http.limits import KB, Held, Limits, Share
from serving.http.metrics import Metrics
from serving.requests.decoding import RequestError
from serving.slot import Log, Slot

INLINE_ROWS = 50  # more rows are predicted in a thread, so that other requests need not wait
INLINE_BYTES = 64 * KB  # longer bodies are decoded there, too
AT_ONCE_BYTES = 8 * KB  # a body up to so long holds few enough rows to be answered where it is received

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_LOG = logging.getLogger(__name__)
_BUSY = "the scorer has as much to do as it can hold; ask again in a second"
_TELL_SECONDS = 1.0  # at most one trace in this time: a failing pipeline must not fill the disk


class DisconnectedError(Exception):
    """The caller left before the request was whole."""


class Desk:
    """Answers from the champions that slots serve; for one event loop."""

    def __init__(self, pool: Executor, *, metrics: Metrics, limits: Limits) -> None:
        self._pool, self._metrics, self._limits = pool, metrics, limits
        self._nobody = metrics.tally()  # requests that no champion is to blame for
        self._lanes: dict[str, Lane] = {}
        self._logs: dict[str, list[Log]] = {}
        self._requests, self._waiting = Held(limits.requests), Held(limits.waiting)
        self._bytes = Held(limits.held_bytes)
        self._tell_at = 0.0

    def at_once(self, slot: Slot, body: bytes) -> Reply | None:
        """The answer, if it needs no waiting: few rows, and no expressions. Never raises."""
        lane = self._lane(slot)
        if lane is None or lane.batcher is not None:
            return None
        began = time.perf_counter()
        try:
            rows = lane.rows(body)
            if rows.height > INLINE_ROWS:
                return None
            reply = lane.answer(rows)
        except ALL_ERRORS as error:
            return self.failed(error, lane)
        lane.tally.answered(time.perf_counter() - began)
        return reply

    async def answer(self, slot: Slot, receive: Receive, declared: int) -> Reply:
        """Receive the body, of which so many bytes are declared, and answer it; RequestError 413 or 503."""
        if not self._requests.take(1):
            raise RequestError(503, _BUSY)
        share = Share(self._bytes)
        try:
            body = await self._whole(receive, declared, share)
            return await self._answer(slot, body)
        finally:
            share.give_back()
            self._requests.give_back(1)

    def failed(self, error: BaseException, lane: Lane | None = None) -> Reply:
        """The answer to a request that failed in this lane, or in none; it is counted, and told if it is our fault."""
        reply = refusal(error)
        if reply is None:
            self._tell(error, lane)
            reply = sentence(500, "the scorer failed on this request; its log says why")
        tally = self._nobody if lane is None or reply.status == 503 else lane.tally
        tally.ended(reply.status)
        return reply

    def update(self) -> None:
        """Take over what the logs have counted; on the loop."""
        for pipeline, logs in self._logs.items():
            for log in logs:
                self._metrics.copy_log(pipeline, log)

    def forget(self, slot: Slot) -> None:
        """Let go of a champion that was swapped out, also when nobody asks for its successor."""
        self._lane(slot)

    def _lane(self, slot: Slot) -> Lane | None:
        """What serves now; a request keeps it from when its body is whole."""
        served, lane = slot.served, self._lanes.get(slot.pipeline)
        if lane is not None and lane.served is served:
            return lane
        if served is None:
            self._lanes.pop(slot.pipeline, None)
            return None
        champion = served.champion
        lane = Lane(served, self._metrics.tally(slot.pipeline, champion.change.version, str(champion.epoch)))
        self._lanes[slot.pipeline] = lane
        logs = self._logs.setdefault(slot.pipeline, [])
        if served.log not in logs:
            logs.append(served.log)
        return lane

    async def _answer(self, slot: Slot, body: bytes) -> Reply:
        lane = self._lane(slot)
        if lane is None:
            raise RequestError(503, no_champion(slot))
        began = time.perf_counter()
        try:
            reply = await self._work(lane, body)
        except ALL_ERRORS as error:
            return self.failed(error, lane)
        lane.tally.answered(time.perf_counter() - began)
        return reply

    async def _work(self, lane: Lane, body: bytes) -> Reply:
        if len(body) > INLINE_BYTES:
            return await self._in_thread(lane.work, body)
        rows = lane.rows(body)
        if rows.height > INLINE_ROWS:
            return await self._in_thread(lane.answer, rows)
        if lane.batcher is None:
            return lane.answer(rows)
        return lane.reply(rows, await lane.batcher.ask(rows))

    async def _in_thread(self, work: Callable[[Any], Reply], given: object) -> Reply:
        if not self._waiting.take(1):
            raise RequestError(503, _BUSY)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, given)
        finally:
            self._waiting.give_back(1)

    async def _whole(self, receive: Receive, declared: int, share: Share) -> bytes:
        """The body; RequestError as soon as it is known to be too long, for one request or for all together."""
        chunks: list[bytes] = []
        size, more = 0, True
        self._check_size(declared, share)
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
            size += len(chunks[-1])
            self._check_size(size, share)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _check_size(self, size: int, share: Share) -> None:
        if size > self._limits.body_bytes:
            most = f"{self._limits.body_bytes:,}"
            raise RequestError(413, f"the body is longer than {most} bytes; send fewer rows at a time")
        if size > INLINE_BYTES and not share.cover(size):
            raise RequestError(503, _BUSY)

    def _tell(self, error: BaseException, lane: Lane | None) -> None:
        """NOTE: an exception's message may quote a request's values, and with them lines of the log; it is not told."""
        if (now := time.monotonic()) >= self._tell_at:
            self._tell_at = now + _TELL_SECONDS
            where = "a request" if lane is None else f"a request to {lane.served.champion.change.pipeline}"
            frames = "".join(traceback.format_tb(error.__traceback__))
            _LOG.error("%s failed with %s\n%s", where, type(error).__qualname__, frames)


def no_champion(slot: Slot) -> str:
    """Why a pipeline cannot answer."""
    remedy = f"train one: andon retrain {slot.pipeline}" if slot.status == "no champion" else "see /version"
    return f"pipeline {slot.pipeline!r} cannot answer yet: {slot.status}; {remedy}"
