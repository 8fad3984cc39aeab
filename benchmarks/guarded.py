"""A process that is asked things and may die or hang in answering; the next question finds a new one."""

import contextlib
import json
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TRACE = re.compile(r"\s+(\d+:|at |File |[\^~]+)|stack backtrace|note: |Stack trace")
_LINES_SHOWN, _SHOWN = 2, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What it said, line by line; `ended`: "", "hang", or "crash (SIGABRT)" when it did not say all, and its `words` on
    stderr then.
    """

    said: tuple[dict[str, Any], ...]
    ended: str = ""
    words: str = ""


class Worker:
    """`command` reads a question as a line of JSON, and answers with `lines` lines within `seconds`."""

    def __init__(self, command: Sequence[str | Path], *, lines: int, seconds: float) -> None:
        self._command, self._lines, self._seconds = [str(part) for part in command], lines, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker lives

    def ask(self, question: dict[str, Any]) -> Answer:
        """The answer; a process that died or hung in giving it is gone."""
        process = self._started()
        assert process.stdin is not None, "opened as a pipe"  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        said: list[dict[str, Any]] = []
        end = time.monotonic() + self._seconds
        while len(said) < self._lines:
            line = self._line(process, end)
            if line is None:
                return Answer(said=tuple(said), ended=self._ended(process, end), words=self._words())
            said.append(json.loads(line))
        return Answer(said=tuple(said))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._forget(self._process)
        self._errors.close()

    def _forget(self, process: "subprocess.Popen[bytes]") -> int:
        """Wait for its end, and return its exit code."""
        with process:  # closes the pipes
            code = process.wait()
        self._process, self._unread = None, b""
        return code

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._errors.seek(0)
            self._errors.truncate()
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
            self._process = subprocess.Popen(self._command, bufsize=0, **pipes)  # type: ignore[call-overload]
        return self._process

    def _line(self, process: "subprocess.Popen[bytes]", end: float) -> bytes | None:
        assert process.stdout is not None, "opened as a pipe"  # noqa: S101
        while b"\n" not in self._unread:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready or not (got := process.stdout.read(1 << 16)):
                return None
            self._unread += got
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _ended(self, process: "subprocess.Popen[bytes]", end: float) -> str:
        hangs = time.monotonic() >= end
        if hangs:
            process.kill()
        code = self._forget(process)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return "hang" if hangs else f"crash ({name})"

    def _words(self) -> str:
        """The last lines of what it said, without traces."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        told = [line.strip() for line in lines if line.strip() and not _TRACE.match(line)]
        return "; ".join(told[-_LINES_SHOWN:])[:_SHOWN]
