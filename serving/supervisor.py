"""The process that owns the port and the workers: it follows the ledger, verifies, swaps, keeps the log.

It answers no request. What takes time runs in threads (a follower for each pipeline, a keeper for each log); the event
loop only tells, asks and waits. Whatever fails there, the workers serve on; when this process is killed, they finish
what they have and end.
"""

import asyncio
import logging
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from andon.settings import Settings
from registry.ledger import Champion
from registry.store import ModelStore
from serving.fleet import LOOK_SECONDS, Fleet, Hooks
from serving.follower import Follower, memory_of
from serving.http.auth import auth_of
from serving.http.metrics import Metrics, forget_worker
from serving.ledger_link import LedgerLink
from serving.member import Member, worker_environment
from serving.messages import Status, Tokens
from serving.options import WorkerOptions
from serving.phases import Serving
from serving.shadows import Shadows
from serving.vetting import Vetted, Vetter
from storage.lake import open_lake
from storage.log_keeper import LogKeeper
from validation.errors import RegistryError, ServiceDownError

DRAIN_SECONDS = 35.0  # a little more than workers give their requests
_TICK_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.02
_WARM_AFTER_SECONDS = 30.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many workers there are, what each is told, and how long they may take to be ready."""

    workers: int
    ready_seconds: float
    options: WorkerOptions
    address: str  # what is printed when they answer


class Supervisor:
    """One scorer. `run` returns when a signal has ended it."""

    def __init__(self, settings: Settings, listener: socket.socket, shape: Shape, *, metrics: Path) -> None:
        home, names = settings.home.absolute(), shape.options.pipelines
        self._settings, self._listener, self._shape = settings, listener, shape
        self._env, self._auth = worker_environment(str(metrics)), auth_of(settings)
        self._link, lake = LedgerLink(settings.ledger), open_lake(settings)
        self._vetter = Vetter(bundles=home / "bundles", store=self._store)
        hooks = Hooks(spawn=self._spawn, repair=self._repair, lost=_tell_lost, buried=forget_worker, taken=self._taken)
        self._fleet = Fleet(hooks, count=shape.workers, ready_seconds=shape.ready_seconds)
        self._metrics = Metrics()
        self._stage = _Stage(self._fleet, self._vetter, self._metrics)
        self._opened: ModelStore | None = None
        self._opening = threading.Lock()
        self._followers = [
            Follower(name, self._stage, champion_of=self._link.champion, memory=memory_of(home, name)) for name in names
        ]
        shadows = {name: Shadows(name, named=self._link.in_shadow, vetter=self._vetter) for name in names}
        self._keepers = {name: LogKeeper(lake.predictions(name), shadows=shadows[name]) for name in names}

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; a second signal waits for nothing."""
        self._stage.loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._stage.loop.add_signal_handler(number, lambda: self._fleet.kill() if stop.is_set() else stop.set())
        for follower in self._followers:
            follower.start()
        for keeper in self._keepers.values():
            keeper.start()
        tasks = [asyncio.create_task(work) for work in (stop.wait(), self._fleet.run(), self._tick(), self._announce())]
        await asyncio.wait(tasks[:3], return_when=asyncio.FIRST_COMPLETED)  # of these only a signal's ends by itself
        for follower in self._followers:
            await asyncio.to_thread(follower.stop)
        self._listener.close()
        await self._fleet.stop(seconds=DRAIN_SECONDS)
        await asyncio.wait(tasks[1:2], timeout=DRAIN_SECONDS)
        for keeper in self._keepers.values():
            await asyncio.to_thread(keeper.stop)
        for task in tasks:
            if not task.cancel():
                await task  # what has ended it by an error is raised here

    async def _announce(self) -> None:
        """Say that it answers, once it does; that MLflow is imported soon after keeps later champions from waiting."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                while not all(follower.looked.is_set() for follower in self._followers):
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        self._fleet.looked.set()
        await self._fleet.up.wait()
        print(f"scorer: {self._shape.address}", flush=True)  # noqa: T201  # who has started it waits for this line
        await asyncio.sleep(_WARM_AFTER_SECONDS)
        threading.Thread(target=self._warm, name="warm", daemon=True).start()

    async def _tick(self) -> None:
        """Once a second, what is known here alone is written down for /metrics, and good tokens are kept."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._auth.look()
            for name, keeper in self._keepers.items():
                self._metrics.waiting(name, keeper.waiting)
                for version, figures in list(keeper.figures.items()):
                    self._metrics.copy_shadow(name, version, figures)

    async def _spawn(self) -> Member:
        options = msgspec.json.encode(self._shape.options).decode()
        member = await Member.spawn(self._listener, [options], self._env)
        member.tell(Tokens(self._auth.of_file))
        return member

    def _repair(self, champion: Champion) -> Path:
        return self._vetter.folder(champion.change)

    def _taken(self, champion: Champion) -> None:
        for follower in self._followers:
            if follower.pipeline == champion.change.pipeline:
                follower.taken(champion)

    def _store(self) -> ModelStore:
        with self._opening:
            if self._opened is None:
                from registry.mlflow_store import MlflowStore  # loads MLflow: seconds, only for what is not here

                self._opened = MlflowStore(self._settings.mlflow, self._settings.models)
            return self._opened

    def _warm(self) -> None:
        """MLflow takes seconds for its first answer; whether it answers at all does not matter here."""
        for follower in self._followers:
            if self._stage.serving(follower.pipeline) is not None:
                with suppress(Exception):
                    self._store().projected(follower.pipeline)
                return


