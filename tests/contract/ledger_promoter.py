"""Many promoters at one ledger: `python -m tests.contract.ledger_promoter --rounds 1000` on a PostgreSQL of its own.

4 processes with 4 threads each, every thread with an engine and connections of its own. In each round all 16 wait for
each other, and then try to become champion over the same epoch.
"""

import argparse
import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from statistics import median, quantiles
from threading import BrokenBarrierError

from registry import chain
from registry.ledger import Change
from registry.sql import SqlLedger, open_ledger
from tests.contract.ledger_world import KEY, MONDAY
from tests.postgres import create_database, postgres_server
from validation.errors import StaleEpochError

PROCESSES, THREADS = 4, 4
_PATIENCE_SECONDS = 60.0
_TOLD = re.compile(
    r"'flights' is at epoch (\d+), expected (\d+): version (\S+) was promoted( over version \S+)? by (promoter-\d\.\d) "
    r"at .* UTC \(a gain of 2 %\); look at it and decide again: andon history flights"
)

_start: Barrier


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One promoter's try: `told` is the message of its StaleEpochError, "" when it won."""

    round: int
    promoter: str
    seconds: float
    told: str


def race(url: str, *, rounds: int) -> list[Try]:
    """All tries of all promoters."""
    context = get_context("spawn")
    start = context.Barrier(PROCESSES * THREADS)
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_keep, initargs=(start,)) as pool:
        running = [pool.submit(_process, url, number, rounds) for number in range(PROCESSES)]
        for defect in (future.exception() for future in running):
            if defect is not None and not isinstance(defect, BrokenBarrierError):
                raise defect
        return [made for future in running for made in future.result()]


def check(url: str, tries: Sequence[Try], *, rounds: int) -> None:
    """AssertionError unless each round has one winner, all others were told, and the ledger is whole."""
    ledger = open_ledger(url, key=KEY)
    champions, records = ledger.champions("flights"), ledger.verdicts()
    won = {made.round: made.promoter for made in tries if not made.told}
    assert len(tries) == rounds * PROCESSES * THREADS
    assert [made.round for made in sorted(tries, key=lambda made: made.round) if not made.told] == list(range(rounds))
    assert [champion.epoch for champion in champions] == list(range(1, rounds + 1))
    assert [champion.change.actor for champion in champions] == [won[number] for number in range(rounds)]
    assert len(records) == rounds
    assert chain.verify(records) is None
    for made in tries:
        match, winner = _TOLD.fullmatch(made.told), won[made.round]
        assert match or not made.told, made.told
        assert match is None or (int(match[1]), int(match[2])) == (made.round + 1, made.round)
        assert match is None or (match[3], match[5]) == (f"{made.round}-{winner}", winner), "who won is told wrongly"


def asked(version: str, *, by: str) -> Change:
    """A promotion of this version."""
    return Change(
        pipeline="flights",
        kind="promotion",
        version=version,
        bundle_sha256="ab" * 32,
        trained_until=MONDAY,
        why="a gain of 2 %",
        data_time=MONDAY,
        actor=by,
    )


def _keep(start: Barrier) -> None:
    """Barriers are handed to processes at their start only."""
    global _start  # noqa: PLW0603
    _start = start


def _process(url: str, number: int, rounds: int) -> list[Try]:
    with ThreadPoolExecutor(THREADS) as pool:
        names = [f"promoter-{number}.{thread}" for thread in range(THREADS)]
        return [made for tries in pool.map(lambda name: _promoter(url, name, rounds), names) for made in tries]


def _promoter(url: str, name: str, rounds: int) -> list[Try]:
    try:
        ledger = open_ledger(url, key=KEY)
        assert isinstance(ledger, SqlLedger)
        tries = [_try(ledger, name, number) for number in range(rounds)]
        ledger.dispose()
    except BaseException:
        _start.abort()  # the others need not wait
        raise
    return tries


def _try(ledger: SqlLedger, name: str, number: int) -> Try:
    change = asked(f"{number}-{name}", by=name)
    told = ""
    _start.wait(_PATIENCE_SECONDS)
    began = time.perf_counter()
    try:
        ledger.crown(change, expected_epoch=number)
    except StaleEpochError as error:
        told = str(error)
    return Try(round=number, promoter=name, seconds=time.perf_counter() - began, told=told)


def main() -> None:
    """Race on a fresh PostgreSQL; prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    with postgres_server() as server:
        url = create_database(server)
        began = time.perf_counter()
        tries = race(url, rounds=rounds)
        took = time.perf_counter() - began
        check(url, tries, rounds=rounds)
    waits = [made.seconds * 1e3 for made in tries]
    winners = len({made.promoter for made in tries if not made.told})
    told = {
        "rounds": rounds, "promoters": PROCESSES * THREADS, "tries": len(tries), "wins": rounds, "winners": winners,
        "seconds": round(took, 1), "try_median_ms": round(median(waits), 1),
        "try_p99_ms": round(quantiles(waits, n=100)[-1], 1),
    }  # fmt: skip
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
