"""Can a file be read at all, or does it bring the reading process down? Asked of a process that may die for it.

NOTE: one flipped bit in a Parquet page makes Polars abort the whole process, for memory that no machine has; no
exception tells of it.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from storage.landed import LandedFile

_READ = "import sys; from storage.trial import read_all; read_all(sys.stdin)"
# The kernel's when memory runs out, a person's, a shutdown's: no fault of the file.
_NOT_ITS_FAULT = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def deadly(files: Sequence[LandedFile], work: Path) -> dict[str, str]:
    """Those of the files whose reading brings a process down, by name, with the signal; each is read to its end."""
    found: dict[str, str] = {}
    left = list(files)
    while left:
        code, count = _tried(left, work)
        if code >= 0 or count == len(left):
            break
        if -code not in _NOT_ITS_FAULT:
            found[left[count].name] = signal.Signals(-code).name
        left = left[count + 1 :]
    return found


def read_all(lines: Iterator[str]) -> None:
    """What the other process does: one answer for each file that did not bring it down."""
    import polars as pl

    for line in lines:
        kind, _, path = line.rstrip("\n").partition(" ")
        with suppress(Exception, pl.exceptions.PanicException):  # told by the judge
            rows = pl.scan_parquet(path, glob=False) if kind == "parquet" else pl.scan_csv(path, infer_schema=False)
            rows.sink_batches(lambda _: None)
        sys.stdout.write("read\n")
        sys.stdout.flush()


def _tried(files: Sequence[LandedFile], work: Path) -> tuple[int, int]:
    """How the process ended, and how many files it had read by then."""
    lines = "".join(f"{file.kind} {_path(file, number, work)}\n" for number, file in enumerate(files))
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _READ], input=lines, capture_output=True, text=True, errors="replace", check=False
    )
    return ran.returncode, ran.stdout.count("read\n")


def _path(file: LandedFile, number: int, work: Path) -> Path:
    """NOTE: links, since names may hold what no line of text can."""
    path = work / f"trial-{number}.{file.kind}"
    path.unlink(missing_ok=True)
    if isinstance(file.content, bytes):
        path.write_bytes(file.content)
    else:
        path.symlink_to(file.content)
    return path
