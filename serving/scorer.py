"""The scorer: `python -m serving.scorer --port 8080 [--workers N] [--pipeline NAME ...]`, settings from `ANDON_*`.

A supervisor (this process) and worker processes on one listening socket. It prints one line, `scorer: http://HOST:PORT`,
when all workers that can be ready answer. SIGTERM and SIGINT let requests that are under way finish, flush the
prediction log, and end it with code 0.
"""

import argparse
import asyncio
import errno
import logging
import os
import shutil
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from andon.catalogue import find, loadable
from andon.settings import Settings
from serving.follower import memory_of, remembered
from serving.http.auth import auth_of, check_exposure
from serving.http.limits import Limits
from serving.options import WorkerOptions
from validation.errors import AndonError, DefinitionError, ServiceDownError

_READY_SECONDS = 10.0
_BIND_SECONDS = 2.0  # the workers of a supervisor that was killed give its port back within this time
_BACKLOG = 2048  # connections that wait while workers start
_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal comes; returns the exit code."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one row with many threads waits 16 ms for a busy core
    try:
        run(Settings(), options)
    except AndonError as error:
        sys.stderr.write(f"scorer: {error}\n")
        return error.exit_code
    return 0


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Serve the pipelines of the options (all of the catalogue when none are named) until SIGTERM or SIGINT."""
    home, tls = settings.home.absolute(), options.tls_cert is not None
    if warning := check_exposure(options.host, auth_of(settings), tls=tls):
        _LOG.warning(warning)
    told = WorkerOptions(
        pipelines=_names(settings, options.pipeline),
        limit_connections=options.limit_connections,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        tls_key_password_file=options.tls_key_password_file,
    )
    _check_certificate(told)
    with _bind(options.host, options.port) as listener:
        host, port = listener.getsockname()[:2]
        metrics = _empty(home / "scorer" / f"metrics-{port}")
        # What follows loads prometheus_client, which reads the variable when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        from serving.supervisor import Shape, Supervisor

        shape = Shape(
            workers=options.workers or settings.scorer_workers,
            ready_seconds=options.ready_seconds,
            options=told,
            address=f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}",
        )
        asyncio.run(Supervisor(settings, listener, shape, metrics=metrics).run())
        shutil.rmtree(metrics, ignore_errors=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.scorer", description="Serve champions over REST.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one; the real one is printed")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--pipeline", action="append", default=[], metavar="NAME", help="serve only this; repeatable")
    parser.add_argument("--workers", type=_positive, metavar="N", help="processes; ANDON_SCORER_WORKERS if left out")
    parser.add_argument(
        "--ready-seconds", type=float, default=_READY_SECONDS, metavar="S",
        help="a worker that is not ready for a new champion, or does not answer, within this time is replaced",
    )  # fmt: skip
    parser.add_argument(
        "--limit-connections", type=_positive, default=Limits().connections, metavar="N", help="of one worker"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="PEM certificate (chain): the scorer speaks TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, unless the certificate's file holds it")
    parser.add_argument("--tls-key-password-file", metavar="FILE", help="file with the password of the key")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def _check_certificate(told: WorkerOptions) -> None:
    """DefinitionError, before anything is started, when workers could not speak TLS."""
    if told.tls_cert is None:
        if told.tls_key or told.tls_key_password_file:
            raise DefinitionError("--tls-key is given without --tls-cert; name the certificate, too")
        return
    context, password = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), told.password()
    try:
        # NOTE: without a password OpenSSL would ask the terminal for it.
        context.load_cert_chain(told.tls_cert, told.tls_key, password=password or "")
    except (OSError, ValueError) as cause:  # of which ssl.SSLError is one
        raise DefinitionError(
            f"--tls-cert {told.tls_cert} and --tls-key {told.tls_key} cannot be used: {cause}; give PEM files that "
            "belong together, and --tls-key-password-file for a key with a password"
        ) from cause


def _bind(host: str, port: int) -> socket.socket:
    """The listening socket. ServiceDownError when the port is taken, and is not given back in a moment."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as cause:
            if time.monotonic() < deadline and isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
                time.sleep(0.05)
                continue
            listener.close()
            raise ServiceDownError(
                f"cannot listen on {host}:{port}: {cause}; choose another --port or --host"
            ) from cause
        return listener


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _names(settings: Settings, pipelines: Sequence[str]) -> Sequence[str]:
    """The pipelines to serve. One that served here before needs no definition any more: its bundle carries it."""
    folders = settings.pipeline_folders
    names = list(dict.fromkeys(pipelines)) or list(loadable(folders))
    for name in pipelines:
        if remembered(memory_of(settings.home.absolute(), name)) is None:
            find(name, folders)
    if not names:
        raise DefinitionError(f"no pipeline in {', '.join(map(str, folders))}; write one, or set ANDON_PIPELINES")
    return names


if __name__ == "__main__":
    sys.exit(main())
