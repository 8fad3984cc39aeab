"""Champions swapped under full load: what callers notice, and how soon all workers serve a new one.

A scorer with two workers (log and tokens on), models of 500 and 2,000 trees in MLflow, promotions by the ledger. Two
phases of the same length under the same load: without swaps (half of the time each size), and with them. Into the
second fall a champion whose bytes are not the promoted ones, the SIGKILL of a worker, and a ledger that is away.

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
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.show import CONSOLE
from benchmarks.swap_client import COLUMNS
from benchmarks.swap_figures import Phase, failed, mixed, p99_at_shares, shares
from benchmarks.swap_world import NAME, TOKEN, Home, Promotion, workers_of, wrong_answers

TREES = (500, 2_000, 500, 2_000)  # four versions, so that the one before is never the one after
_TURN = 500  # requests of a connection, before it is opened anew: so load finds its way to a worker that starts
_REFUSED = re.compile(rf"{NAME}: version \d+ refused")
_AROUND_SWAP_SECONDS = 1.0  # left out of the control on both sides of its only swap
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


def main(plan: Plan, folder: Path) -> dict[str, Any]:
    """Both phases, and what is made of them."""
    CONSOLE.print(f"training {len(plan.trees)} models")
    home = Home(folder, plan.trees, rows=plan.rows)
    with home.scorer(plan.workers) as (port, pid):
        home.swap(home.models[0])
        with load(plan, home, port, "warm"):
            time.sleep(min(3.0, plan.seconds / 10))
        CONSOLE.print(f"{plan.seconds:.0f} s of load without swaps")
        with load(plan, home, port, "control"):
            between = _control(plan, home)
        CONSOLE.print(f"{plan.seconds:.0f} s of load with {plan.swaps} swaps")
        first = len(home.promotions)
        with load(plan, home, port, "swaps"):
            events = _swaps(plan, home, pid)
    control, swapped = (Phase.read(folder / f"{name}.npy", COLUMNS) for name in ("control", "swaps"))
    control = control.without(between.asked - _AROUND_SWAP_SECONDS, between.done + _AROUND_SWAP_SECONDS)
    wrong = sum(wrong_answers(folder / f"{name}.json", home.models) for name in ("control", "swaps"))
    told = json.loads((folder / "swaps.told").read_text(encoding="utf-8"))
    found = answer(control, swapped, home.promotions[first - 1 :], killed=events["killed"])
    return {**found, "wrong_answers": wrong + told["contradictions"], **events, "client_cpu_s": round(told["cpu_s"], 1)}


@contextmanager
def load(plan: Plan, home: Home, port: int, name: str) -> Iterator[None]:
    """Full load by a process of its own, as long as the block lasts."""
    out = home.settings.home / f"{name}.npy"
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


def _control(plan: Plan, home: Home) -> Promotion:
    """Half of the time each size; returns the only swap."""
    time.sleep(plan.seconds / 2)
    promotion = home.swap(home.models[1])
    time.sleep(plan.seconds / 2)
    return promotion


def _swaps(plan: Plan, home: Home, pid: int) -> dict[str, Any]:
    """All swaps, evenly spaced, with the accidents between them; returns what they were."""
    period, began, events = plan.seconds / plan.swaps, time.monotonic(), {"killed": 0.0}
    for number in range(plan.swaps):
        time.sleep(max(0.0, began + (number + 0.5) * period - time.monotonic()))
        if number == plan.swaps // 4:
            events["refused_at"] = home.promote(home.models[0], sha256="0" * 64)
            home.await_line(_REFUSED)
        home.swap(home.models[(number + 2) % len(home.models)])
        if number == plan.swaps // 2:
            events["killed"] = time.time()
            os.kill(workers_of(pid)[0], signal.SIGKILL)
        if number == plan.swaps * 3 // 4:
            with home.without_ledger():
                time.sleep(min(_AWAY_SECONDS, period / 2))
    time.sleep(max(0.0, began + plan.seconds - time.monotonic()))
    return events


def answer(control: Phase, swapped: Phase, promotions: list[Promotion], *, killed: float) -> dict[str, Any]:
    """The figures. `promotions`: the one that served at the beginning, and all of the phase with swaps."""
    weights = shares(swapped)
    p99, calm = p99_at_shares(swapped, weights), p99_at_shares(control, weights)
    waits = [one.seconds for one in promotions[1:]]
    cut = swapped.tries > 1
    return {
        "benchmark": "swap",
        "requests": swapped.count,
        "failed": failed(swapped),
        "retried_after_kill": int(cut.sum()),
        "retried_without_a_kill": int((cut & ((swapped.sent < killed - 1) | (swapped.sent > killed + 1))).sum()),
        "p99_ratio": round(p99 / calm, 2),
        "p99_ms": round(p99 * 1e3, 2),
        "p99_ms_control": round(calm * 1e3, 2),
        "p50_ms": round(float(np.median(swapped.seconds)) * 1e3, 2),
        "longest_ms": round(float(swapped.seconds.max()) * 1e3, 1),
        "longest_ms_control": round(float(control.seconds.max()) * 1e3, 1),
        "swaps": len(waits),
        "seconds_promotion_to_all_workers": round(max(waits), 2),
        "seconds_promotion_to_all_workers_median": round(median(waits), 2),
        "mixed_version_answers": mixed(swapped, promotions),
        "control": {"requests": control.count, "failed": failed(control)},
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
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="keeps what was measured")
    parser.add_argument("--quick", action="store_true", help="a trial: small models, a few seconds")
    return parser.parse_args()


if __name__ == "__main__":
    options = _options()
    quick = {"seconds": 8.0, "swaps": 4, "rows": 2_000, "trees": (20, 60, 20, 60)}
    sizes: dict[str, Any] = {"seconds": options.seconds, "swaps": options.swaps, "rows": 30_000, "trees": TREES}
    plan = Plan(workers=options.workers, connections=options.connections, **(quick if options.quick else sizes))
    with tempfile.TemporaryDirectory() as scratch:
        told = main(plan, (options.folder or Path(scratch)) / "home")
    show(told)
    print(json.dumps({**told, "load_average": os.getloadavg(), "cpus": os.cpu_count()}))
