"""One worker process as the supervisor sees it: it is told and asked, and it ends. It decides nothing."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

import msgspec

from serving.messages import (
    LONGEST_LINE,
    Commit,
    Committed,
    Failed,
    Listen,
    Listening,
    Ping,
    Pong,
    Prepare,
    Ready,
    Started,
    ToSupervisor,
    ToWorker,
    line,
    to_supervisor,
)
from validation.errors import RegistryError

_Key = tuple[str, int]


class MemberError(RegistryError):
    """A worker cannot do what it was asked for."""


class LateError(MemberError):
    """It has not answered in time."""


class Member:
    """A running worker. `name` is for people; `started` on the monotonic clock; `ended` with how, when it has."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid, self.started = process.pid, time.monotonic()
        self.name = str(process.pid)
        self._process, self._writer = process, writer
        self._waiting: dict[_Key, asyncio.Future[ToSupervisor]] = {}
        self._reading = asyncio.create_task(self._read(reader))
        self.ended = asyncio.create_task(self._end())

    @classmethod
    async def spawn(cls, listener: socket.socket, arguments: Sequence[str], env: Mapping[str, str]) -> Self:
        """Start a fresh interpreter, which inherits the listening socket and one end of a socket pair, and no more."""
        ours, theirs = socket.socketpair()
        with theirs:
            fds = listener.fileno(), theirs.fileno()
            command = [sys.executable, "-m", "serving.worker", *map(str, fds), *arguments]
            process = await asyncio.create_subprocess_exec(*command, env=dict(env), stdin=DEVNULL, pass_fds=fds)
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        return cls(process, reader, writer)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not self.ended.done()

    def tell(self, message: ToWorker) -> None:
        """Send, without waiting; who has ended hears nothing."""
        if not self._writer.is_closing():
            self._writer.write(line(message))

    async def started_up(self, *, seconds: float) -> None:
        """Wait until it has imported what it needs; MemberError when it does not."""
        await self._answer(("started", 0), seconds=seconds)

    async def prepare(self, asked: Prepare, *, seconds: float) -> None:
        """Return when it is ready; MemberError, with its reason, when it cannot be, LateError when it is not yet."""
        self.tell(asked)
        answer = await self._answer(("prepared", asked.ticket), seconds=seconds)
        if isinstance(answer, Failed):
            raise MemberError(answer.why)

    async def commit(self, asked: Commit, *, seconds: float) -> None:
        """Return when it serves what it has prepared."""
        self.tell(asked)
        await self._answer(("committed", asked.ticket), seconds=seconds)

    async def listen(self, *, seconds: float) -> None:
        """Return when it takes connections."""
        self.tell(Listen())
        await self._answer(("listening", 0), seconds=seconds)

    async def ping(self, number: int, *, seconds: float) -> None:
        """Return when its event loop has answered."""
        self.tell(Ping(number))
        await self._answer(("pong", number), seconds=seconds)

    def drain(self) -> None:
        """Ask it to end: it takes no more requests, and finishes those that it has."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    async def gone(self, *, seconds: float) -> None:
        """Return when the process has ended; it is killed when that takes longer."""
        await asyncio.wait([self.ended], timeout=seconds)
        if self.alive:
            self.kill()
        await asyncio.wait([self.ended])

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:  # the number of one that was waited for may be somebody else's
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)  # NOTE: the process's own send_signal would take its exit code away

    async def _answer(self, key: _Key, *, seconds: float) -> ToSupervisor:
        future = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        if not self.alive:
            raise MemberError(f"worker {self.name} {self.ended.result()}")
        try:
            return await asyncio.wait_for(asyncio.shield(future), seconds)
        except TimeoutError as cause:
            raise LateError(f"worker {self.name} did not answer within {seconds:.0f} s") from cause
        finally:
            self._waiting.pop(key, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while text := await reader.readline():
                message = to_supervisor(text)
                future = self._waiting.setdefault(_key(message), asyncio.get_running_loop().create_future())
                if not future.done():
                    future.set_result(message)
        except OSError:  # it was killed: `ended` says so
            pass
        except (ValueError, msgspec.MsgspecError):  # what does not speak as agreed is not needed
            self.kill()

    async def _end(self) -> str:
        code = await self._process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._reading.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(MemberError(f"worker {self.name} {how}"))
                future.exception()  # nobody may be waiting any more
        return how


def _key(message: ToSupervisor) -> _Key:
    """What the message answers."""
    match message:
        case Ready(ticket) | Failed(ticket):
            return "prepared", ticket
        case Committed(ticket):
            return "committed", ticket
        case Pong(number):
            return "pong", number
        case Started():
            return "started", 0
        case Listening():
            return "listening", 0


def worker_environment(metrics: str) -> dict[str, str]:
    """What workers find in their environment: one thread for each prediction and each small frame (more wait for one
    another, and for busy cores), and where their numbers go.
    """
    return {"POLARS_MAX_THREADS": "1", **os.environ, "OMP_NUM_THREADS": "1", "PROMETHEUS_MULTIPROC_DIR": metrics}
