"""A worker that starts while the token file is gone, as a real process."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from serving.http.auth import Auth
from serving.messages import Listen, Listening, Started, Tokens, line, to_supervisor, to_worker
from serving.options import WorkerOptions

TOKEN = "old-token-of-a-good-length"  # noqa: S105


@contextmanager
def worker(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], socket.socket, str]]:
    """The process, the supervisor's end of its link, and its address."""
    env = {**os.environ, "ANDON_HOME": str(tmp_path / "home"), "ANDON_SCORER_TOKEN_FILE": str(tmp_path / "tokens")}
    options = msgspec.json.encode(WorkerOptions(pipelines=["trips"], limit_connections=5)).decode()
    ours, theirs = socket.socketpair()
    with ours, socket.create_server(("127.0.0.1", 0)) as listener:
        with theirs:
            fds = listener.fileno(), theirs.fileno()
            command = [sys.executable, "-m", "serving.worker", *map(str, fds), options]
            process = subprocess.Popen(command, env=env, pass_fds=fds, stderr=subprocess.PIPE, text=True)
        ours.settimeout(60)
        with process:
            try:
                yield process, ours, f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                process.kill()


def test_it_lets_in_who_had_a_good_token_and_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(TOKEN)
    digests = Auth(file=file).of_file
    file.unlink()
    with worker(tmp_path) as (_, link, address), link.makefile("rb") as said:
        link.sendall(line(Tokens(digests)) + line(Listen()))
        assert [to_supervisor(said.readline()) for _ in range(2)] == [Started(), Listening()]
        asked = [httpx.get(f"{address}/version", headers={"authorization": f"Bearer {t}"}) for t in (TOKEN, TOKEN[1:])]
        assert [answer.status_code for answer in asked] == [200, 401]


@pytest.mark.parametrize("told", [b"", line(Tokens(()))])
def test_without_any_token_it_ends_with_one_sentence(tmp_path: Path, told: bytes) -> None:
    with worker(tmp_path) as (process, link, _):
        link.sendall(told + line(Listen()))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    why = f"the token file {tmp_path}/tokens cannot be read: No such file or directory; put it back"
    assert errors == f"worker {process.pid}: {why}\n"


def test_digests_are_told_as_they_are_and_stand_in_no_log() -> None:
    message = Tokens((b"\x00\xff" * 16, b"a" * 32))
    assert to_worker(line(message)) == message
    assert repr(message) == "Tokens(2)"
