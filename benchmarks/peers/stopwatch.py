"""Times one piece of work inside its own process: what a program needs before it (imports) is not part of it."""

import json
import resource
import time
from collections.abc import Callable
from typing import Any


def timed(work: Callable[[], dict[str, Any]]) -> None:
    """Do it, and print what it found with its wall and CPU seconds (its children's, too) as one line of JSON."""
    cpu, started = _cpu_seconds(), time.perf_counter()
    found = work()
    spent = {"wall_s": time.perf_counter() - started, "cpu_s": _cpu_seconds() - cpu}
    print(json.dumps({**spent, **found}), flush=True)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
