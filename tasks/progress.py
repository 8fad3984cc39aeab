"""Long work shows how far it is: a progress artefact in Prefect's UI, and whoever watches this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from tasks.telling import log
from tasks.watchers import Step, tell_training, tell_watcher

# What is being done, how much of it (0 to 1), the best loss so far, and the seconds left, where these are known.
Report = Callable[[str, float, float | None, float | None], None]
_STEP = 5.0  # per cent between two updates
_PATIENCE = 2.0  # seconds: what is done sooner needs no artefact, which costs a request


@contextmanager
def training_progress(what: str) -> Iterator[Report]:
    """A function to be called while models are trained; shown in Prefect's UI when it takes more than a moment."""
    began, picture, shown, last = time.monotonic(), Picture(), 0.0, ""

    def report(doing: str, share: float, best: float | None, left: float | None) -> None:
        nonlocal shown, last
        tell_training(Step(what=what, doing=doing, share=share, best=best, left=left))
        done = min(100.0 * share, 100.0)
        if FlowRunContext.get() is None or time.monotonic() - began < _PATIENCE:
            return
        if picture.artifact is not None and doing == last and done < shown + _STEP:
            return
        shown, last = done, doing
        picture.show(done, f"{what}: {in_words(doing, best, left)}")

    yield report
    if picture.artifact is not None:
        picture.show(100.0, f"{what}: done")


class Picture:
    """A progress artefact; `artifact`: None until it is made. A Prefect that does not answer costs the picture, not the
    training: after one failure nothing more is shown, since each try takes its client seconds.
    """

    def __init__(self) -> None:
        self.artifact: UUID | None = None
        self._lost = False

    def show(self, done: float, words: str) -> None:
        """Make or change the artefact; `done` in per cent."""
        if self._lost:
            return
        try:
            if self.artifact is None:
                self.artifact = cast("UUID", create_progress_artifact(progress=done, description=words))
            else:
                update_progress_artifact(self.artifact, progress=done, description=words)
        except Exception as error:  # noqa: BLE001 - whatever its client raises
            self._lost = True
            log.warning("no progress is shown any more: %s: %s", type(error).__name__, error)


def in_words(doing: str, best: float | None, left: float | None) -> str:
    """One line of what is known."""
    loss = "" if best is None else f", best {best:.5f}"
    return f"{doing}{loss}" if left is None else f"{doing}{loss}, {left:.0f} s left"


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
