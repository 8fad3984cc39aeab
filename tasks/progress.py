"""Long work shows how far it is: a progress artefact in Prefect's UI, a line in the log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

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
