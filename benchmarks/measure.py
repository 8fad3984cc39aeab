"""Runs a program in a fresh process and says what it cost: wall and CPU seconds, and how much memory it asked for.

Memory is sampled as anonymous memory (RssAnon) of the process and its children: pages of mapped files, which the
kernel may take back at will, are not in it. `max_rss_mb` is the kernel's own high-water mark, which counts them.

NOTE: that mark is handed on when a process starts another one, so whoever measures must be smaller than what it starts.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SAMPLE_SECONDS = 0.015
_SHOWN_ERROR = 600  # characters of a failed program's last words


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. `cpu_s`, `wall_s`: of the work as the program timed it; `process_cpu_s`: with start and imports.

    `found`: what the program printed beside its times; `failed`: why there are none.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    process_cpu_s: float = 0.0
    peak_mb: float = 0.0
    max_rss_mb: float = 0.0
    found: Mapping[str, Any]
    failed: str = ""


def run(command: Sequence[str | Path], *, seconds: float, env: Mapping[str, str] | None = None) -> Run:
    """Run to its end; a program that fails, or takes longer than `seconds`, is a result like others."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        program = subprocess.Popen([str(part) for part in command], stdout=out, stderr=errors, env=env)
        end, peak = time.monotonic() + seconds, 0
        while not (ended := os.wait4(program.pid, os.WNOHANG))[0]:
            peak = max(peak, anonymous_kb(program.pid))
            if time.monotonic() > end:
                program.kill()
            time.sleep(_SAMPLE_SECONDS)
        _, status, used = ended
        program.returncode = os.waitstatus_to_exitcode(status)
        if program.returncode:
            return Run(found={}, failed=f"exit code {program.returncode}: {_text(errors)[-_SHOWN_ERROR:]}")
        told = json.loads(_text(out).strip().rpartition("\n")[2])
    return Run(
        wall_s=told.pop("wall_s"),
        cpu_s=told.pop("cpu_s"),
        process_cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=peak / 1024,
        max_rss_mb=used.ru_maxrss / 1024,
        found=told,
    )


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def anonymous_kb(pid: int, *, below: bool = True) -> int:
    """Of a process and, unless it is asked alone, of all `below` it; 0 for what has ended meanwhile."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        own = sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
        return own + (sum(map(anonymous_kb, children(pid))) if below else 0)
    return 0


def children(pid: int) -> list[int]:
    """The processes that this one has started, and that have not ended."""
    with contextlib.suppress(OSError):
        return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _of_thread(task)]
    return []


def _of_thread(task: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in (task / "children").read_text(encoding="utf-8").split()]
    return []
