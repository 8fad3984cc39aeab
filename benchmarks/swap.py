"""Champions swapped under full load: what callers notice, and how soon all workers serve a new one.

A scorer with two workers (log and tokens on), models of 500 and 2,000 trees in MLflow, promotions by the ledger. Under
one load that never pauses, pieces without swaps (half of the time each size) and pieces with swaps take turns, so that
both see the same machine. Into the pieces with swaps fall a champion whose bytes are not the promoted ones, the SIGKILL
of a worker, and a ledger that is away.

python -m benchmarks.swap [--seconds 60] [--swaps 20] [--workers 2] [--connections 16] [--quick]. Prints JSON.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.show import CONSOLE
from benchmarks.swap_client import COLUMNS
from benchmarks.swap_figures import Phase, failed, mixed, p99_at_shares, shares
from benchmarks.swap_world import NAME, TOKEN, Home, Promotion, workers_of, wrong_answers

TREES = (500, 2_000, 500, 2_000)  # four versions, so that the one before is never the one after
_TURN = 500  # requests of a connection, before it is opened anew: so load finds its way to a worker that starts
_REFUSED = re.compile(rf"{NAME}: version \d+ refused")
_AFTER_SWAP_SECONDS = 1.0  # after a swap, before a span without swaps begins
_SWAPS_OF_A_PIECE = 2
_AWAY_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run."""

    seconds: float
    swaps: int
    workers: int
    connections: int
    rows: int
    trees: tuple[int, ...]

    @property
    def pieces(self) -> int:
        """With swaps, and as many without; at least 3, since three accidents do not fall into one."""
        return max(3, self.swaps // _SWAPS_OF_A_PIECE)


@dataclass(slots=True)
class Story:
    """What happened when, on the wall clock: spans without and with swaps, all promotions, the accidents."""

    calm: list[tuple[float, float]] = field(default_factory=list)
    busy: list[tuple[float, float]] = field(default_factory=list)
    swaps: list[Promotion] = field(default_factory=list)
    refused: float = 0.0
    killed: float = 0.0
    away: float = 0.0


def main(plan: Plan, folder: Path) -> dict[str, Any]:
    """The whole run, and what is made of it."""
    CONSOLE.print(f"training {len(plan.trees)} models")
    home, story = Home(folder, plan.trees, rows=plan.rows), Story()
    with home.scorer(plan.workers) as (port, pid):
        home.swap(home.models[0])
        CONSOLE.print(f"{2 * plan.seconds:.0f} s of load, half of them with {plan.swaps} swaps")
        with load(plan, home, port):
            time.sleep(plan.seconds / 20)
            for piece in range(plan.pieces):
                _calm(plan, home, story)
                _busy(plan, home, story, piece, pid)
    phase, told = Phase.read(folder / "load.npy", COLUMNS), json.loads((folder / "load.told").read_text("utf-8"))
    wrong = wrong_answers(folder / "load.json", home.models) + told["contradictions"]
    found = answer(phase, story, home.promotions)
    return {**found, "wrong_answers": wrong, "client_cpu_s": round(told["cpu_s"], 1)}


@contextmanager
def load(plan: Plan, home: Home, port: int) -> Iterator[None]:
    """Full load by a process of its own, as long as the block lasts."""
    out = home.settings.home / "load.npy"
    told = {
        "host": "127.0.0.1", "port": port, "path": f"/{NAME}/invocations", "token": TOKEN, "turn": _TURN,
        "connections": plan.connections, "bodies": str(home.bodies), "out": str(out),
    }  # fmt: skip
    client = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.swap_client", json.dumps(told)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield
        said, _ = client.communicate("end\n", timeout=120)
        out.with_suffix(".told").write_text(said, encoding="utf-8")
    finally:
        client.kill()
        client.wait()


def _calm(plan: Plan, home: Home, story: Story) -> None:
    """A piece without swaps, but for the one between the sizes, around which nothing counts."""
    for number in (0, 1):
        home.swap(home.models[number])
        time.sleep(_AFTER_SWAP_SECONDS)
        began = time.time()
        time.sleep(plan.seconds / plan.pieces / 2)
        story.calm.append((began, time.time()))


def _busy(plan: Plan, home: Home, story: Story, piece: int, pid: int) -> None:
    """A piece with its share of the swaps, evenly spaced, and of the accidents between them."""
    period, began, since = plan.seconds / plan.swaps, time.monotonic(), time.time()
    for number in range(_SWAPS_OF_A_PIECE):
        time.sleep(max(0.0, began + (number + 0.5) * period - time.monotonic()))
        if (piece, number) == (1, 0):
            story.refused = home.promote(home.models[0], sha256="0" * 64)
            home.await_line(_REFUSED)
        story.swaps.append(home.swap(home.models[(number + 2) % len(home.models)]))
        if (piece, number) == (plan.pieces // 2, 0):
            story.killed = time.time()
            os.kill(workers_of(pid)[0], signal.SIGKILL)
        if (piece, number) == (plan.pieces - 1, 0):
            story.away = time.time()
            with home.without_ledger():
                time.sleep(min(_AWAY_SECONDS, period / 2))
    time.sleep(max(0.0, began + _SWAPS_OF_A_PIECE * period - time.monotonic()))
    story.busy.append((since, time.time()))


def answer(phase: Phase, story: Story, promotions: list[Promotion]) -> dict[str, Any]:
    """The figures; `promotions`: all of them in order, the one before the load included."""
    busy, calm = phase.within(story.busy), phase.within(story.calm)
    weights = shares(busy)
    p99, p99_calm = p99_at_shares(busy, weights), p99_at_shares(calm, weights)
    waits, cut = [one.seconds for one in story.swaps], phase.tries > 1
    of_the_kill = (phase.sent > story.killed - 1) & (phase.sent < story.killed + 1)
    return {
        "benchmark": "swap",
        "requests": busy.count,
        "requests_without_swaps": calm.count,
        "failed": failed(phase),
        "retried_after_kill": int((cut & of_the_kill).sum()),
        "retried_otherwise": int((cut & ~of_the_kill).sum()),
        "p99_ratio": round(p99 / p99_calm, 2),
        "p99_ms": round(p99 * 1e3, 2),
        "p99_ms_without_swaps": round(p99_calm * 1e3, 2),
        "longest_ms": round(float(busy.seconds.max()) * 1e3, 1),
        "longest_ms_without_swaps": round(float(calm.seconds.max()) * 1e3, 1),
        "swaps": len(waits),
        "seconds_promotion_to_all_workers": round(max(waits), 2),
        "seconds_promotion_to_all_workers_median": round(median(waits), 2),
        "mixed_version_answers": mixed(phase, promotions),
        "accidents": {"refused": bool(story.refused), "killed": bool(story.killed), "ledger_away": bool(story.away)},
        "requests_by_version": {str(version): round(share, 3) for version, share in weights.items()},
    }


def show(found: dict[str, Any]) -> None:
    """The table, for people."""
    table = Table("swapped under load", "", title=f"{found['requests']:,} requests, {found['swaps']} swaps")
    for name, value in found.items():
        table.add_row(name, str(value))
    CONSOLE.print(table)
    CONSOLE.print(
        f"{found['retried_after_kill']} requests were under way in the worker that was killed: nobody can answer them; "
        "their client sent each once more, on a new connection, as HTTP libraries do. Not counted as failed."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="with swaps, and as many without")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="keeps what was measured")
    parser.add_argument("--quick", action="store_true", help="a trial: small models, a few seconds")
    return parser.parse_args()


if __name__ == "__main__":
    options = _options()
    quick = {"seconds": 8.0, "swaps": 8, "rows": 2_000, "trees": (20, 60, 20, 60)}
    sizes: dict[str, Any] = {"seconds": options.seconds, "swaps": options.swaps, "rows": 30_000, "trees": TREES}
    plan = Plan(workers=options.workers, connections=options.connections, **(quick if options.quick else sizes))
    with tempfile.TemporaryDirectory() as scratch:
        told = main(plan, (options.folder or Path(scratch)) / "home")
    show(told)
    print(json.dumps({**told, "load_average": os.getloadavg(), "cpus": os.cpu_count()}))
