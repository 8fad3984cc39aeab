"""Holding a lease while work is done: a thread keeps it alive, the ledger checks its token at every write."""

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from registry.ledger import Lease, Ledger
from tasks.site import Site
from validation.errors import AndonError

log = logging.getLogger("andon")


@contextmanager
def holding(site: Site, activity: str) -> Iterator[Lease | None]:
    """The lease for the duration of the block, renewed every third of its life; None when somebody else holds it."""
    ledger, ttl = site.ledger, site.settings.lease_ttl
    # NOTE: a holder that asks again takes over from its older self; two threads of a process are two holders.
    lease = ledger.acquire(site.name, activity, holder=f"{site.actor}#{uuid.uuid4().hex[:8]}", ttl=ttl)
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
