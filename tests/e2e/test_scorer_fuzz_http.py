"""Thousands of broken bodies by HTTP, pipelined, to a real scorer: it answers as its decoder would, and lives on."""

import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pytest

from serving.requests.decoding import RequestError, RowsDecoder
from tests.e2e.mutation import bodies
from tests.e2e.strict_reading import Contract
from tests.flows.test_scorer import bundles, status, until, world
from tests.trips_world import World, scorer, trips

__all__ = ["bundles", "world"]  # fixtures

BODIES, AT_ONCE = 10_000, 12
MOST_GROWTH_MB = 24.0
CONTRACT = Contract(trips(0).schema, required=("trip_id", "at"))


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def resident_mb(pids: Sequence[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def answers(address: tuple[str, int], asked: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Send all at once on one connection, then read what comes back: status and body of each, in order."""
    with socket.create_connection(address, timeout=30) as connection, connection.makefile("rb") as stream:
        head = b"POST /trips/invocations HTTP/1.1\r\nhost: scorer\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(b"".join(head % len(body) + body for body in asked))
        for _ in asked:
            yield _answer(stream)


def _answer(stream: BinaryIO) -> tuple[int, bytes]:
    first = stream.readline().split()
    assert first, "the scorer closed the connection before it had answered"
    length = 0
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
        assert (name.lower(), value.strip()) != (b"connection", b"close")
    return int(first[1]), stream.read(length)


def expected(decoder: RowsDecoder, body: bytes) -> int:
    try:
        decoder.decode(body)
    except RequestError as error:
        return error.status
    return 200


@pytest.mark.slow
def test_a_real_scorer_answers_broken_bodies_as_its_decoder_would_and_does_not_grow(world: World) -> None:
    decoder = RowsDecoder(CONTRACT.schema, required=CONTRACT.required)
    world.crown(1)
    with scorer(world) as (client, process):
        until(lambda: status(client) == "ready")
        address, pids, half = (client.base_url.host, client.base_url.port or 0), family(process.pid), 0.0
        source, seen = bodies(CONTRACT, seed=8, count=BODIES), Counter[int]()
        while asked := list(islice(source, AT_ONCE)):
            told = list(answers(address, asked))
            for body, (code, answer) in zip(asked, told, strict=True):
                assert code == expected(decoder, body), (body[:2000], answer[:500])
                seen[code] += 1
            if half == 0.0 and seen.total() >= BODIES / 2:
                half = resident_mb(pids)
        assert resident_mb(pids) - half < MOST_GROWTH_MB
        assert (process.poll(), family(process.pid)) == (None, pids), "a worker died"
        assert status(client) == "ready"
        assert client.get("/trips/version").json()["log"]["dropped"] == 0
    assert min(seen[200], seen[400], seen[422]) > BODIES // 10
    assert set(seen) == {200, 400, 422}
