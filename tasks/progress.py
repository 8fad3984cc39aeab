"""Long work shows how far it is: a progress artefact in Prefect's UI, and whoever watches this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from tasks.watchers import tell_watcher

Report = Callable[[int, float, float], None]
_STEP = 5.0  # per cent between two updates


@contextmanager
def progress(what: str, seconds: float) -> Iterator[Report]:
    """A function to be called with (trials done, best loss, seconds left) while work of about `seconds` goes on."""
    if FlowRunContext.get() is None:
        yield lambda _done, _best, _left: None
        return
    artifact = cast("UUID", create_progress_artifact(progress=0.0, description=what))
    shown = 0.0

    def report(done: int, best: float, left: float) -> None:
        nonlocal shown
        share = 100.0 * (1.0 - left / seconds)
        if share >= shown + _STEP:
            shown = share
            text = f"{what}: {done} trials, best {best:.5f}, {left:.0f} s left"
            update_progress_artifact(artifact, progress=min(share, 100.0), description=text)

    yield report
    update_progress_artifact(artifact, progress=100.0)


@contextmanager
def counting(what: str, total: int, *, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A function to be called with how many more rows of `total` are done; `done` were so before.

    Shown with rows per second and the time that is left, which go by what was done since it began.
    """
    began, count = time.monotonic(), done
    artifact: UUID | None = None
    if FlowRunContext.get() is not None and done < total:
        artifact = cast("UUID", create_progress_artifact(progress=100.0 * done / total, description=what))
    shown = 100.0 * done / max(total, 1)

    def more(rows: int) -> None:
        nonlocal count, shown
        count += rows
        share = 100.0 * count / max(total, 1)
        tell_watcher(what, count, total)
        if artifact is not None and (share >= shown + _STEP or count >= total):
            shown = share
            told = f"{what}: {_pace(count, total, done=done, seconds=time.monotonic() - began)}"
            update_progress_artifact(artifact, progress=min(share, 100.0), description=told)

    tell_watcher(what, count, total)
    yield more


def _pace(count: int, total: int, *, done: int, seconds: float) -> str:
    rate = (count - done) / max(seconds, 1e-9)
    left = (total - count) / rate if rate else 0.0
    return f"{count:,} of {total:,} rows, {rate:,.0f} a second, {left:.0f} s left"
