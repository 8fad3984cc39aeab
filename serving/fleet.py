"""Keeps the workers running, all with the same champions: a swap is prepared by every worker and then committed by all.

What a swap promises: when `swap` returns, each worker that takes requests has acknowledged the commit, or has ended. A
request is answered by the version that its worker serves at the moment its body is whole. So no request that a client
begins to send after that moment is answered by the old version; one that began before may still be. A worker that is
not ready in time, fails, or dies has no veto: it ends, and a new one starts with what the others serve. Only when no
worker at all could prepare is the swap refused, and all go on with the old version.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from registry.ledger import Champion
from serving.member import LateError, Member, MemberError
from serving.messages import Commit, Status
from serving.phases import Serving, Swapped, prepared, refused, replaced
from validation.errors import AndonError, RegistryError
from validation.failpoints import reached

START_SECONDS = 60.0  # for a worker's imports, on a busy machine
LOOK_SECONDS = 10.0  # new workers wait so long for the first look at the ledger, then they listen, if need be with 503
_BEAT_SECONDS = 1.0
_STEADY_SECONDS = 30.0  # who has lived so long does not die again and again
_LONGEST_PAUSE_SECONDS = 30.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Whom the fleet asks and tells.

    `spawn` starts a worker; `repair` makes sure that a champion's bundle lies whole on this machine, in a thread;
    `lost` hears of a pipeline that no worker can serve any more; `buried` of the process id of each that ended;
    `taken`, in a thread, of each champion that a new worker has loaded, before it listens.
    """

    spawn: Callable[[], Awaitable[Member]]
    repair: Callable[[Champion], Path]
    lost: Callable[[str, str], None]
    buried: Callable[[int], None]
    taken: Callable[[Champion], None]


