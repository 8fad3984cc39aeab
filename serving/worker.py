"""A process that answers requests: `python -m serving.worker LISTENER CONTROL OPTIONS`, which the supervisor starts.

It inherits the listening socket and one end of a socket pair. What it serves it is told (messages.py); it needs neither
ledger nor model store. It ends, after the requests that it has, on SIGTERM or when the supervisor is gone; SIGINT is
the supervisor's affair.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import msgspec
import pandera.polars  # noqa: F401
import uvicorn

import andon  # noqa: F401  # what definitions import: not while requests wait
from andon.settings import Settings
from serving.http.app import App
from serving.http.auth import Auth, auth_of
from serving.http.batching import ALL_ERRORS
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.http.protocol import http_protocol
from serving.loading import Loader
from serving.messages import (
    LONGEST_LINE,
    Abandon,
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
    Status,
    Tokens,
    ToSupervisor,
    ToWorker,
    line,
    to_worker,
)
from serving.options import WorkerOptions
from serving.slot import Served, Slot
from validation.errors import AndonError, DefinitionError
from validation.failpoints import reached

GRACE_SECONDS = 30
_SWITCH_SECONDS = 0.0005  # the event loop waits so long for Python code of another thread, not 5 ms
_TICKS = 10  # of a tenth of a second each

_LOG = logging.getLogger(__name__)


class Orders:
    """Carries out what the supervisor asks for. `listen`: what the server is to do."""

    def __init__(
        self, slots: dict[str, Slot], loader: Loader, say: Callable[[ToSupervisor], None], *, auth: Auth | None = None
    ) -> None:
        self.listen = False
        self._slots, self._loader, self._say, self._auth = slots, loader, say, auth or Auth()
        self._prepared: dict[int, Served] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._preparing: set[asyncio.Task[None]] = set()

    def handle(self, message: ToWorker) -> None:
        """On the event loop; what takes time is done beside it."""
        match message:
            case Prepare():
                task = asyncio.create_task(self._prepare(message))
                self._preparing.add(task)
                task.add_done_callback(self._preparing.discard)
            case Commit():
                self._commit(message)
            case Abandon(ticket):
                _dismiss(self._prepared.pop(ticket, None))
            case Status(pipeline, trouble, looked_at, workers):
                slot = self._slots[pipeline]
                slot.trouble, slot.looked_at, slot.workers = trouble, looked_at, workers
            case Tokens(digests):
                self._auth.hold(digests)
            case Ping(number):
                self._say(Pong(number))
            case Listen():
                gc.collect()
                gc.freeze()  # imports and models are not looked through again while requests wait
                self.listen = True

    def close(self) -> None:
        """Start no more loads."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _prepare(self, asked: Prepare) -> None:
        before = self._slots[asked.champion.change.pipeline].served
        loop = asyncio.get_running_loop()
        try:
            served = await loop.run_in_executor(
                self._thread, lambda: self._loader.load(asked.champion, Path(asked.folder), before=before)
            )
        except (*ALL_ERRORS, SystemExit) as error:  # whatever a bundle does, what serves goes on
            self._say(Failed(asked.ticket, f"{type(error).__name__}: {error}"[:500]))
            return
        self._prepared[asked.ticket] = served
        reached("worker.prepared")
        self._say(Ready(asked.ticket))

    def _commit(self, asked: Commit) -> None:
        slot = self._slots[asked.pipeline]
        before = slot.served
        slot.trouble, slot.served = asked.trouble, self._prepared.pop(asked.ticket)
        reached("worker.committed")
        self._say(Committed(asked.ticket))
        _dismiss(before)


class _Server(uvicorn.Server):
    """Listens when it is told to."""

    def __init__(self, config: uvicorn.Config, slots: dict[str, Slot], loader: Loader, app: App, *, auth: Auth) -> None:
        super().__init__(config)
        self._app, self._auth = app, auth
        self._slots, self._loader = slots, loader
        self._reading: asyncio.Task[None] | None = None
        self.control: socket.socket | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it has started, do what is asked, and return when it listens, or is to end.

        DefinitionError when it is to listen, but knows no token to let anybody in.
        """
        reader, writer = await asyncio.open_connection(sock=self.control, limit=LONGEST_LINE)
        orders = Orders(self._slots, self._loader, lambda message: writer.write(line(message)), auth=self._auth)
        self._reading = asyncio.create_task(self._read(reader, orders))
        writer.write(line(Started()))
        while not (orders.listen or self.should_exit):
            await asyncio.sleep(0.02)
        if orders.listen and self._auth.lets_nobody_in:
            raise DefinitionError(self._auth.trouble.removeprefix("degraded: "))
        if not self.should_exit:
            await super().startup(sockets)
            writer.write(line(Listening()))

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's, and once a second what has been counted is written down."""
        if counter % _TICKS == 0:
            try:
                self._app.update()
            except Exception:  # noqa: BLE001  # numbers that cannot be written must not end what answers
                _LOG.exception("the numbers for /metrics are not written")
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        """NOTE: Ctrl-C reaches the whole group; the supervisor decides what it means."""
        if sig == signal.SIGTERM:
            self.should_exit = True

    async def _read(self, reader: asyncio.StreamReader, orders: Orders) -> None:
        try:
            while text := await reader.readline():
                orders.handle(to_worker(text))
        except OSError:
            pass
        finally:  # the supervisor is gone, or speaks another language
            orders.close()
            self.should_exit = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until it is told to end; returns the exit code."""
    listener, control, options = arguments or sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        run(int(listener), int(control), msgspec.json.decode(options, type=WorkerOptions))
    except AndonError as error:
        sys.stderr.write(f"worker {os.getpid()}: {error}\n")
        return error.exit_code
    return 0


def run(listener: int, control: int, options: WorkerOptions) -> None:
    """Serve on the file descriptor `listener`, as the supervisor at the other end of `control` asks."""
    settings = Settings()
    limits = Limits(connections=options.limit_connections)
    slots, loader = {name: Slot(name) for name in options.pipelines}, Loader(settings)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="predict") as pool:
        auth = auth_of(settings, on_trouble="wait")
        app = App(slots, pool, auth=auth, metrics=Metrics(), limits=limits)
        server = _Server(_config(app, limits, options), slots, loader, app, auth=auth)
        server.control = socket.socket(fileno=control)
        server.run(sockets=[socket.socket(fileno=listener)])
        app.update()
    loader.close()


def _config(app: App, limits: Limits, options: WorkerOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=http_protocol(limits),
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever says so is not believed
        log_config=None,
        log_level="warning",
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=GRACE_SECONDS,
        **options.tls(),
    )


def _dismiss(served: Served | None) -> None:
    """What is not served any more follows its reference tables no more; requests under way keep what they have."""
    close = getattr(served.lookups, "close", None) if served else None
    if close is not None:
        close()


if __name__ == "__main__":
    sys.exit(main())
