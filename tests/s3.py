"""A private S3 server for tests (moto): a process of its own on a free loopback port, gone afterwards."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from andon.processes import free_port
from storage.address import Address

_READY_SECONDS = 60
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "andon", "AWS_SECRET_ACCESS_KEY": "andon", "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def s3_server() -> Iterator[str]:
    """The server's address, `http://127.0.0.1:PORT`, while inside; so long the environment holds credentials for it."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in _CREDENTIALS.items():
                environment.setenv(name, value)
            _wait_ready(server, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def create_bucket(endpoint: str) -> Address:
    """A new empty bucket on the server."""
    name = f"andon-{secrets.token_hex(6)}"
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    return Address(f"s3://{name}")


def _wait_ready(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            httpx.get(f"{url}/moto-api/", timeout=5)
        except httpx.TransportError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"moto did not start: {error}")
            time.sleep(0.1)
        else:
            return
