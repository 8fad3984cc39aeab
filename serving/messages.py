"""What supervisor and workers tell each other: one JSON object a line, over a socket pair that only they hold.

The supervisor asks, the worker answers; nothing else travels there. Who finds the connection closed has lost the other:
a worker ends (it lets what is under way finish), a supervisor starts a new worker.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from registry.records import Champion

LONGEST_LINE = 1024 * 1024  # bytes; a champion with its reasons has a few thousand


class Prepare(Struct, frozen=True, tag=True):
    """Load the verified bundle in `folder`, and keep it ready beside what serves."""

    ticket: int
    champion: Champion
    folder: str


class Commit(Struct, frozen=True, tag=True):
    """From now on serve what was prepared under this ticket; `trouble` is what is told of it ("" is "ready")."""

    ticket: int
    pipeline: str
    trouble: str = ""


class Abandon(Struct, frozen=True, tag=True):
    """Forget what was prepared under this ticket; what serves stays."""

    ticket: int


class Status(Struct, frozen=True, tag=True):
    """What /health and /version tell of a pipeline: `trouble` is "refused: why", "degraded: why", or "" for neither.

    `looked_at`: when the ledger answered last; `workers`: the version that each of them serves.
    """

    pipeline: str
    trouble: str
    looked_at: datetime | None
    workers: Mapping[str, str]


class Tokens(Struct, frozen=True, tag=True):
    """The digests of the token file's last good tokens: for a worker that starts while the file is no good."""

    digests: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Tokens({len(self.digests)})"


class Listen(Struct, frozen=True, tag=True):
    """Take connections: what serves was committed."""


class Ping(Struct, frozen=True, tag=True):
    """Is the event loop alive?"""

    number: int


class Started(Struct, frozen=True, tag=True):
    """The worker has imported what it needs, and listens to the supervisor."""


class Ready(Struct, frozen=True, tag=True):
    """What this ticket asked for is loaded."""

    ticket: int


class Failed(Struct, frozen=True, tag=True):
    """What this ticket asked for cannot be loaded here."""

    ticket: int
    why: str


class Committed(Struct, frozen=True, tag=True):
    """Each request whose body becomes whole from now on is answered by what this ticket asked for."""

    ticket: int


class Listening(Struct, frozen=True, tag=True):
    """Connections are taken."""


class Pong(Struct, frozen=True, tag=True):
    """The event loop is alive."""

    number: int


ToWorker = Prepare | Commit | Abandon | Status | Tokens | Listen | Ping
ToSupervisor = Started | Ready | Failed | Committed | Listening | Pong

_TO_WORKER = msgspec.json.Decoder(ToWorker)
_TO_SUPERVISOR = msgspec.json.Decoder(ToSupervisor)


def line(message: ToWorker | ToSupervisor) -> bytes:
    """The message as a line."""
    return msgspec.json.encode(message) + b"\n"


def to_worker(text: bytes) -> ToWorker:
    """A line that the supervisor has sent."""
    found: ToWorker = _TO_WORKER.decode(text)
    return found


def to_supervisor(text: bytes) -> ToSupervisor:
    """A line that a worker has sent."""
    found: ToSupervisor = _TO_SUPERVISOR.decode(text)
    return found
