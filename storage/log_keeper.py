"""Looks after the prediction log of one pipeline, in a process that answers no requests: what many writers append is
brought to the disk, turned into Parquet, and scored by the versions that answer in the shadow (shadows.py).
"""

import logging
import threading
import time as clock
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import polars as pl

from storage.compaction import SYNC_SECONDS, closed_segments, compact_one, keeping, sync, tell_once
from storage.segment import read_logged, segments
from storage.shadows import Shadow, ShadowFigures, ShadowScores, read_shadow

__all__ = ["LogKeeper", "Shadow", "ShadowFigures", "read_shadow"]

MAX_UNSCORED = 8  # closed segments: when more of them wait, their rows are not scored, so that the log catches up
SHADOW_SECONDS = 60.0  # so often rows of segments that are still written are scored

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 1.0
_RETRY_SECONDS = 5.0  # after a compaction that failed: its rows would be scored again each time


class LogKeeper:
    """Two threads for one folder. `waiting`: closed segments that are not yet Parquet; `figures`: by version."""

    def __init__(
        self,
        folder: Path,
        *,
        shadows: Callable[[], Sequence[Shadow]] = tuple,
        shadow_seconds: float = SHADOW_SECONDS,
        tick_seconds: float = _TICK_SECONDS,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        self.waiting = 0
        self._folder, self._scores = folder, ShadowScores(folder, shadows)
        self._shadow_seconds, self._tick_seconds, self._sync_seconds = shadow_seconds, tick_seconds, sync_seconds
        self._ended, self._holds, self._compact_at, self._score_at = threading.Event(), False, 0.0, 0.0
        self._threads = [
            threading.Thread(target=each, name=f"{name}-{folder.name}", daemon=True)
            for name, each in (("log-keeper", self._keep), ("log-sync", self._keep_synced))
        ]

    @property
    def figures(self) -> dict[str, ShadowFigures]:
        """Of each version that was in the shadow since the start."""
        return self._scores.figures

    def start(self) -> None:
        """Begin; logs that compact for themselves leave it to us from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Turn what is left into Parquet, and end. To be called when the writers have closed their logs."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _keep(self) -> None:
        with ExitStack() as held:
            while True:
                ended = self._ended.is_set()
                self._safely(lambda: self._hold(held), what="could not be taken over")
                self._safely(self._look, what="could not be compacted")
                if ended:
                    return
                self._ended.wait(self._tick_seconds)

    def _hold(self, held: ExitStack) -> None:
        if not self._holds:
            held.enter_context(keeping(self._folder))
            self._holds = True

    def _keep_synced(self) -> None:
        while not self._ended.wait(self._sync_seconds):
            self._safely(lambda: sync(self._folder), what="could not be brought to the disk")

    def _look(self) -> None:
        now = clock.monotonic()
        if now >= self._compact_at or self._ended.is_set():
            self._compact()
        if self._scores.wanted() and now >= self._score_at:
            self._score_at = now + self._shadow_seconds
            self._score_open_ones()

    def _compact(self) -> None:
        closed = closed_segments(self._folder)
        for done, path in enumerate(closed):
            self.waiting = len(closed) - done
            self._scores.busy = self.waiting > MAX_UNSCORED
            if not compact_one(path, beforehand=self._scores.complete):
                self._compact_at = clock.monotonic() + _RETRY_SECONDS
        self.waiting = sum(path.exists() for path in closed)

    def _score_open_ones(self) -> None:
        """NOTE: a segment only grows, so what is scored of it now is a first part of what will be."""
        self._scores.busy = False
        for path in segments(self._folder):
            try:
                content = read_logged(path)
                if content is not None:
                    self._scores.complete(path, content)
            except FileNotFoundError:
                continue
            except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - the others are scored
                tell_once(path, error, what="is not scored for now")

    def _safely(self, work: Callable[[], object], *, what: str) -> None:
        """NOTE: the thread must outlive whatever happens: without it the writers' disk fills up."""
        try:
            work()
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - see above
            _LOG.warning("the prediction log in %s %s for now: %s", self._folder, what, error)
