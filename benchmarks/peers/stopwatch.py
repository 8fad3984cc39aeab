"""Times one piece of work inside its own process: what a program needs before it (imports) is not part of it."""

import json
import resource
import time
from collections.abc import Callable
from typing import Any


def timed(work: Callable[[], dict[str, Any]], then: Callable[[], dict[str, Any]] = dict) -> None:
    """Do it, and print what it found with its wall and CPU seconds (its children's, too) as one line of JSON.

    `then` adds what is only asked afterwards, and is not timed.
    """
    cpu, started = cpu_seconds(), time.perf_counter()
    found = work()
    spent = {"wall_s": time.perf_counter() - started, "cpu_s": cpu_seconds() - cpu}
    print(json.dumps({**spent, **found, **then()}), flush=True)


def cpu_seconds() -> float:
    """User and system time of this process so far, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