class _Stage:
    """Where the followers' champions serve; for their threads."""

    def __init__(self, fleet: Fleet, vetter: Vetter, metrics: Metrics) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._fleet, self._vetter, self._metrics = fleet, vetter, metrics

    def serve(self, champion: Champion, trouble: str) -> int:
        """See Stage."""
        pipeline, version = champion.change.pipeline, champion.change.version
        try:
            vetted = self._vet(champion)
            new = Serving(champion=champion, folder=vetted.folder, seconds=vetted.seconds, trouble=trouble)
            swapped = asyncio.run_coroutine_threadsafe(self._fleet.swap(new), self._running()).result()
        except Exception as error:
            self._metrics.swapped(pipeline, "failed" if isinstance(error, ServiceDownError) else "refused")
            raise
        self._metrics.swapped(pipeline, "swapped")
        _LOG.info(
            "%s: version %s serves now (epoch %d, %d workers, since %s)",
            pipeline, version, champion.epoch, swapped.workers, swapped.at.isoformat(),
        )  # fmt: skip
        return swapped.workers

    def serving(self, pipeline: str) -> Champion | None:
        """See Stage."""
        serving = self._fleet.serving(pipeline)
        return None if serving is None else serving.champion

    def workers(self) -> int:
        """See Stage."""
        return len(self._fleet.workers)

    def tell(self, pipeline: str, trouble: str, looked_at: datetime | None) -> None:
        """See Stage."""
        self._running().call_soon_threadsafe(self._tell, pipeline, trouble, looked_at)

    def _tell(self, pipeline: str, trouble: str, looked_at: datetime | None) -> None:
        serving = self.serving(pipeline)
        workers = dict.fromkeys(self._fleet.workers, serving.change.version if serving else "")
        self._fleet.tell(Status(pipeline, trouble, looked_at, workers))

    def _vet(self, champion: Champion) -> Vetted:
        try:
            return self._vetter.vet(champion)
        except pl.exceptions.PanicException as panic:  # which is no Exception
            raise RegistryError(f"Polars panics over it: {panic}") from panic

    def _running(self) -> asyncio.AbstractEventLoop:
        if self.loop is None:
            raise RuntimeError("the supervisor does not run yet")
        return self.loop


def _tell_lost(pipeline: str, why: str) -> None:
    _LOG.error("%s: no worker can serve it: %s", pipeline, why)
