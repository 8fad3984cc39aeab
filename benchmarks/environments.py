"""Environments of the peers: they cannot share ours, nor all of them one; each from a lock with hashes.

Packages come from wherever this machine's own pip and uv are told to look, as in the Makefile.
"""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PEERS = Path(__file__).resolve().parent / "peers"
_READY = "andon-ready"  # holds the lock that the environment was made from

POLARS_PEERS = "polars_peers"
GREAT_EXPECTATIONS = "great_expectations"
NANNYML = "nannyml"
EVIDENTLY = "evidently"
TUNERS = "tuners"


def python_of(name: str) -> Path:
    """The Python of `.venv-bench/<name>`, made anew when its lock has changed."""
    lock, folder = _PEERS / f"{name}.lock", _ROOT / ".venv-bench" / name
    python, ready = folder / "bin" / "python", folder / _READY
    wanted = lock.read_text(encoding="utf-8")
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    _uv("venv", "--clear", "--python", sys.executable, str(folder))
    _uv("pip", "sync", "--python", str(python), "--require-hashes", str(lock))
    ready.write_text(wanted, encoding="utf-8")
    return python


def script(name: str) -> Path:
    """A peer's script; it stands alone and is run by the Python of its environment."""
    return _PEERS / f"{name}.py"


def _uv(*arguments: str) -> None:
    env = dict(os.environ)
    if index := env.get("PIP_INDEX_URL"):
        env.setdefault("UV_DEFAULT_INDEX", index)
    subprocess.run([Path(sys.executable).with_name("uv"), "--quiet", *arguments], env=env, check=True)
