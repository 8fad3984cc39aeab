"""What is made of the requests of benchmarks/swap.py: a fair p99, failures, and answers of an old version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

_OK = 200


class Promoted(Protocol):
    """A champion: when the ledger had it, and when all workers served it (wall clock)."""

    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def asked(self) -> float: ...  # noqa: D102
    @property
    def done(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """All requests of a phase, in columns of the same length; times in seconds."""

    sent: NDArray[np.float64]
    answered: NDArray[np.float64]
    version: NDArray[np.float64]
    status: NDArray[np.float64]
    tries: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path, columns: Sequence[str]) -> Self:
        """What the client has written."""
        table = np.load(path)
        named: dict[str, Any] = {name: table[:, position] for position, name in enumerate(columns) if name != "body"}
        return cls(**named)

    @property
    def count(self) -> int:
        """Requests."""
        return len(self.sent)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each took, a repetition included."""
        return self.answered - self.sent

    def within(self, spans: Sequence[tuple[float, float]]) -> "Phase":
        """Those that were sent in one of these spans."""
        inside = np.zeros(self.count, dtype=bool)
        for since, until in spans:
            inside |= (self.sent >= since) & (self.sent < until)
        return Phase(
            sent=self.sent[inside],
            answered=self.answered[inside],
            version=self.version[inside],
            status=self.status[inside],
            tries=self.tries[inside],
        )


def failed(phase: Phase) -> int:
    """Requests without an answer after a repetition, or with another status than 200."""
    return int((phase.status != _OK).sum())


def shares(phase: Phase) -> dict[int, float]:
    """The share of each version in the answers."""
    versions, counts = np.unique(phase.version[phase.status == _OK], return_counts=True)
    return {int(version): float(count / counts.sum()) for version, count in zip(versions, counts, strict=True)}


def p99_at_shares(phase: Phase, wanted: Mapping[int, float]) -> float:
    """The 99th percentile of the seconds if each parity of versions (odd: small models, even: large ones) had the
    share that it has in `wanted`: a phase that answered more by small models would look faster than it is.
    """
    sizes = phase.version.astype(int) % 2
    weights = np.zeros(phase.count)
    for size in (0, 1):
        share = sum(part for version, part in wanted.items() if version % 2 == size)
        of_size = (sizes == size) & (phase.status == _OK)
        if share and not of_size.any():
            raise ValueError("a size of models has answered nothing in one of the phases; run longer")
        weights[of_size] = share / max(of_size.sum(), 1)
    order = np.argsort(phase.seconds)
    passed = np.cumsum(weights[order])
    return float(phase.seconds[order][np.searchsorted(passed, 0.99 * passed[-1])])


def mixed(phase: Phase, promotions: Sequence[Promoted]) -> int:
    """Answers of an old version to requests that were sent after the last worker had acknowledged a newer one.

    `promotions` in order. An answer may be of the version that all served when it was sent, or of a later one that the
    ledger named before it came.
    """
    done = np.array([one.done for one in promotions])
    answered = phase.status == _OK
    wrong = 0
    for sent, came, version in zip(
        phase.sent[answered], phase.answered[answered], phase.version[answered], strict=True
    ):
        current = int(np.searchsorted(done, sent, side="right")) - 1
        allowed = {one.version for one in promotions[max(current, 0) :] if one.asked <= came}
        wrong += int(version) not in allowed
    return wrong
