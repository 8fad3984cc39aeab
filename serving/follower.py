"""Follows the ledger: what it says is champion is fetched, verified and swapped in, by one thread for each pipeline.

It decides only whether a champion may replace the one that serves. Whatever fails, the old one serves on and
/version says why; a failure delays the next attempt at the same champion, never one at a different champion. The
last champion that served is remembered on disk, so that a scorer can start without ledger and model store.

The ledger is asked twice a second, and told by nobody: an event that is lost must not matter, and one that comes
would shorten the wait by a quarter of a second on average.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from registry.ledger import Champion
from storage.lake import write_whole
from validation.errors import RegistryError, ServiceDownError
from validation.failpoints import reached

POLL_SECONDS = 0.5

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_SECONDS = 60.0
_Identity = tuple[int, str, str]


class Stage(Protocol):
    """Where champions serve (serving/supervisor.py)."""

    def serve(self, champion: Champion, trouble: str) -> int:
        """Return when all workers serve it, and `trouble` is told of it: how many they are. None, and those that come
        will try it. Raises, and nothing has changed, when there are some and none can.
        """
        ...

    def serving(self, pipeline: str) -> Champion | None:
        """What serves now, or is to be served by the first worker that comes. None, too, when that one could not."""
        ...

    def workers(self) -> int:
        """How many take requests now: each has loaded all that serves."""
        ...

    def tell(self, pipeline: str, trouble: str, looked_at: datetime | None) -> None:
        """Say of a pipeline what is wrong, if anything is, and when the ledger answered last."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    why: str
    attempts: int
    retry_at: float


class Follower:
    """Keeps one pipeline at the champion that `champion_of` names. `trouble`: "refused: ...", "degraded: ..." or ""."""

    def __init__(
        self,
        pipeline: str,
        stage: Stage,
        *,
        champion_of: Callable[[str], Champion | None],
        memory: Path,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.pipeline, self.trouble = pipeline, ""
        self.looked = threading.Event()  # the first look at the ledger is over
        self._looked_at: datetime | None = None
        self._stage, self._champion_of = stage, champion_of
        self._memory, self._poll_seconds = memory, poll_seconds
        self._failures: dict[_Identity, _Failure] = {}
        self._untaken: Champion | None = None  # swapped in while there was no worker: whether one can load it is open
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{pipeline}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no more; a load that is under way is not waited for."""
        self._stopping.set()
        self._thread.join(timeout=1.0)

    def step(self) -> None:
        """Look once, and swap if there is a new champion that can be served."""
        self._settle()
        try:
            champion, trouble = self._champion_of(self.pipeline), ""
            self._looked_at = datetime.now(UTC)
        except Exception as error:  # noqa: BLE001 - whatever the ledger's driver raises, the old champion serves on
            champion, trouble = None, f"degraded: {_brief(error)}"
        if champion is not None:
            trouble = self._serve(champion)
        elif not trouble and remembered(self._memory) is not None:
            trouble = "degraded: the ledger names no champion, though there was one; restore it or set ANDON_LEDGER_URL"
        if trouble and self._stage.serving(self.pipeline) is None and (last := remembered(self._memory)) is not None:
            self._serve(last, trouble)
        self.trouble = trouble
        self._stage.tell(self.pipeline, trouble, self._looked_at)

    def taken(self, champion: Champion) -> None:
        """A new worker has loaded it: so it can be fallen back on, from before its first answer on. In any thread."""
        if remembered(self._memory) != champion:
            self._remember(champion)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except Exception:  # noqa: BLE001 - without this thread no swap would ever come
                _LOG.exception("%s: the follower failed", self.pipeline)
            self.looked.set()
            self._stopping.wait(self._poll_seconds)

    def _settle(self) -> None:
        """Remember what was swapped in without a worker once one has loaded it; when none could, it has failed."""
        if (champion := self._untaken) is None:
            return
        workers = self._stage.workers()  # NOTE: asked first; else it might be one that came after all gave it up
        serving = self._stage.serving(self.pipeline)
        if serving is None or _identity(serving) != _identity(champion):
            self._untaken = None
            self._note_failure(champion, RegistryError("no worker could load it; the scorer's log says why"))
        elif workers > 0:
            self._untaken = None
            self._remember(champion)

    def _serve(self, champion: Champion, trouble: str = "") -> str:
        """Swap the champion in unless it serves already; returns why it could not be, else nothing. `trouble` is what
        is told of the pipeline from the swap on, so that a new version is not seen with the old one's.
        """
        identity, serving = _identity(champion), self._stage.serving(self.pipeline)
        if serving is not None and _identity(serving) == identity:
            return ""
        failure = self._failures.get(identity)
        if failure is not None and time.monotonic() < failure.retry_at:
            return failure.why
        reached("scorer.seen")
        try:
            workers = self._stage.serve(champion, trouble)
        except Exception as error:  # noqa: BLE001 - no defect of a bundle may stop the scorer
            return self._note_failure(champion, error)
        reached("scorer.swapped")
        self._untaken = champion if workers == 0 else None
        if workers > 0:
            self._remember(champion)
        return ""

    def _note_failure(self, champion: Champion, error: Exception) -> str:
        identity = _identity(champion)
        earlier = self._failures.get(identity)
        attempts = earlier.attempts + 1 if earlier else 1
        # A store that is down says nothing about the bundle.
        why = f"{'degraded' if isinstance(error, ServiceDownError) else 'refused'}: {_brief(error)}"
        if earlier is None or earlier.why != why:
            _LOG.warning("%s: version %s %s", self.pipeline, champion.change.version, why)
        pause = min(2.0 ** (attempts - 1), _LONGEST_PAUSE_SECONDS)
        self._failures[identity] = _Failure(why=why, attempts=attempts, retry_at=time.monotonic() + pause)
        return why

    def _remember(self, champion: Champion) -> None:
        """Some worker serves it: a scorer that starts without ledger, or with a bad champion, falls back on it."""
        self._failures.pop(_identity(champion), None)
        try:
            write_whole(self._memory, lambda beside: beside.write_bytes(msgspec.json.encode(champion)))
        except OSError as error:
            _LOG.warning("%s: cannot remember what serves: %s", self.pipeline, error)
        reached("scorer.remembered")


def memory_of(home: Path, pipeline: str) -> Path:
    """The file that remembers what served last."""
    return home / "bundles" / pipeline / "current.json"


def remembered(memory: Path) -> Champion | None:
    """The champion that served last on this machine, or None."""
    try:
        return msgspec.json.decode(memory.read_bytes(), type=Champion)
    except (OSError, msgspec.MsgspecError):
        return None


def _identity(champion: Champion) -> _Identity:
    return champion.epoch, champion.change.version, champion.change.bundle_sha256


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