class Fleet:
    """`count` workers; who is not ready, or does not answer, within `ready_seconds` is replaced. For one event loop."""

    def __init__(self, hooks: Hooks, *, count: int, ready_seconds: float) -> None:
        self.looked, self.up = asyncio.Event(), asyncio.Event()  # may workers listen; do those that can
        self._hooks, self._count, self._ready_seconds = hooks, count, ready_seconds
        self._serving: dict[str, Serving] = {}
        self._statuses: dict[str, Status] = {}
        self._members: list[Member] = []  # those that take requests
        self._living: set[Member] = set()
        self._swapping = asyncio.Lock()
        self._tickets, self._stopping = itertools.count(1), False
        self._tried: set[int] = set()  # places whose first worker listens, or has ended

    @property
    def workers(self) -> Mapping[str, Member]:
        """Those that take requests, by name."""
        return {member.name: member for member in self._members if member.alive}

    def serving(self, pipeline: str) -> Serving | None:
        """What the workers serve of a pipeline."""
        return self._serving.get(pipeline)

    async def run(self) -> None:
        """Keep all places filled; returns when `stop` was called, and the last worker has ended."""
        await asyncio.gather(*(self._fill(place) for place in range(self._count)))

    async def stop(self, *, seconds: float) -> None:
        """Let all workers finish what is under way; those that take longer are killed."""
        self._stopping = True
        for member in self._living:
            member.drain()
        await asyncio.gather(*(member.gone(seconds=seconds) for member in list(self._living)))

    def kill(self) -> None:
        """End all workers now."""
        self._stopping = True
        for member in self._living:
            member.kill()

    def tell(self, status: Status) -> None:
        """What all workers say of a pipeline from now on."""
        self._statuses[status.pipeline] = status
        if (serving := self._serving.get(status.pipeline)) is not None:
            self._serving[status.pipeline] = replace(serving, trouble=status.trouble)
        for member in self._members:
            member.tell(status)

    async def swap(self, new: Serving) -> Swapped:
        """Let all workers serve it, as the module promises. RegistryError, and nothing has changed, when none can."""
        pipeline, ticket = new.champion.change.pipeline, next(self._tickets)
        async with self._swapping:
            asked = list(self.workers.values())
            answers = await asyncio.gather(
                *(prepared(member, new, ticket, seconds=self._ready_seconds) for member in asked)
            )
            able = [member for member, why in zip(asked, answers, strict=True) if why is None]
            unable = {member: why for member, why in zip(asked, answers, strict=True) if why is not None}
            if unable and not able:
                await refused(unable, ticket)
                raise RegistryError(f"no worker could load it: {next(iter(unable.values()))}")
            reached("scorer.prepared")
            self._serving[pipeline] = new
            await asyncio.gather(
                *(replaced(member, why) for member, why in unable.items()),
                *(self._commit(member, Commit(ticket, pipeline, new.trouble)) for member in able),
            )
            done = Swapped(workers=sum(member.alive for member in able), at=datetime.now(UTC))
            reached("scorer.committed")
            return done

    async def _commit(self, member: Member, commit: Commit) -> None:
        try:
            await member.commit(commit, seconds=self._ready_seconds)
        except MemberError as error:
            await replaced(member, error)

    async def _fill(self, place: int) -> None:
        """One worker after the other: at once, but the more patiently the sooner they die."""
        deaths = 0
        while not self._stopping:
            began = time.monotonic()
            await self._live(place)
            deaths = 0 if time.monotonic() - began > _STEADY_SECONDS else deaths + 1
            self._has_tried(place)
            pause = min(0.5 * 2 ** (deaths - 2), _LONGEST_PAUSE_SECONDS) if deaths > 1 else 0.0
            while pause > 0 and not self._stopping:
                await asyncio.sleep(min(pause, 0.1))
                pause -= 0.1

    async def _live(self, place: int) -> None:
        """The life of one worker."""
        try:
            member = await self._hooks.spawn()
        except OSError as error:
            _LOG.warning("a worker cannot be started: %s", error)
            return
        self._living.add(member)
        try:
            if self._stopping:
                member.drain()
            await self._join(member)
            self._has_tried(place)
            await self._watch(member)
        except MemberError as error:
            if not self._stopping:
                await replaced(member, error)
        except Exception:  # noqa: BLE001 - whatever fails here, its place must be filled again
            _LOG.exception("worker %s is killed: looking after it failed", member.name)
            member.kill()
        finally:
            await asyncio.wait([member.ended])
            self._bury(member)

    def _bury(self, member: Member) -> None:
        self._living.discard(member)
        with suppress(ValueError):
            self._members.remove(member)
        self._hooks.buried(member.pid)
        if not self._stopping:
            _LOG.warning("worker %s %s", member.name, member.ended.result())

    def _has_tried(self, place: int) -> None:
        self._tried.add(place)
        if len(self._tried) == self._count and self._members:
            self.up.set()

    async def _join(self, member: Member) -> None:
        """Bring a new worker to what the others serve; only then does it listen."""
        await member.started_up(seconds=START_SECONDS)
        looked = asyncio.create_task(self.looked.wait())
        await asyncio.wait([looked, member.ended], timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        looked.cancel()
        ready: dict[str, tuple[int, Serving]] = {}
        while True:
            for pipeline, serving in list(self._serving.items()):
                if not _same(ready.get(pipeline), serving):
                    await self._catch_up(member, serving, ready)
            async with self._swapping:
                if all(_same(ready.get(name), serving) for name, serving in self._serving.items()):
                    return await self._admit(member, {name: ticket for name, (ticket, _) in ready.items()})

    async def _catch_up(self, member: Member, serving: Serving, ready: dict[str, tuple[int, Serving]]) -> None:
        """Prepare what the others serve. When this fails and nobody else serves, the other pipelines must not wait."""
        pipeline, ticket = serving.champion.change.pipeline, next(self._tickets)
        try:
            folder = await asyncio.to_thread(self._hooks.repair, serving.champion)
            if why := await prepared(member, replace(serving, folder=folder), ticket, seconds=self._ready_seconds):
                raise why
        except (AndonError, OSError) as error:
            if not member.alive or isinstance(error, LateError):
                raise MemberError(f"{pipeline}: {error}") from error
            await self._give_up(serving.champion, error)
        else:
            ready[pipeline] = ticket, serving

    async def _give_up(self, champion: Champion, error: Exception) -> None:
        """Serve it no more, unless others do: then MemberError, and the worker is replaced."""
        pipeline = champion.change.pipeline
        async with self._swapping:
            serving = self._serving.get(pipeline)
            if serving is None or serving.champion != champion:
                return  # another worker gave it up already, or a swap has replaced it
            if self._members:
                raise MemberError(f"{pipeline}: {error}") from error
            del self._serving[pipeline]
            self._hooks.lost(pipeline, str(error))

    async def _admit(self, member: Member, tickets: Mapping[str, int]) -> None:
        """The swap lock is held: what is served does not change meanwhile."""
        for pipeline, serving in self._serving.items():
            await member.commit(Commit(tickets[pipeline], pipeline, serving.trouble), seconds=self._ready_seconds)
            await asyncio.to_thread(self._hooks.taken, serving.champion)
        for status in self._statuses.values():
            member.tell(status)
        await member.listen(seconds=self._ready_seconds)
        self._members.append(member)

    async def _watch(self, member: Member) -> None:
        """Return when the worker has ended; MemberError when its event loop stands still."""
        for number in itertools.count(1):
            await asyncio.wait([member.ended], timeout=_BEAT_SECONDS)
            if not member.alive or self._stopping:
                return
            await member.ping(number, seconds=self._ready_seconds)


def _same(ready: tuple[int, Serving] | None, serving: Serving) -> bool:
    return ready is not None and ready[1].champion == serving.champion
