"""The training process: `python -P -m modelling.isolation_child FOLDER`, started by modelling/isolation.py.

It bounds its own memory, is the first that a kernel without memory ends, and ends with its parent: standard input, on
which nothing ever comes, tells it that the parent lives. FOLDER holds the job, and in the end the outcome.
"""

import os
import resource
import select
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

JOB, OUTCOME, WORDS = "job", "outcome", "words"
LENGTH_BYTES = 4
NO_ROOM = 28  # the code with which it ends where the outcome cannot be written: on a full disk, words cannot either
# What lightgbm would load to accept data of theirs, which it never gets here: 0.5 s of CPU in place of 2.
UNNEEDED = ("cffi", "dask", "graphviz", "matplotlib", "pandas", "pyarrow", "sklearn")
_LOOK_SECONDS = 1.0


def main(folder: Path, progress_pipe: int, memory_mb: int, parent: int) -> None:
    """Do the job in `folder`; never returns."""
    _bound(memory_mb)
    threading.Thread(target=_end_with, args=(parent, folder), daemon=True).start()
    sys.modules.update(dict.fromkeys(UNNEEDED))  # type: ignore[arg-type]  # None: an import of it fails at once
    import polars as pl

    from modelling.disk import NoRoomError
    from modelling.parcels import pack, unpack

    work, args, kwargs, tells = unpack(folder, JOB)
    told = {"progress": _teller(progress_pipe)} if tells else {}
    try:
        outcome: tuple[str, Any, str] = ("done", work(*args, **kwargs, **told), "")
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - it is raised again in the parent
        outcome = ("raised", _portable(error), traceback.format_exc())
    try:
        pack(outcome, folder, OUTCOME)
    except NoRoomError:
        os._exit(NO_ROOM)
    if os.getppid() != parent:  # it has just gone, and nobody else takes the folder away
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # what was loaded need not be taken down in order


def _bound(memory_mb: int) -> None:
    """No core files; no more memory than allowed; and let the kernel, if it must, end this and not the worker."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 2**20, memory_mb * 2**20))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")


def _end_with(parent: int, folder: Path) -> None:
    """Wait until the parent is gone, then take the folder away and end.

    NOTE: where another child of the parent's holds the pipe's end too, only the number of our parent tells.
    """
    while os.getppid() == parent and not select.select([0], [], [], _LOOK_SECONDS)[0]:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)  # also what the job started


def _teller(pipe: int) -> Callable[..., None]:
    """A `progress` that is heard in the parent."""
    import pickle

    def tell(*told: Any, **named: Any) -> None:
        message = pickle.dumps((told, named))
        os.write(pipe, len(message).to_bytes(LENGTH_BYTES, "big") + message)

    return tell


def _portable(error: BaseException) -> Exception:
    """The error itself where the parent knows its class; one of a library's becomes its name and its words."""
    from validation.errors import AndonError, TrainingFailedError

    if isinstance(error, AndonError) or (isinstance(error, Exception) and type(error).__module__ == "builtins"):
        return error
    return TrainingFailedError(f"{type(error).__name__}: {error}"[:1_000])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
