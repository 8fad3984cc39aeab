"""Does a bundle load and answer in a process that has never seen it? What a check says, and the process that makes it.

The check itself is serving/loadcheck.py: it asks as a client of the scorer does. A bundle that only works where it was
made (a library in memory, a cached module), or that JSON cannot reach, fails here and not in the scorer.
"""

import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import msgspec

PATIENCE_SECONDS = 120.0  # a start takes seconds; on a busy machine, many
_CHECKER = "serving.loadcheck"  # by name: modelling knows nothing of serving
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCheck:
    """`ok`, or `error` in a sentence.

    `latency_ms`, `latency_p95_ms`: median and 95th percentile of a request with one raw row, from its JSON to the
    answer's, with one thread and without the network; `size_mb` on disk.
    """

    ok: bool
    latency_ms: float = 0.0
    latency_p95_ms: float = 0.0
    size_mb: float = 0.0
    error: str = ""


def check_in_fresh_process(folder: Path, sha256: str, timeout: float = PATIENCE_SECONDS) -> LoadCheck:
    """Ask the bundle in a new Python, through the scorer's engine; never raises.

    A crash, a wrong answer or none within `timeout` seconds is a LoadCheck with `error`.
    """
    # -P: a file of the working directory must not shadow a module.
    command = [sys.executable, "-P", "-m", _CHECKER, str(folder.absolute()), sha256]
    # Files and no pipes: a child that the definition leaves behind would hold a pipe open.
    with TemporaryFile() as out, TemporaryFile() as errors:
        try:
            done = subprocess.run(  # noqa: S603  # our own module
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return LoadCheck(ok=False, error=f"no answer within {timeout:g} s")
        out.seek(0)
        errors.seek(0)
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(out.read(), type=LoadCheck)
        told = (errors.read().decode(errors="replace").strip().splitlines() or ["nothing on stderr"])[-1]
    return LoadCheck(ok=False, error=f"the process {_ending(done.returncode)}: {told[:_LONGEST_WORDS]}")


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code} and no answer"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
