"""A ledger that is away for a while: its files are not where they were, as when a disk is not mounted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ledger_away(home: Path) -> Iterator[None]:
    """As long as this lasts the installation at `home` has no ledger (SQLite, with its journals)."""
    files = sorted(home.glob("ledger.db*"))
    for file in files:
        file.rename(file.with_name(f"away-{file.name}"))
    try:
        yield
    finally:
        for file in files:
            file.with_name(f"away-{file.name}").rename(file)
