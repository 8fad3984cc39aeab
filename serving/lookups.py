"""What single requests are told from the reference tables: the values that training would find, by the same rule.

A worker's own copy of what the tables hold, read again in a thread when the ledger shows new batches.
"""

from collections.abc import Callable
from typing import Self

from modelling.bundle import Bundle
from registry.ledger import Ledger
from serving.rows import Rows
from storage.lake import Lake


class LookupTables:
    """The reference tables of one bundle. `fill` may be called by any thread."""

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        *,
        ledger: Callable[[], Ledger],
        lake: Lake,
        every_seconds: float = 15.0,
        like: "LookupTables | None" = None,
    ) -> "Self | None":
        """Read once, here and now, and begin to follow in a thread; None for a bundle that looks nothing up.

        When ledger or lake fail, this says so in `trouble`, values are missing, and the thread tries again. `like`: the
        tables of the bundle before; what both look up alike is taken over and not read again.
        """
        raise NotImplementedError

    @property
    def trouble(self) -> str:
        """Why the last look failed, in a sentence for /health; "" when it did not."""
        raise NotImplementedError

    @property
    def age_seconds(self) -> float:
        """Seconds since the tables were last known to be as the ledger says; inf while they never were."""
        raise NotImplementedError

    def fill(self, rows: Rows) -> None:
        """Put what is looked up into the columns named in `rows.absent`, in place; None where nothing is known."""
        raise NotImplementedError

    def close(self) -> None:
        """End the thread. `fill` goes on with what it has. Without this it ends with the last reference."""
        raise NotImplementedError
