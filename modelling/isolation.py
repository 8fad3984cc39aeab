"""Training in a process of its own, with limits: what crashes in native code there is an error here, no dead worker.

The child imports lightgbm (0.3 s, without what it does not need of it); its parent need not.
"""

import os
import pickle
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from modelling.disk import no_room, room_in
from modelling.isolation_child import JOB, LENGTH_BYTES, NO_ROOM, OUTCOME, WORDS
from modelling.parcels import pack, unpack
from validation.errors import TrainingFailedError

Result = TypeVar("Result")
Progress = Callable[..., object]

_CHILD = "modelling.isolation_child"
# No hundred lines that hide what was said, and no threads that nobody needs (0.2 s of CPU, and room for their stacks).
_ENVIRONMENT = {"RUST_BACKTRACE": "0", "OPENBLAS_NUM_THREADS": "1"}
# Unless the user says otherwise: OpenMP's threads spin while they wait for each other, and where processors are shared
# they take the very time of those for which they wait (7,904 rows, 120 trees: 0.2 s in place of 100). Models are the
# same.
_UNLESS_SET = {"OMP_WAIT_POLICY": "passive"}
_LONGEST_WORDS = 300
_LAST_BYTES = 4_000
_LOOK_SECONDS = 0.5
_FATAL = "[Fatal]"  # LightGBM's own last word; after it, the C++ runtime's says nothing
# What Python, Rust, C++, OpenBLAS and the C library say when they get no memory.
_NO_MEMORY = re.compile(
    r"MemoryError|memory allocation of|bad_alloc|Cannot allocate memory|can't start new thread"
    r"|Memory allocation still failed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most `memory_mb` that the child may ask for (0: no limit of ours), and the `seconds` after which it is killed."""

    seconds: float
    memory_mb: int = 0


def isolated(
    work: Callable[..., Result],
    /,
    *args: Any,
    limits: Limits,
    progress: Progress | None = None,
    **kwargs: Any,
) -> Result:
    """`work(*args, **kwargs)` in a fresh process; what it raises is raised here, and its end without an answer (a
    signal, an abort in native code, no memory, no time) is a TrainingFailedError that says which.

    `work`: a function of a module of ours; arguments and result can be pickled. With `progress`, `work` is given a
    `progress` of its own, whose calls are repeated here while it goes on. A library's own error comes as a
    TrainingFailedError with its words. Nothing outlives the call, and the child does not outlive this process.
    """
    with _folder() as place:
        folder = Path(place)
        pack((work, args, kwargs, progress is not None), folder, JOB)
        with _child(folder, limits) as (process, told):
            _listen(process, told, progress, outcome=folder / OUTCOME, limits=limits)
            code = process.wait()
        if not (folder / OUTCOME).exists():
            raise TrainingFailedError(
                no_room(folder.parent) if code == NO_ROOM else _last(code, _words(folder), limits)
            )
        kind, value, trace = unpack(folder, OUTCOME)
    if kind == "done":
        return cast("Result", value)
    if isinstance(value, MemoryError) or _NO_MEMORY.search(str(value)):
        raise TrainingFailedError(_without_memory(limits))
    value.add_note(f"In the training process:\n{trace}")
    raise value


def _folder() -> "tempfile.TemporaryDirectory[str]":
    with room_in(Path(tempfile.gettempdir())):
        return tempfile.TemporaryDirectory(prefix="andon-training-", ignore_cleanup_errors=True)


@contextmanager
def _child(folder: Path, limits: Limits) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, and the end of the pipe from which its progress is read; both are gone afterwards."""
    told, tell = os.pipe()
    # -P: a file of the working directory must not shadow a module; -u: an abort loses nothing that was said before.
    command = [
        sys.executable,
        "-P",
        "-u",
        "-m",
        _CHILD,
        str(folder),
        str(tell),
        str(limits.memory_mb),
        str(os.getpid()),
    ]
    try:
        with room_in(folder.parent), (folder / WORDS).open("wb") as words:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,  # never written to: its end tells the child that this process is gone
                stdout=words,
                stderr=words,
                pass_fds=(tell,),
                env={**_UNLESS_SET, **os.environ, **_ENVIRONMENT},
                start_new_session=True,  # Ctrl-C is ours to answer
            )
    finally:
        os.close(tell)
    try:
        yield process, told
    finally:
        os.close(told)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what the job started, when it has ended itself
        process.communicate()


def _listen(
    process: subprocess.Popen[bytes], told: int, progress: Progress | None, *, outcome: Path, limits: Limits
) -> None:
    """Repeat what the child tells, until it has ended or is done; TrainingFailedError when its time is over first.

    However long `progress` takes, what is done in time counts; what is left to be told after the time is not told.
    NOTE: what the job started may hold the pipe open when the child itself has ended.
    """
    buffer, until = bytearray(), time.monotonic() + limits.seconds
    while True:
        left, ended = until - time.monotonic(), outcome.exists() or process.poll() is not None
        if left <= 0 and ended:
            return
        if left <= 0:
            raise TrainingFailedError(
                f"it was not done within {limits.seconds:g} s and was ended; "
                'allow more, Training(deadline="2h"), or learn from fewer rows, Retrain(train="90d")'
            )
        if not select.select([told], [], [], 0.0 if ended else min(left, _LOOK_SECONDS))[0]:
            if ended:
                return
            continue
        some = os.read(told, 2**16)
        if not some:
            return
        buffer += some
        for args, named in _messages(buffer):
            if progress is not None and time.monotonic() < until:
                progress(*args, **named)


def _messages(buffer: bytearray) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The whole messages of the buffer, taken out of it."""
    while len(buffer) >= LENGTH_BYTES:
        end = LENGTH_BYTES + int.from_bytes(buffer[:LENGTH_BYTES], "big")
        if len(buffer) < end:
            return
        message = bytes(buffer[LENGTH_BYTES:end])
        del buffer[:end]
        yield pickle.loads(message)  # noqa: S301 - our own child's


def _words(folder: Path) -> str:
    """What the child printed last."""
    return (folder / WORDS).read_bytes()[-_LAST_BYTES:].decode(errors="replace").strip()


def _last(code: int, words: str, limits: Limits) -> str:
    """Why there is no answer, in a sentence with a remedy."""
    if _NO_MEMORY.search(words):
        return _without_memory(limits)
    if code == -signal.SIGKILL:
        return (
            "its process was killed (SIGKILL): the machine had no memory left, or somebody ended it; "
            'free memory, or learn from fewer rows, Retrain(train="90d")'
        )
    lines = words.splitlines() or ["nothing was said"]
    said = next((line for line in reversed(lines) if _FATAL in line), lines[-1])[:_LONGEST_WORDS]
    remedy = "look into the inputs that features makes, and the libraries' versions"
    if limits.memory_mb and code < 0:  # much native code does not look whether it got the memory that it asked for
        room = f"it is allowed {limits.memory_mb:,} MB: allow more, Training(memory_mb=...)"
        remedy = f"{room}; if that does not help, {remedy}"
    return f"its process {_ending(code)}: {said}; {remedy}"


def _without_memory(limits: Limits) -> str:
    if not limits.memory_mb:
        return 'the machine has not enough memory for it; free some, or learn from fewer rows, Retrain(train="90d")'
    return (
        f"it asked for more memory than the {limits.memory_mb:,} MB that it is allowed; "
        'allow more, Training(memory_mb=...), or learn from fewer rows, Retrain(train="90d")'
    )


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code} and no answer"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
