"""Where a running `andon up` answers: a small file in its home, so that the other commands find it; and how an address
is shown.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

_FILE = "up.json"
_ANNOUNCED = ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_API_DATABASE_CONNECTION_URL", "ANDON_SCORER_URL")


def without_password(url: str) -> str:
    """`url` as it may be shown: user, place and all, but no password."""
    secret = urlsplit(url).password
    shown = url.replace(f":{secret}@", ":***@", 1) if secret else url
    return re.sub(r"(?i)\b(password=)[^&]+", r"\1***", shown)


def announce(home: Path, env: Mapping[str, str]) -> None:
    """Tell the other commands of this home where the servers of this process are."""
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f"{_FILE}.{os.getpid()}"
    draft.write_text(json.dumps({"pid": os.getpid(), "env": {name: env[name] for name in _ANNOUNCED}}))
    draft.replace(home / _FILE)


def withdraw(home: Path) -> None:
    """Take back what this process announced."""
    if _read(home)[0] == os.getpid():
        (home / _FILE).unlink(missing_ok=True)


def announced(home: Path) -> dict[str, str]:
    """The addresses of the servers that run for this home, as environment variables; empty when none do."""
    pid, env = _read(home)
    return env if pid and _alive(pid) else {}


def _read(home: Path) -> tuple[int, dict[str, str]]:
    """Who announced what; (0, {}) when nothing, or nothing readable, is there."""
    try:
        found = json.loads((home / _FILE).read_text())
        return int(found["pid"]), {name: str(found["env"][name]) for name in _ANNOUNCED}
    except (OSError, ValueError, KeyError, TypeError):
        return 0, {}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
