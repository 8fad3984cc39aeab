"""Who watches long work in this process, such as a bar on the terminal. Knows nothing of Prefect, or of terminals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# Called with what is done, how many of it, and of how many.
Watcher = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far training is: `doing`, which `share` of that (0 to 1) is done, the best loss so far, the seconds left."""

    what: str
    doing: str
    share: float
    best: float | None
    left: float | None


_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """While inside, `watcher` is told of all that is counted."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def tell_watcher(what: str, count: int, total: int) -> None:
    """Tell whoever watches, if anybody does."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(what, count, total)


_LOOKS_ON: ContextVar[Callable[[Step], None] | None] = ContextVar("looks_on", default=None)


@contextmanager
def training_watched(watcher: Callable[[Step], None]) -> Iterator[None]:
    """While inside, `watcher` is told of each step of a training."""
    token = _LOOKS_ON.set(watcher)
    try:
        yield
    finally:
        _LOOKS_ON.reset(token)


def tell_training(step: Step) -> None:
    """Tell whoever watches, if anybody does."""
    watcher = _LOOKS_ON.get()
    if watcher is not None:
        watcher(step)
