"""One local child process: its log, a polite end that includes its descendants, and no survivors of a killed parent.

It never decides what runs: see processes.py.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

_FAMILY = "ANDON_FAMILY"
_TAIL_BYTES = 1_500

# NOTE: a background shell job ignores SIGINT, and children inherit that: Prefect's worker would need two SIGTERMs.
_LAUNCH = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"

# Waits for a word on its standard input. When the parent dies without one (SIGKILL), it ends the child's group and, on
# Linux, whatever else carries the family's mark: Prefect starts flow runs in sessions of their own.
_GUARDIAN = """
read -r word && exit 0
kill -INT -- "-$1"; sleep 2; kill -KILL -- "-$1"
for file in $(grep -lsz "^$2\\$" /proc/[0-9]*/environ); do pid=${file#/proc/}; kill -KILL "${pid%/environ}"; done
"""


@dataclass(slots=True, kw_only=True)
class Process:
    """A running child, `started` on the monotonic clock. It writes to `log`; `stop` ends it with its descendants."""

    name: str
    log: Path
    family: str
    started: float
    popen: subprocess.Popen[bytes]
    guardian: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id, also of its group."""
        return self.popen.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def stop(self, *, limit_seconds: float = 8.0) -> None:
        """Ask it to end (SIGINT), then its descendants (SIGTERM), and kill what is left after the limit."""
        deadline = time.monotonic() + limit_seconds
        if self.alive():
            _signal(self.pid, signal.SIGINT)
            _until(lambda: not self.alive(), deadline)
        for pid in _marked(self.family):
            _signal(pid, signal.SIGTERM)
        _until(lambda: not _marked(self.family), deadline)
        self.kill()

    def kill(self) -> None:
        """SIGKILL it and all its descendants, and dismiss the guardian."""
        group = (-self.pid,) if self.alive() else ()  # a reaped number may be somebody else's by now
        for pid in (*group, *_marked(self.family)):
            _signal(pid, signal.SIGKILL)
        self.popen.wait()
        if self.guardian.poll() is None:
            self.guardian.communicate(b"done\n")

    def tail(self) -> str:
        """The last lines of the log."""
        text = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace") if self.log.is_file() else ""
        return "\n".join(text.splitlines()[-12:])


def start(name: str, command: Sequence[str], *, env: Mapping[str, str], logs: Path, cwd: Path | None = None) -> Process:
    """Start `command` in a session of its own, appending what it prints to `logs`/`name`.log."""
    logs.mkdir(parents=True, exist_ok=True)
    log, family = logs / f"{name}.log", uuid4().hex
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, "-S", "-E", "-c", _LAUNCH, *command],
            env={**env, _FAMILY: family},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guardian = subprocess.Popen(  # noqa: S603 - a fixed script
        ["/bin/sh", "-c", _GUARDIAN, "guardian", str(popen.pid), f"{_FAMILY}={family}"],
        env={name: value for name, value in env.items() if name != _FAMILY},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return Process(name=name, log=log, family=family, started=time.monotonic(), popen=popen, guardian=guardian)


def _marked(family: str) -> list[int]:
    """Processes that carry the family's mark in their environment; none where there is no /proc."""
    mark, found = f"{_FAMILY}={family}".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if pid < 0:
            os.killpg(-pid, number)
        else:
            os.kill(pid, number)


def _until(done: Callable[[], bool], deadline: float) -> None:
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
