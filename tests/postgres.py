"""A private PostgreSQL server for tests: on a free loopback port, as an unprivileged user, gone afterwards."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

_PACKAGE = "postgresql"
_READY_SECONDS = 60


class PostgresServer:
    """A server that tests may break. `url`: `postgresql://andon:PASSWORD@127.0.0.1:PORT` (append a database)."""

    def __init__(self, start: Callable[[], "subprocess.Popen[bytes]"], url: str) -> None:
        self._start, self.url = start, url
        self._process = start()
        _wait_ready(self._process, f"{url}/postgres")

    def crash(self) -> None:
        """As `pg_ctl stop -m immediate`: every connection is cut, nothing is written; recovery comes at the start."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)

    def start(self) -> None:
        """Start it again, with what it had."""
        self._process = self._start()
        _wait_ready(self._process, f"{self.url}/postgres")

    def stop(self) -> None:
        """The fast shutdown: disconnects clients."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a fresh server, `postgresql://andon:PASSWORD@127.0.0.1:PORT` (append a database), while inside.

    Without Debian's package the test is skipped, or fails when CI=true.
    """
    with breakable_server() as server:
        yield server.url


@contextmanager
def breakable_server() -> Iterator[PostgresServer]:
    """The same, as a server that can be crashed and started again."""
    binaries = _binaries()
    home = Path(tempfile.mkdtemp(prefix="andon-postgres-"))
    password = secrets.token_hex(8)
    try:
        (home / "password").write_text(password, encoding="utf-8")
        identity = _identity(home)
        _init(binaries, home, identity)
        port = _free_port()
        url = f"postgresql://andon:{password}@127.0.0.1:{port}"
        server = PostgresServer(lambda: _start(binaries, home, identity, port=port), url)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def create_database(server_url: str) -> str:
    """A new empty database on the server; returns its URL."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server_url}/{name}"


def create_schema(database_url: str) -> str:
    """A new empty schema of the database, which takes a hundredth of what a database does; returns the URL of both."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{database_url}?options=-csearch_path%3D{name}"


def _binaries() -> Path:
    if not _newest() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "install", "-y", "--no-install-recommends", _PACKAGE], check=False, capture_output=True
        )
    found = _newest()
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"needs Debian's package {_PACKAGE}: apt-get install {_PACKAGE}"
        )
    return found[-1]


def _newest() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))


def _identity(home: Path) -> dict[str, Any]:
    """Who runs the server: us, or `nobody` when we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in (home, *home.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _init(binaries: Path, home: Path, identity: dict[str, Any]) -> None:
    options = ["--username=andon", "--auth=scram-sha-256", f"--pwfile={home / 'password'}", "--locale=C", "-E", "UTF8"]
    done = subprocess.run(
        [binaries / "initdb", f"--pgdata={home / 'data'}", "--no-sync", *options],
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        **identity,
    )
    assert done.returncode == 0, done.stderr


def _start(binaries: Path, home: Path, identity: dict[str, Any], *, port: int) -> subprocess.Popen[bytes]:
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home, "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (home / "server.log").open("ab") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", home / "data", *options], stdout=log, stderr=log, cwd=home, **identity
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_ready(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {error}")
            time.sleep(0.1)
        else:
            return
