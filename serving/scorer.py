"""The scorer as a process: `python -m serving.scorer --port 8080 [--pipeline NAME ...]`, settings from `ANDON_*`.

Prints one line, `scorer: http://HOST:PORT`, when it answers. SIGTERM and SIGINT let requests that are under way
finish, flush the prediction log, and end it with code 0.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import uvicorn

from andon.catalogue import find, loadable
from andon.settings import Settings
from registry.store import ModelStore
from serving.app import App
from serving.follower import Follower, remembered
from serving.ledger_link import LedgerLink
from serving.slot import Slot
from storage.lake import open_lake
from validation.errors import AndonError, DefinitionError, ServiceDownError

_FIRST_LOOK_SECONDS = 10.0  # then it answers anyway, if need be with 503
_GRACE_SECONDS = 30
_KEEP_ALIVE_SECONDS = 75  # longer than clients keep idle connections, so that they close them, not we under a request


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal comes; returns the exit code."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one row with many threads waits 16 ms for a busy core
    try:
        run(Settings(), pipelines=options.pipeline, host=options.host, port=options.port)
    except AndonError as error:
        sys.stderr.write(f"scorer: {error}\n")
        return error.exit_code
    return 0


def run(settings: Settings, *, pipelines: Sequence[str], host: str, port: int) -> None:
    """Serve `pipelines` (all of the catalogue when none are named) until SIGTERM or SIGINT."""
    from serving.loading import Loader  # loads LightGBM, which reads the variable that main sets

    listener, home = _bind(host, port), settings.home.absolute()
    link, slots = LedgerLink(settings.ledger), {name: Slot(name) for name in _names(settings, pipelines)}
    loader = Loader(bundles=home / "bundles", store=lambda: _store(settings), lake=open_lake(settings))
    followers = [
        Follower(slot, champion_of=link.champion, load=loader.load, memory=_memory(home, name))
        for name, slot in slots.items()
    ]
    for follower in followers:
        follower.start()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="predict") as pool:
        _Server(App(slots, pool), followers).run(sockets=[listener])
    for follower in followers:
        follower.stop()
    loader.close()


class _Server(uvicorn.Server):
    def __init__(self, app: App, followers: Sequence[Follower]) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            log_config=None,
            log_level="warning",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        super().__init__(config)
        self._followers = followers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen once the ledger was looked at: who reads the address finds the champion, if there is one."""
        await asyncio.to_thread(self._wait_for_first_look)
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            sys.stdout.write(f"scorer: http://{host}:{port}\n")
            sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        """Unlike uvicorn's own, do not raise the signal again at the end: an end that was asked for is no failure."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _wait_for_first_look(self) -> None:
        deadline = time.monotonic() + _FIRST_LOOK_SECONDS
        for follower in self._followers:
            while not (self.should_exit or follower.looked.wait(0.1) or time.monotonic() > deadline):
                pass


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.scorer", description="Serve champions over REST.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one; the real one is printed")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--pipeline", action="append", default=[], metavar="NAME", help="serve only this; repeatable")
    return parser.parse_args(arguments)


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as cause:
        listener.close()
        raise ServiceDownError(f"cannot listen on {host}:{port}: {cause}; choose another --port or --host") from cause
    return listener


def _names(settings: Settings, pipelines: Sequence[str]) -> Sequence[str]:
    """The pipelines to serve. One that served here before needs no definition any more: its bundle carries it."""
    folders = settings.pipeline_folders
    names = list(dict.fromkeys(pipelines)) or list(loadable(folders))
    for name in pipelines:
        if remembered(_memory(settings.home.absolute(), name)) is None:
            find(name, folders)
    if not names:
        raise DefinitionError(f"no pipeline in {', '.join(map(str, folders))}; write one, or set ANDON_PIPELINES")
    return names


def _memory(home: Path, pipeline: str) -> Path:
    return home / "bundles" / pipeline / "current.json"


def _store(settings: Settings) -> ModelStore:
    from registry.mlflow_store import MlflowStore  # loads MLflow: seconds, and only for a bundle that is not here

    return MlflowStore(settings.mlflow, settings.models)


if __name__ == "__main__":
    sys.exit(main())
