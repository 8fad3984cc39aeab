"""Holding a lease while work is done: a thread keeps it alive, the ledger checks its token at every write."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from registry.ledger import Lease, Ledger
from validation.errors import AndonError

log = logging.getLogger("andon")


@contextmanager
def holding(ledger: Ledger, pipeline: str, activity: str, *, holder: str, ttl: timedelta) -> Iterator[Lease | None]:
    """The lease for the duration of the block, renewed every third of its life; None when somebody else holds it."""
    lease = ledger.acquire(pipeline, activity, holder=holder, ttl=ttl)
    if lease is None:
        yield None
        return
    done = threading.Event()
    beat = threading.Thread(target=_keep_alive, args=(ledger, lease, ttl, done), daemon=True, name=f"lease-{activity}")
    beat.start()
    try:
        yield lease
    finally:
        done.set()
        beat.join()
        ledger.release(lease)


def _keep_alive(ledger: Ledger, lease: Lease, ttl: timedelta, done: threading.Event) -> None:
    while not done.wait(ttl.total_seconds() / 3):
        try:
            ledger.heartbeat(lease, ttl=ttl)
        except AndonError as error:  # lost or unreachable: the work's next write is refused by the ledger itself
            log.warning("%s: the lease for %s could not be renewed: %s", lease.pipeline, lease.activity, error)
