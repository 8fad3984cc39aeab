"""What one scorer process lets itself be asked: sizes, counts and times, and a counter of what is held."""

from dataclasses import dataclass, fields

from validation.errors import DefinitionError

KB, MB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes, counts and seconds; of one process.

    `body_bytes` of one request; `held_bytes` of all bodies that are being received or worked on and are no small ones.
    `header_bytes` and `headers` of a request's head, `url_bytes` of its first line. `head_seconds` from the first byte
    to the end of the head (and from the connection to its first byte), `body_seconds` for the whole body,
    `take_seconds` for a client to take its answer, `idle_seconds` between requests. `requests` that may be answered at
    the same time, `waiting` of those that may wait for, or be in, the thread pool.
    """

    body_bytes: int = 16 * MB
    held_bytes: int = 256 * MB
    header_bytes: int = 16 * KB
    headers: int = 64
    url_bytes: int = 4 * KB
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    take_seconds: float = 60.0
    idle_seconds: float = 75.0  # longer than clients keep idle connections, so that they close them, not we
    connections: int = 1_000
    requests: int = 1_000
    waiting: int = 32

    def __post_init__(self) -> None:
        for one in fields(self):
            if (value := getattr(self, one.name)) <= 0:
                raise DefinitionError(f"limits.{one.name} must be above 0, got {value}")


@dataclass(slots=True)
class Held:
    """How much is held at the moment, of at most `most`; for one thread."""

    most: int
    now: int = 0

    def take(self, amount: int) -> bool:
        """Hold so much more; False, and nothing is held, when that is too much."""
        if self.now + amount > self.most:
            return False
        self.now += amount
        return True

    def give_back(self, amount: int) -> None:
        """Hold so much less."""
        self.now -= amount


class Share:
    """What one request holds of `held`."""

    __slots__ = ("_amount", "_held")

    def __init__(self, held: Held) -> None:
        self._held, self._amount = held, 0

    def cover(self, amount: int) -> bool:
        """Hold at least so much; False when that is too much for all together."""
        if amount > self._amount:
            if not self._held.take(amount - self._amount):
                return False
            self._amount = amount
        return True

    def give_back(self) -> None:
        """Hold nothing any more."""
        self._held.give_back(self._amount)
        self._amount = 0
