"""Loads one server with wrk, and says what it cost: requests a second, latencies, CPU of the server's processes."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).resolve().parent / "wrk.lua"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of wrk. `cpu_us`: of the server's processes, user and system, per request."""

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    requests: int
    failed: int


def load(url: str, bodies: Path, *, pid: int, connections: int, seconds: int, token: str = "") -> Cell:
    """One thread of wrk sends the file's bodies in turn, over so many connections."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("this benchmark needs wrk: apt-get install wrk")
    env = {**os.environ, "ANDON_BODIES": str(bodies), **({"ANDON_BENCH_TOKEN": token} if token else {})}
    command = [
        wrk,
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        str(_SCRIPT),
        url,
    ]
    before = cpu_seconds(pid)
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    used = cpu_seconds(pid) - before
    told = json.loads(done.stdout.strip().rpartition("\n")[2])
    count = max(told["requests"], 1)
    return Cell(
        rps=told["requests"] / told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        cpu_us=used / count * 1e6,
        requests=told["requests"],
        failed=told["failed"] + told["refused"],
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all living ones below it."""
    return sum(_own(each) for each in _tree(pid))


def resident_mb(pid: int) -> float:
    """Resident memory of a process and all below it; pages that they share count for each."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text(encoding="utf-8").split()[1]) for each in _tree(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _own(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text(encoding="utf-8").split():
            yield from _tree(int(child))
