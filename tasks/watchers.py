"""Who watches long work in this process, such as a bar on the terminal. Knows nothing of Prefect, or of terminals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Called with what is done, how many of it, and of how many.
Watcher = Callable[[str, int, int], None]
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
