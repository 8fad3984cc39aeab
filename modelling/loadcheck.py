"""Does a bundle load and answer in a process that has never seen it? `python -m modelling.loadcheck FOLDER SHA256`.

A bundle that only works where it was made (a library in memory, a cached module) fails here and not in the scorer.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

QUERIES = 50
PATIENCE_SECONDS = 120.0  # a start takes seconds; on a busy machine, many
BYTES_PER_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCheck:
    """`ok`, or `error` in a sentence. `latency_ms`: median of one raw row, features included; `size_mb` on disk."""

    ok: bool
    latency_ms: float = 0.0
    size_mb: float = 0.0
    error: str = ""


def check(folder: Path, sha256: str) -> LoadCheck:
    """Load, verify and query the bundle in this process; failures are returned, never raised."""
    from modelling.bundle import load
    from modelling.golden import from_json

    try:
        bundle = load(folder, sha256=sha256)
        bundle.verify()
        row = from_json(bundle.manifest.golden_rows[:1], bundle.raw_schema)
        seconds = []
        for _ in range(QUERIES):
            began = time.perf_counter()
            bundle.predict(row)
            seconds.append(time.perf_counter() - began)
    except Exception as error:  # noqa: BLE001  # whatever it is, the answer is no, and why
        return LoadCheck(ok=False, error=f"{type(error).__name__}: {error}")
    size = sum(path.stat().st_size for path in folder.iterdir())
    return LoadCheck(ok=True, latency_ms=median(seconds) * 1e3, size_mb=size / BYTES_PER_MB)


def check_in_fresh_process(folder: Path, sha256: str, timeout: float = PATIENCE_SECONDS) -> LoadCheck:
    """`check` in a new Python; a crash, a wrong answer or none within `timeout` seconds is a LoadCheck with `error`."""
    # -P: a file of the working directory must not shadow a module.
    command = [sys.executable, "-P", "-m", "modelling.loadcheck", str(folder.absolute()), sha256]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=False)  # noqa: S603  # our own module
    except subprocess.TimeoutExpired:
        return LoadCheck(ok=False, error=f"no answer within {timeout:g} s")
    lines = done.stdout.splitlines() or [b""]
    try:
        return msgspec.json.decode(lines[-1], type=LoadCheck)
    except msgspec.MsgspecError:
        told = (done.stderr.decode(errors="replace").strip().splitlines() or ["nothing on stderr"])[-1]
        return LoadCheck(ok=False, error=f"the process ended with {done.returncode}: {told}")


if __name__ == "__main__":
    answer = check(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.write(f"\n{msgspec.json.encode(answer).decode()}\n")
    sys.exit(not answer.ok)
