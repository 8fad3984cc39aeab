"""The swap benchmark's own parts: what it counts, and what its client does when a connection breaks."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.swap_client import COLUMNS
from benchmarks.swap_figures import Phase, failed, mixed, p99_at_shares, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    version: int
    asked: float
    done: float


def phase(*rows: tuple[float, float, int], status: int = 200) -> Phase:
    """Requests as (sent, answered, version)."""
    table = np.array(rows, dtype=float)
    full, ones = np.full(len(rows), float(status)), np.ones(len(rows))
    return Phase(sent=table[:, 0], answered=table[:, 1], version=table[:, 2], status=full, tries=ones)


STORY = [Promoted(version=1, asked=0, done=1), Promoted(version=2, asked=10, done=12)]


@pytest.mark.parametrize(
    ("request_", "wrong"),
    [
        ((5.0, 6.0, 1), 0),
        ((5.0, 6.0, 2), 1),  # nobody had named it
        ((9.0, 10.5, 2), 0),
        ((11.0, 11.5, 1), 0),  # not all workers had acknowledged
        ((11.9, 12.5, 1), 0),  # it was sent before
        ((12.0, 12.5, 1), 1),
        ((12.0, 12.5, 2), 0),
    ],
)
def test_an_old_version_may_answer_what_was_sent_before_the_last_acknowledgement(
    request_: tuple[float, float, int], wrong: int
) -> None:
    assert mixed(phase(request_), STORY) == wrong


def test_a_calm_phase_is_weighted_by_the_sizes_that_answered_in_the_busy_one() -> None:
    quick = [(0.0, 0.001, 1)] * 900
    slow = [(0.0, 0.1, 2)] * 100
    calm = phase(*quick, *slow)
    assert p99_at_shares(calm, {1: 0.9, 2: 0.1}) == 0.1
    assert p99_at_shares(calm, {1: 0.995, 2: 0.005}) == 0.001
    assert p99_at_shares(calm, {3: 1.0}) == 0.001, "versions 1 and 3 are of the same size"
    assert shares(calm) == {1: 0.9, 2: 0.1}
    with pytest.raises(ValueError, match="has answered nothing"):
        p99_at_shares(phase(*quick), {2: 1.0})


def test_failures_are_all_that_is_not_200_and_spans_hold_what_was_sent_in_them() -> None:
    assert failed(phase((0, 1, 1), (0, 1, 1))) == 0
    assert failed(phase((0, 1, 0), status=503)) == failed(phase((0, 1, 0), status=0)) == 1
    assert phase((0, 9, 1), (1, 2, 1), (2, 3, 1), (5, 6, 1)).within([(1, 2), (5, 9)]).sent.tolist() == [1, 5]


async def _asked(folder: Path, *, cut: set[int]) -> Phase:
    """The client's requests to a server that cuts the connection at those of these numbers; after 30 it is ended."""
    count, enough = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            count += 1
            if count in cut:
                break
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-andon-model-version: 7\r\n\r\n{}")
            if count >= 30:
                enough.set()
        writer.close()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    (folder / "bodies").write_text("[1]\n[2]\n")
    plan = {
        "host": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "path": "/", "token": "t", "turn": 8,
        "connections": 1, "bodies": str(folder / "bodies"), "out": str(folder / "out.npy"),
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.swap_client", json.dumps(plan)]
    client = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    await asyncio.wait_for(enough.wait(), 30)
    said, _ = await client.communicate(b"end\n")
    server.close()
    assert json.loads(said)["contradictions"] == 0
    return Phase.read(folder / "out.npy", COLUMNS)


def test_a_request_whose_connection_breaks_is_sent_once_more_and_then_has_failed(tmp_path: Path) -> None:
    got = asyncio.run(_asked(tmp_path, cut={3, 10, 11}))
    assert got.tries[:9].tolist() == [1, 1, 2, 1, 1, 1, 1, 1, 2]
    assert (failed(got), got.status[8]) == (1, 0)
